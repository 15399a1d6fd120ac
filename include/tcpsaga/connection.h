// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tcpsaga/address.h"

namespace tcpsaga {

/// The kernel's state numbers (include/net/tcp_states.h).
enum class State : std::uint8_t {
    none = 0,
    established = 1,
    syn_sent,
    syn_recv,
    fin_wait1,
    fin_wait2,
    time_wait,
    close,
    close_wait,
    last_ack,
    listen,
    closing,
    new_syn_recv,
};
/// The kernel's name without TCP_: "ESTABLISHED"; "?" for a number it does not have.
std::string_view name_of(State s);

enum class Role : std::uint8_t { unknown, client, server };

/// How a process is known to belong to an event: events.md, `pid_from`.
enum class PidFrom : std::uint8_t { nobody, task, accept, connect, snapshot, listener };

using Comm = std::array<char, 16>; ///< NUL-padded, any bytes: escape before printing

/// What memcmp() would say, without a call.
inline bool same(const Comm& a, const Comm& b)
{
    using Words = std::array<std::uint64_t, 2>;
    return std::bit_cast<Words>(a) == std::bit_cast<Words>(b);
}

struct Process {
    std::uint32_t pid = 0; ///< thread group, initial pid namespace; 0 = unknown
    std::uint32_t uid = 0;
    Comm comm{};
    PidFrom from = PidFrom::nobody;

    bool operator==(const Process& o) const
    {
        return pid == o.pid && uid == o.uid && from == o.from && same(comm, o.comm);
    }
    [[nodiscard]] bool known() const { return from != PidFrom::nobody; }
    [[nodiscard]] std::string_view name() const;
};

/// The other end of a connection, on this host.
struct Peer {
    std::uint64_t conn = 0; ///< its Connection::id; 0 = none
    std::uint32_t netns = 0;
    Process process;
    bool shown = false; ///< the process filter lets its events through, too
};

enum class ClosedBy : std::uint8_t { unknown, local, remote, both };

/// What is known of one TCP socket, from its birth to the end of its TIME_WAIT. Times are
/// nanoseconds of CLOCK_MONOTONIC, 0 = never.
struct Connection {
    std::uint64_t id = 0;        ///< shown as `conn`
    std::uint64_t kernel_id = 0; ///< ts_head::id it is found by
    std::uint64_t listener = 0;  ///< a child's: the listener's id, 0 = not known
    Tuple tuple;
    std::uint8_t family = 4; ///< or 6; 0: stands for several, of which only the namespace is known
    Role role = Role::unknown;
    State state = State::none;
    ClosedBy closed_by = ClosedBy::unknown;
    bool seen_start = false;
    bool shown = false;        ///< the process filter has let it through once
    bool port_pending = false; ///< SYN_SENT without a local port yet: nothing shown yet
    bool accepted = false;
    bool stuck_told = false;
    bool closed = false;       ///< `close` was emitted; only TIME_WAIT goes on
    bool exiting = false;      ///< its process was exiting when it began to close
    bool no_time_wait = false; ///< there was no room for its TIME_WAIT
    bool unconfirmed = false;  ///< known by a look at it only: no record told of it yet
    State held = State::none;  ///< tcp_time_wait()'s substate, once it was called
    Process owner;
    Peer peer;
    std::uint64_t looked_at_ns = 0; ///< it was there before us
    std::uint64_t started_ns = 0;
    std::uint64_t since_ns = 0; ///< entry into `state`
    std::uint64_t established_ns = 0;
    std::uint64_t held_since_ns = 0; ///< birth of the TIME_WAIT socket
    std::optional<std::uint64_t> handshake_us;
    std::optional<std::uint64_t> accept_wait_us;
};

} // namespace tcpsaga
