// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "leases.h"
#include "nats_client.h"

namespace tcpsaga::fleet {

/// Leases on partitions in a JetStream key-value bucket whose entries go away by themselves unless
/// they are renewed. Used by one thread.
class Lessee {
public:
    using Clock = std::chrono::steady_clock;

    /// Makes the bucket where it is not there.
    static Result<std::unique_ptr<Lessee>> open(const Place& place, natsConnection* connection,
                                                std::string group, std::chrono::seconds lease,
                                                int replicas);

    /// Renews what we have, as far as the servers answer. Those that may be another's by now.
    std::set<unsigned> renew();
    /// What the group looks like; nullopt: it cannot be told now.
    std::optional<Standing> look(unsigned partitions);
    /// False: somebody was quicker.
    bool take(unsigned partition);
    /// False: the servers do not answer; it goes by itself.
    bool give(unsigned partition);
    /// Everything, and ourselves.
    void leave();

private:
    struct Lease {
        std::uint64_t revision = 0;
        Clock::time_point until;
    };
    Lessee(Nats<jsCtx> js, Nats<kvStore> store, std::string group, std::chrono::seconds lease);
    [[nodiscard]] std::string lease_key(unsigned partition) const;

    Nats<jsCtx> js_; ///< one that waits for less long
    Nats<kvStore> store_;
    std::string group_, me_;
    std::chrono::seconds lease_;
    std::map<unsigned, Lease> leases_;
};

} // namespace tcpsaga::fleet
