/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* Facts of the small sockets that keep a closed connection's 4-tuple. */
#include "state.bpf.h"

/* The socket that tcp_time_wait was called for last on this CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct note);
} time_waits SEC(".maps");

/* What this CPU does to small sockets right now. */
struct tw_work {
    __u64 packet; /* inside of tcp_timewait_state_process with this one */
    __u64 syn;    /* which has said that a SYN may take this one's place */
    __u64 done;   /* the TCP header of the packet that it has dealt with last */
    __u64 ending; /* inet_twsk_deschedule_put was called for this one */
    __u32 why;    /* enum ts_tw_end, of `ending` */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tw_work);
} tw_works SEC(".maps");

INLINE struct tw_work *this_tw_work(void)
{
    __u32 zero = 0;
    return bpf_map_lookup_elem(&tw_works, &zero);
}

/*
 * tcp_time_wait(sk, substate, timeo): substate is TIME_WAIT, or FIN_WAIT2 for a dead
 * socket whose peer has not sent its FIN yet. The full socket goes to CLOSE next. The
 * first thing it does is inet_twsk_alloc(sk, …, substate), whose end is the relief; both
 * may tell, the consumer knows.
 */
INLINE int on_time_wait(enum access how, enum turn turn, struct sock *sk, int substate)
{
    struct tcp_sock *tp = as_tcp(how, sk);
    if (!tp)
        return 0;
    __u32 zero = 0;
    struct note *note = bpf_map_lookup_elem(&time_waits, &zero);
    bool known = turn == RELIEF && note && note->sk == (__u64)sk;
    if (note)
        note->sk = turn == FIRST ? (__u64)sk : 0;
    if (known)
        return 0;
    struct ts_head *h =
        record_of(how, sk, tp, TS_TIME_WAIT_IN, sizeof(*h), false, by_task(how, sk));
    if (!h)
        return 0;
    h->old_state = GET(how, sk, __sk_common.skc_state);
    h->new_state = substate;
    submit(h);
    return 0;
}

/* inet_twsk_alloc(sk, …, substate) made `tw`, or nothing for want of room. */
INLINE int on_twsk_alloc(enum access how, struct sock *sk, int substate, const void *tw)
{
    if (tw)
        return on_time_wait(how, RELIEF, sk, substate);
    struct tcp_sock *tp = as_tcp(how, sk);
    struct ts_head *h =
        tp ? record_of(how, sk, tp, TS_TIME_WAIT_FULL, sizeof(*h), false, false) : NULL;
    if (!h)
        return 0;
    h->old_state = h->new_state = substate;
    submit(h);
    return 0;
}

INLINE int on_small(enum access how, struct inet_timewait_sock *tw, enum ts_kind kind, __u8 old,
                    __u8 new, __u8 detail)
{
    struct tuple t = {};
    read_tuple(how, &tw->__tw_common, 0, &t);
    if (!is_wanted_small(&t, kind == TS_TIME_WAIT_OUT))
        return 0;
    struct ts_head *h = reserve(kind, sizeof(*h));
    if (!h)
        return 0;
    fill_head(h, kind, id_of(PROBED, tw), &t, false);
    h->old_state = old;
    h->new_state = new;
    h->detail = detail;
    submit(h);
    return 0;
}

/* inet_twsk_deschedule_put(tw): not its timer ends it. Whose call it is: a RST's inside of
 * tcp_timewait_state_process, tcp_v4/v6_rcv's for a SYN after that, connect()'s, or that of
 * the workqueue that takes network namespaces apart (net/ipv4/inet_timewait_sock.c,
 * inet_twsk_purge). */
INLINE int on_deschedule(struct inet_timewait_sock *tw)
{
    struct tw_work *w = this_tw_work();
    if (!w)
        return 0;
    w->ending = (__u64)tw;
    if (w->packet == (__u64)tw)
        w->why = TS_TW_RESET;
    else if (w->syn != (__u64)tw && task_is(PROBED, PF_WQ_WORKER))
        w->why = TS_TW_PURGED;
    else
        w->why = TS_TW_REUSED;
    w->syn = 0;
    return 0;
}

/* Where inet_twsk_deschedule_put is inlined into inet_twsk_purge: the references that it looks
 * at too. Their place before 5.11, and before 6.18. */
struct net___5_10 {
    atomic_t count; /* a refcount_t */
} __attribute__((preserve_access_index));
struct ns_common___6_1 {
    atomic_t count;
} __attribute__((preserve_access_index));

INLINE bool namespace_is_dying(struct inet_timewait_sock *tw)
{
    struct net *net = BPF_CORE_READ(tw, __tw_common.skc_net.net);
    struct net___5_10 *old = (void *)net;
    struct ns_common___6_1 *ns = (void *)&net->ns;
    int references = 1;
    if (bpf_core_field_exists(old->count))
        bpf_core_read(&references, sizeof(references), &old->count);
    else if (bpf_core_field_exists(ns->count))
        bpf_core_read(&references, sizeof(references), &ns->count);
    return references == 0;
}

INLINE int on_twsk_kill(enum access how, struct inet_timewait_sock *tw)
{
    __u8 detail = TS_TW_EXPIRED;
    struct tw_work *w = this_tw_work();
    if (w && w->ending == (__u64)tw) {
        detail = w->why;
        w->ending = 0;
    } else if (namespace_is_dying(tw))
        detail = TS_TW_PURGED;
    __u8 substate = GET(how, tw, tw_substate);
    return on_small(how, tw, TS_TIME_WAIT_OUT, substate, BPF_TCP_CLOSE, detail);
}

INLINE int enter_timewait_packet(struct inet_timewait_sock *tw)
{
    struct tw_work *w = this_tw_work();
    if (w)
        w->packet = (__u64)tw;
    return 0;
}

#define TCP_TW_SUCCESS 0 /* include/net/tcp.h, enum tcp_tw_status */
#define TCP_TW_ACK 2
#define TCP_TW_SYN 3

/* After tcp_timewait_state_process(tw, skb, th): when a FIN was looked at, the socket is
 * in true TIME_WAIT now. A repeated FIN tells so again; the consumer knows. */
INLINE int on_timewait_packet(enum access how, struct inet_timewait_sock *tw, const void *th,
                              int status)
{
    struct tw_work *w = this_tw_work();
    if (w) {
        w->packet = 0;
        w->syn = status == TCP_TW_SYN ? (__u64)tw : 0;
        w->done = status == TCP_TW_SUCCESS || status == TCP_TW_ACK ? (__u64)th : 0;
    }
    if (!(knobs.shared_facts & TS_FN_TW_TURN))
        return 0;
    __u8 flags = 0;
    bpf_probe_read_kernel(&flags, 1, th + 13); /* RFC 9293, 3.1: CWR..FIN */
    if (!(flags & 1) || GET(how, tw, tw_substate) != BPF_TCP_TIME_WAIT)
        return 0;
    return on_small(how, tw, TS_TIME_WAIT_TURN, BPF_TCP_FIN_WAIT2, BPF_TCP_TIME_WAIT, 0);
}
