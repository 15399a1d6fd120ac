// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What the agent's and the consumer's side share of libnats: owners, options and errors. */
#include <nats/nats.h>

#include <memory>
#include <string>
#include <vector>

#include "place.h"
#include "tcpsaga/result.h"

namespace tcpsaga::fleet {

struct FreeNats {
    void operator()(natsOptions* o) const { natsOptions_Destroy(o); }
    void operator()(natsConnection* c) const { natsConnection_Destroy(c); }
    void operator()(natsMsg* m) const { natsMsg_Destroy(m); }
    void operator()(natsSubscription* s) const { natsSubscription_Destroy(s); }
    void operator()(jsCtx* c) const { jsCtx_Destroy(c); }
    void operator()(jsStreamInfo* i) const { jsStreamInfo_Destroy(i); }
    void operator()(jsMsgMetaData* d) const { jsMsgMetaData_Destroy(d); }
    void operator()(jsConsumerInfo* i) const { jsConsumerInfo_Destroy(i); }
    void operator()(kvStore* s) const { kvStore_Destroy(s); }
    void operator()(kvEntry* e) const { kvEntry_Destroy(e); }
};
template <class T>
using Nats = std::unique_ptr<T, FreeNats>;

/// To be completed with handlers.
Result<Nats<natsOptions>> options_for(const Place& place, const std::string& client_name);
/// Waits for two seconds a server, at most. The signals are blocked in the threads that it starts.
Result<Nats<natsConnection>> connect_to(const Place& place, natsOptions* options);
Result<Nats<jsCtx>> jetstream(natsConnection* connection, const jsOptions* options = nullptr);

/// The number of the stream's partitions; an Error: it is not there, or no such stream.
Result<unsigned> check_stream(jsCtx* js, const Place& place);

/// Of a call that has just failed. `code` is JetStream's, 0 = none.
Error nats_error(const std::string& operation, const Place& place, natsStatus status,
                 jsErrCode code = static_cast<jsErrCode>(0));

} // namespace tcpsaga::fleet
