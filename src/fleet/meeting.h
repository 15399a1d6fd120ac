// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>

#include "tcpsaga/event.h"
#include "tcpsaga/host_pairing.h"

namespace tcpsaga::fleet {

/// Where the `close` of one end waits for that of its other end, told by another host: the first of
/// the two shall name both. No clock: now is what the caller says.
class Meeting {
public:
    using Clock = std::chrono::steady_clock;
    /// Keeps what an event came with until the event is told: its message is acknowledged then.
    using Keep = std::shared_ptr<void>;
    /// Both ends, as soon as they are known to be one connection's: the client's first.
    using OnPair = std::function<void(std::uint32_t client_host, const Event& client,
                                      std::uint32_t server_host, const Event& server)>;

    /// `pairing` outlives it.
    Meeting(HostPairing& pairing, std::chrono::milliseconds wait, OnPair on_pair)
        : pairing_(pairing), wait_(wait), on_pair_(std::move(on_pair))
    {
    }
    /// A `close`, whose times are UTC. `next`, which outlives it, gets it now, with its other end's
    /// or when it has waited for too long.
    void on_close(std::uint32_t host, const Event& e, Sink& next, const Keep& keep,
                  Clock::time_point now);
    /// What has waited for too long is told alone.
    void expire(Clock::time_point now);
    /// All that waits is told alone.
    void end();
    /// False: its `close` was told alone, before its other end's came.
    [[nodiscard]] bool still_to_tell(const HostConn& id) const { return !told_.contains(id); }
    [[nodiscard]] std::size_t waiting() const { return held_.size(); }

private:
    struct Hash {
        std::size_t operator()(const HostConn& id) const;
    };
    struct Held {
        HostConn id;
        Connection connection;
        Event event;
        Sink* next;
        Keep keep;
        Clock::time_point until;
    };
    using Queue = std::list<Held>;

    void tell(Queue::iterator at, bool alone);
    void forget_old();

    HostPairing& pairing_;
    std::chrono::milliseconds wait_;
    OnPair on_pair_;
    Queue queue_; ///< the oldest first
    std::unordered_map<HostConn, Queue::iterator, Hash> held_;
    std::unordered_map<HostConn, std::int64_t, Hash> told_; ///< alone, and when it was over
    std::int64_t latest_ns_ = 0;                            ///< of all events
    std::int64_t forgot_ns_ = 0;
};

} // namespace tcpsaga::fleet
