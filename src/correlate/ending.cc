// SPDX-License-Identifier: BSD-2-Clause
#include "ending.h"

#include <cerrno>

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

} // namespace

event::End end_of(const ts_state& r, State held)
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
    case ECONNRESET:
    case EPIPE: // a RST in CLOSE_WAIT (tcp_reset)
        return End::rst_received;
    default:
        break;
    }
    const auto from = static_cast<State>(r.head.old_state);
    if (held != State::none || from == State::last_ack || from == State::fin_wait2 ||
        from == State::closing)
        return End::fin;
    // close() with unread data or linger 0, disconnect(), abort: the task does it.
    return (r.head.flags & TS_BY_TASK) != 0 ? End::aborted : End::rst_sent;
}

std::uint64_t tx_bytes(const ts_state& r, const Connection& c)
{
    const std::uint64_t syn = c.role == Role::client && c.established_ns != 0 ? 1 : 0;
    const bool closed = sent_fin(static_cast<State>(r.head.old_state));
    const std::uint64_t fin = closed && (r.head.flags & TS_ALL_ACKED) != 0 ? 1 : 0;
    return less(r.bytes_acked, syn + fin);
}

std::uint64_t rx_bytes(const ts_state& r)
{
    return less(r.bytes_received, (r.head.flags & TS_FIN_SEEN) != 0 ? 1 : 0);
}

ClosedBy first_fin(State from, State to)
{
    if (to == State::closing)
        return ClosedBy::both;
    if (to == State::fin_wait1 && (from == State::established || from == State::syn_recv))
        return ClosedBy::local;
    if (to == State::close_wait)
        return ClosedBy::remote;
    return ClosedBy::unknown;
}

} // namespace tcpsaga
