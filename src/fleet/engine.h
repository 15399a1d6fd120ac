// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "message.h"

namespace tcpsaga::fleet {

/// Where messages are kept once they are sent. NATS JetStream (nats_engine.h), or a test's.
class Engine {
public:
    /// What became of a message: kept, or not, so that it is to be sent again.
    using OnOutcome = std::function<void(const std::string& id, bool kept)>;
    /// Something else has changed.
    using OnChange = std::function<void()>;

    virtual ~Engine() = default;
    /// Before the first call of ready(). The functions are called from threads of the engine's.
    virtual void start(OnOutcome on_outcome, OnChange on_change) = 0;
    /// It takes messages; else another attempt is made to reach it, if the last was a while ago.
    /// May take seconds.
    virtual bool ready() = 0;
    /// Hands a message over, which has an id; its outcome is told later. False: it was not taken.
    virtual bool send(const Message& m) = 0;
    /// What is in the way since the last call, or is no more; "" = nothing new. For a person.
    virtual std::string take_news() = 0;
};

} // namespace tcpsaga::fleet
