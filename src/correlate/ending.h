// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "tcpsaga/event.h"
#include "tcpsaga/record.h"

namespace tcpsaga {

/// How a connection that goes to CLOSE with this record ended. `held`: the substate of the
/// TIME_WAIT socket that takes over, State::none without one; `accept_seen`: that it was not
/// accepted would be known.
event::End end_of(const ts_state& r, State held, const Connection& c, bool accept_seen);

/// What made it end so: for `timeout` "retransmission", "keepalive", "user_timeout", "orphan"; for
/// an abort, and one by an exit, "unread_data", "linger", "disconnect", "killed", "linger2",
/// "memory"; else "".
std::string_view why_of(const ts_state& r, event::End end);

/// Its process had closed it, and TCP_LINGER2 let it not stay in FIN_WAIT2.
bool by_linger2(const ts_state& r);

/// SYN_SENT -> CLOSE with this record: the socket never sent its SYN.
bool never_left(const ts_head& h);

/// Payload bytes that the peer acknowledged: bytes_acked counts SYN and FIN as a byte each
/// (net/ipv4/tcp_input.c, tcp_snd_una_update).
std::uint64_t tx_bytes(const ts_state& r, const Connection& c);

/// Payload bytes received in order: bytes_received counts the FIN (tcp_rcv_nxt_update).
std::uint64_t rx_bytes(const ts_state& r);

/// Who sent the first FIN, judged by the change from `from` to `to`; unknown when this
/// change does not tell.
inline ClosedBy first_fin(State from, State to)
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
