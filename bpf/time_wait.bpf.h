/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* Facts of the small sockets that keep a closed connection's 4-tuple. */
#include "state.bpf.h"

/* tcp_time_wait(sk, substate, timeo): substate is TIME_WAIT, or FIN_WAIT2 for a dead
 * socket whose peer has not sent its FIN yet. The full socket goes to CLOSE next. */
INLINE int on_time_wait(enum access how, struct sock *sk, int substate)
{
    struct tcp_sock *tp = as_tcp(how, sk);
    if (!tp)
        return 0;
    struct ts_head *h =
        record_of(how, sk, tp, TS_TIME_WAIT_IN, sizeof(*h), false, by_task(how, sk));
    if (!h)
        return 0;
    h->old_state = GET(how, sk, __sk_common.skc_state);
    h->new_state = substate;
    submit(h, sizeof(*h));
    return 0;
}

INLINE int on_small(enum access how, struct inet_timewait_sock *tw, enum ts_kind kind, __u8 old,
                    __u8 new)
{
    struct tuple t;
    read_tuple(how, &tw->__tw_common, 0, &t);
    if (!passes(&t, false))
        return 0;
    struct ts_head *h = reserve(kind, sizeof(*h));
    if (!h)
        return 0;
    fill_head(h, kind, id_of(PROBED, tw), &t, false);
    h->old_state = old;
    h->new_state = new;
    submit(h, sizeof(*h));
    return 0;
}

INLINE int on_twsk_kill(enum access how, struct inet_timewait_sock *tw)
{
    return on_small(how, tw, TS_TIME_WAIT_OUT, GET(how, tw, tw_substate), BPF_TCP_CLOSE);
}

/* After tcp_timewait_state_process(tw, skb, th): a FIN was looked at and the socket is
 * in true TIME_WAIT now. A repeated FIN tells so again; the consumer knows. */
INLINE int on_timewait_packet(enum access how, struct inet_timewait_sock *tw, const void *th)
{
    __u8 flags = 0;
    bpf_probe_read_kernel(&flags, 1, th + 13); /* RFC 9293, 3.1: CWR..FIN */
    if (!(flags & 1) || GET(how, tw, tw_substate) != BPF_TCP_TIME_WAIT)
        return 0;
    return on_small(how, tw, TS_TIME_WAIT_TURN, BPF_TCP_FIN_WAIT2, BPF_TCP_TIME_WAIT);
}
