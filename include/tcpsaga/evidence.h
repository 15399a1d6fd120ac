// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * What doctor's rules judge: the event stream, condensed. Bounded, whatever the stream: a fixed
 * number of places, and of each thing a count, its times and three examples.
 */
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "tcpsaga/event.h"

namespace tcpsaga {

/// A connection to look at.
struct Example {
    std::uint64_t ts_ns = 0; ///< CLOCK_MONOTONIC
    std::uint64_t conn = 0;  ///< 0 = not known
    Tuple tuple;
    Role role = Role::unknown;
    Process process;
};

/// Something that happened: how often, from when to when, and the first connections of it.
struct Sighting {
    std::uint64_t n = 0;
    std::uint64_t first_ns = 0, last_ns = 0;
    std::array<Example, 3> examples{};
    std::size_t kept = 0; ///< of `examples`

    void add(const Event& e, std::uint64_t times = 1);
    explicit operator bool() const { return n != 0; }
};

/// Entries into TIME_WAIT, by the second in which each began.
class TimeWaitCount {
public:
    void enter(std::uint64_t ts_ns);
    void leave() { out_++; }
    /// So many last at `ts_ns`, those from before us included.
    void found(std::uint64_t ts_ns, std::uint64_t n)
    {
        found_ns_ = ts_ns;
        found_ = n;
    }
    [[nodiscard]] std::uint64_t entered() const { return in_; }
    /// Those that last: an entry ends after 60 s (TCP_TIMEWAIT_LEN, include/net/tcp.h), where no
    /// hook tells of its end.
    [[nodiscard]] std::uint64_t alive(std::uint64_t ts_ns) const;

private:
    static constexpr std::size_t seconds = 60;
    struct Bucket {
        std::uint64_t second = 0;
        std::uint32_t n = 0;
    };
    std::array<Bucket, seconds> buckets_{};
    std::uint64_t in_ = 0, out_ = 0;
    std::uint64_t found_ns_ = 0, found_ = 0;
};

/// The most that fell into one second.
struct Peak {
    std::uint64_t second = 0, now = 0, most = 0;
    void add(std::uint64_t ts_ns, std::uint64_t n);
};

/// How connections of one place ended, and what became of their sockets.
struct Endings {
    std::uint64_t closes = 0;
    Sighting unread;     ///< closed with received data that nobody had read
    Sighting close_wait; ///< held there for long
    Sighting keepalive, retransmission, user_timeout; ///< time-outs of what was established
    TimeWaitCount time_waits;
};

struct ListenerEvidence {
    std::uint64_t conn = 0; ///< 0 = not known
    std::uint32_t netns = 0;
    Endpoint local;
    Process owner;
    std::uint32_t backlog = 0; ///< effective
    std::optional<std::uint32_t> asked;
    std::uint64_t listened_ns = 0; ///< 0 = before us
    std::optional<event::UnlistenWhy> ended;
    std::uint64_t ended_ns = 0;

    std::uint64_t births = 0, accepts = 0;
    std::uint64_t used_unaccepted = 0; ///< a process closed it, so accept() was not seen
    std::uint64_t waiting = 0;         ///< established, not accepted yet
    std::uint64_t waiting_since_ns = 0, last_accept_ns = 0;
    Histogram accept_wait_us;
    Histogram service_us; ///< from one accept() to the next, while a connection waited
    Sighting never_accepted;

    Sighting full;     ///< packets that met a full accept queue
    Sighting full_rst; ///< those of them that were answered with a RST
    Peak full_peak;    ///< of `full`, in one second
    Sighting dropped;  ///< packets of which only the listener's drop counter tells
    std::uint64_t full_since_accept = 0, full_since_ns = 0;
    std::uint64_t full_in_stalls = 0;   ///< of `full`, while accept() did not come for `stall_us`
    std::uint64_t longest_stall_us = 0; ///< with a full queue
    Sighting syn_drops, syn_cookies;    ///< SYNs that met a full SYN queue
    bool max_syn_backlog = false;       ///< by net.ipv4.tcp_max_syn_backlog
    Sighting synack_timeouts;

