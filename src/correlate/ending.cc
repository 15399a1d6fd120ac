// SPDX-License-Identifier: BSD-2-Clause
#include "ending.h"

#include <cerrno>

#include "parts.h"

namespace tcpsaga {
namespace {

bool sent_fin(State s)
{
    return s == State::fin_wait1 || s == State::fin_wait2 || s == State::closing ||
           s == State::last_ack || s == State::time_wait;
}

std::uint64_t less(std::uint64_t n, std::uint64_t by)
{
    return n > by ? n - by : 0;
}

/// An orphan that was out of memory, or one of too many (__tcp_close in net/ipv4/tcp.c,
/// tcp_out_of_resources in net/ipv4/tcp_timer.c).
bool by_memory(const ts_state& r)
{
    return old_of(r.head) == State::fin_wait1 && r.head.error == 0 &&
           (r.head.detail & TS_ORPHAN) != 0;
}

/// By its error and its last state alone.
event::End wire_end(const ts_state& r, State held)
{
    using event::End;
    switch (r.head.error) {
    case ECONNREFUSED:
        return End::refused;
    case ETIMEDOUT:
        return End::timeout;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN: // the others that ICMP makes (net/ipv4/icmp.c, net/ipv6/icmp.c)
    case ENONET:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EACCES:
        return End::unreachable;
    case ECONNABORTED: // tcp_abort, for ss -K
        return End::aborted;
    case ECONNRESET:
    case EPIPE: // a RST in CLOSE_WAIT (tcp_reset)
        return End::rst_received;
    default:
        break;
    }
    const State from = old_of(r.head);
    if (by_linger2(r) || by_memory(r))
        return End::aborted;
    if (held != State::none || from == State::last_ack || from == State::fin_wait2 ||
        from == State::closing)
        return End::fin;
    // close() with unread data or linger 0, disconnect(), abort: the task does it.
    return (r.head.flags & TS_BY_TASK) != 0 ? End::aborted : End::rst_sent;
}

/// tcp_write_err, and tcp_keepalive_timer, which is silent while anything is outstanding
/// (net/ipv4/tcp_timer.c).
std::string_view which_timeout(const ts_head& h)
{
    const unsigned detail = h.detail;
    if ((detail & TS_ORPHAN) != 0)
        return "orphan";
    if ((detail & TS_USER_TIMEOUT) != 0)
        return "user_timeout";
    if ((h.flags & TS_ALL_ACKED) == 0)
        return "retransmission";
    return (detail & TS_KEEPALIVE) != 0 ? "keepalive" : "";
}

} // namespace

event::End end_of(const ts_state& r, State held, const Connection& c, bool accept_seen)
{
    using event::End;
    const End end = wire_end(r, held);
    if (c.exiting && (end == End::fin || end == End::aborted))
        return End::process_exit;
    // inet_csk_listen_stop() disconnects what waits for accept(), in no task's name.
    const bool waits = c.role == Role::server && c.seen_start && !c.accepted && accept_seen;
    if (waits && end == End::rst_sent && c.established_ns != 0)
        return End::never_accepted;
    return end;
}

std::string_view why_of(const ts_state& r, event::End end)
{
    using event::End;
    const unsigned detail = r.head.detail;
    if (end == End::timeout)
        return which_timeout(r.head);
    const bool by_exit = end == End::process_exit && wire_end(r, State::none) == End::aborted;
    if (end != End::aborted && !by_exit)
        return "";
    if (r.head.error == ECONNABORTED)
        return "killed";
    // In the order of __tcp_close (net/ipv4/tcp.c).
    if ((detail & TS_UNREAD) != 0)
        return "unread_data";
    if ((detail & TS_LINGER_0) != 0)
        return "linger";
    if (by_linger2(r))
        return "linger2";
    if (by_memory(r))
        return "memory";
    // A plain close() ends SYN_SENT so.
    const bool connecting = old_of(r.head) == State::syn_sent;
    return by_exit || connecting || (detail & TS_ORPHAN) != 0 ? "" : "disconnect";
}

/// tcp_rcv_state_process, __tcp_close; one whose FIN came in as well goes to TIME_WAIT.
bool by_linger2(const ts_state& r)
{
    constexpr unsigned both = TS_LINGER2 | TS_ORPHAN;
    return old_of(r.head) == State::fin_wait2 && (r.head.flags & TS_FIN_SEEN) == 0 &&
           r.head.error == 0 && (r.head.detail & both) == both;
}

bool never_left(const ts_head& h)
{
    return h.lport == 0 || (h.error == 0 && (h.flags & TS_ALL_ACKED) != 0);
}

std::uint64_t tx_bytes(const ts_state& r, const Connection& c)
{
    // One that was there before us had its handshake, and has its listener if it serves.
    const bool connected = c.looked_at_ns != 0 && !c.seen_start
                               ? c.role != Role::server
                               : c.role == Role::client && c.established_ns != 0;
    const std::uint64_t syn = connected ? 1 : 0;
    const bool closed = sent_fin(old_of(r.head));
    const std::uint64_t fin = closed && (r.head.flags & TS_ALL_ACKED) != 0 ? 1 : 0;
    return less(r.bytes_acked, syn + fin);
}

std::uint64_t rx_bytes(const ts_state& r)
{
    return less(r.bytes_received, (r.head.flags & TS_FIN_SEEN) != 0 ? 1 : 0);
}

} // namespace tcpsaga
