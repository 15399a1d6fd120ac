// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * The two ends of a connection on two hosts, found by their mirrored 4-tuples, and how far the
 * hosts' clocks are apart, from the connections themselves. No clock and no I/O: who feeds it, from
 * recordings or live, says when things happened by the clock of the host that tells.
 */
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "tcpsaga/connection.h"
#include "tcpsaga/table.h"

namespace tcpsaga {

/// Names an end among all hosts: neither cookies nor namespaces are unique beyond one.
struct HostConn {
    std::uint32_t host = 0; ///< a number that the feeder gives, for each recording or stream
    std::uint32_t netns = 0;
    std::uint64_t conn = 0; ///< Connection::id

    bool operator==(const HostConn&) const = default;
};

/// One end as its host knows it. Times are UTC nanoseconds by that host's clock, 0 = not known.
struct HostEnd {
    HostConn id;
    Tuple tuple; ///< its netns has no meaning here
    Role role = Role::unknown;
    Process process;
    std::int64_t first_ns = 0;  ///< known from then on
    std::int64_t syn_ns = 0;    ///< a client's SYN; a server's first SYN-ACK
    std::int64_t up_ns = 0;     ///< ESTABLISHED
    std::int64_t closed_ns = 0; ///< its `close`
};

/// What a correlator knows of a connection, by `ts_ns` (CLOCK_MONOTONIC).
HostEnd host_end_of(const Connection& c, std::uint32_t host, std::int64_t utc_offset_ns,
                    std::uint64_t ts_ns);

/// False: loopback and link-local addresses mean another host on every host, or none.
bool may_cross_hosts(const Tuple& t);

/// How far one host's clock is ahead of another's.
struct ClockSkew {
    std::uint32_t of = 0, than = 0; ///< numbers of hosts, `than` the smaller
    std::int64_t ahead_ns = 0;
    std::int64_t within_ns = 0; ///< it is that, give or take this
    std::uint64_t samples = 0;  ///< connections that say so
};

/*
 * A server sends its SYN-ACK after its client's SYN and before the client is ESTABLISHED. Each pair
 * of ends with these times so gives a range for what the clocks are apart; the range that most
 * pairs share is taken, and its narrowest pair's. Two ends belong together when their range agrees
 * with that, which tells the users of one 4-tuple from each other. An end without these times (it
 * is older than what is known of it) gets the one with which it was alive for longest. Ends whose
 * clocks are further apart than the window never pair.
 */
class HostPairing {
public:
    static constexpr std::int64_t default_window_ns = 60'000'000'000;

    explicit HostPairing(std::int64_t window_ns = default_window_ns) : window_ns_(window_ns) {}

    /// An end that was established, or more of what is known of it. One that cannot cross hosts is
    /// left out.
    void add(const HostEnd& e);
    /// It ended then; whose it was.
    void close(const HostConn& id, std::int64_t utc_ns, const Process& owner);
    /// Its other end is not on another host after all.
    void forget(const HostConn& id);
    /// The end on another host; null: none is known. Each belongs to one other only, from the first
    /// time that it is asked for. Valid until the next call that is not const.
    const HostEnd* other_end(const HostConn& id);
    /// Of a live stream, now and then: frees what ended before, both ends of it. Looks at all.
    void forget_closed_before(std::int64_t utc_ns);

    [[nodiscard]] std::size_t size() const { return by_id_.size(); } ///< ends that are kept
    [[nodiscard]] std::uint64_t pairs() const { return pairs_; }     ///< found so far
    [[nodiscard]] std::vector<ClockSkew> skews() const;

private:
    static constexpr std::uint32_t none = SlotIndex::none;
    struct Slot {
        HostEnd end;
        std::uint32_t other = none;
        bool used = false;
        bool indexed = false; ///< by its 4-tuple
    };
    /// What the clocks of two hosts may be apart: the second's less the first's, measured at `at`.
    struct Range {
        std::int64_t low = 0, high = 0, at = 0;
        std::uint64_t n = 1;      ///< pairs that agree
        std::uint32_t weight = 1; ///< the same, of which the latest count most

        [[nodiscard]] std::int64_t middle() const { return low + (high - low) / 2; }
        [[nodiscard]] std::int64_t slack(std::int64_t when) const;
        [[nodiscard]] bool agrees(const Range& other) const;
    };
    using Hosts = std::pair<std::uint32_t, std::uint32_t>; // the smaller first

    [[nodiscard]] std::uint32_t find(const HostConn& id) const;
    std::uint32_t insert(const HostEnd& e);
    void retire_elder(const HostEnd& e);
    void unindex(std::uint32_t slot);
    void erase(std::uint32_t slot);
    template <class Visit>
    void for_each_mirrored(const HostEnd& e, const Visit& visit) const;
    [[nodiscard]] static std::optional<Range> range_of(const HostEnd& a, const HostEnd& b);
    void vote(const HostEnd& e);
    [[nodiscard]] const Range* best(std::uint32_t a, std::uint32_t b) const;
    [[nodiscard]] std::optional<std::int64_t> fitness(const HostEnd& a, const HostEnd& b) const;
    [[nodiscard]] std::uint32_t pick(std::uint32_t slot) const;
    std::uint32_t settle(std::uint32_t slot);

    std::int64_t window_ns_;
    std::uint64_t pairs_ = 0;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
    SlotIndex by_id_, by_tuple_;
    std::map<Hosts, std::vector<Range>> clocks_;
};

} // namespace tcpsaga