    Sighting no_descriptor; ///< EMFILE
    Sighting no_file;       ///< ENFILE
    std::optional<std::uint64_t> fd_limit;
    Process starved; ///< whose accept() failed
    Endings endings; ///< of its children
};

/// What clients on this host met at one remote end.
struct DestinationEvidence {
    std::uint32_t netns = 0;
    Endpoint remote;
    Process client; ///< the last one
    std::uint64_t opens = 0, established = 0;
    Sighting refused, timed_out, unreachable;
    int unreachable_errno = 0;
    Sighting no_port;
    std::optional<event::PortUse> ports;
    Sighting syns_again;
    std::uint64_t syns_first = 0;    ///< connections whose first SYN was sent again
    std::uint64_t syns_not_sent = 0; ///< of these, refused by this host itself
    Sighting slow_handshakes;        ///< with at least one SYN sent again
    Endings endings;
};

/// Linux sends a SYN again after a second (TCP_TIMEOUT_INIT, include/net/tcp.h; RFC 6298, 2.1).
inline constexpr std::uint64_t syn_timeout_us = 1'000'000;
/// A full queue without accept() for as long: no longer queue would have helped.
inline constexpr std::uint64_t stall_us = syn_timeout_us;

struct Evidence {
    using ListenerKey = std::tuple<std::uint32_t, std::uint16_t, std::uint64_t>;
    std::map<ListenerKey, ListenerEvidence> listeners; ///< by netns, port, listener's id
    std::map<std::pair<std::uint32_t, Endpoint>, DestinationEvidence> destinations;
    std::map<std::uint32_t, Sighting> time_wait_overflows; ///< by netns
    std::map<std::pair<std::uint32_t, std::uint16_t>, Sighting>
        netfilter_drops; ///< by netns and destination port; with --drops
    std::uint64_t begin_ns = 0, end_ns = 0;
    std::uint64_t opens = 0, accepts = 0;
    bool accepts_seen = true; ///< a hook tells of accept()
};

/// Condenses the stream. Anything beyond what there is room for shares an entry of port 0.
class EvidenceSink : public Sink {
public:
    explicit EvidenceSink(std::uint64_t begin_ns) { evidence_.begin_ns = begin_ns; }

    void on_event(const Event& e) override;
    /// What was there before us: listeners, TIME_WAIT.
    void adopt(const event::Summary& s, std::uint64_t ts_ns);
    /// Ends it: what still waits, waits until here.
    const Evidence& finish(std::uint64_t end_ns);
    [[nodiscard]] const Evidence& evidence() const { return evidence_; }
    void accepts_unseen() { evidence_.accepts_seen = false; }

private:
    void on(const Event& e, const event::Listen& what);
    void on(const Event& e, const event::Unlisten& what);
    void on(const Event& e, const event::Connect& what);
    void on(const Event& e, const event::ConnectError& what);
    void on(const Event& e, const event::SynackTimeout& what);
    void on(const Event& e, const event::StateChange& what);
    void on(const Event& e, const event::Accept& what);
    void on(const Event& e, const event::AcceptError& what);
    void on(const Event& e, const event::TimeWait& what);
    void on(const Event& e, const event::Overflow& what);
    void on(const Event& e, const event::Retransmit& what);
    void on(const Event& e, const event::Drop& what);
    void on(const Event& e, const event::Close& what);
    void on(const Event& e, const event::Stuck& what);
    template <class Other>
    void on(const Event&, const Other&)
    {
    }

    ListenerEvidence& listener_at(const Tuple& t, std::uint64_t id);
    ListenerEvidence& listener_itself(const Connection& c) { return listener_at(c.tuple, c.id); }
    ListenerEvidence& listener_of_child(const Connection& c)
    {
        return listener_at(c.tuple, c.listener);
    }
    DestinationEvidence& destination_of(const Connection& c);
    Endings& endings_of(const Connection& c);

    Evidence evidence_;
};

} // namespace tcpsaga
