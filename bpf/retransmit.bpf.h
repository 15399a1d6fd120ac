/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * Retransmissions. The kernel counts a segment as retransmitted before it hands it down, also
 * when this host then refuses to send it (a local packet filter). Before 6.15 the tracepoint
 * (whose third argument is the error since) does not tell those: the function's result and the
 * growth of total_retrans do.
 */
#include "state.bpf.h"

struct retransmit {
    __u64 sk;
    __u32 before; /* total_retrans */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2); /* softirq; a task, which holds the socket */
    __type(key, __u32);
    __type(value, struct retransmit);
} retransmits SEC(".maps");

INLINE struct retransmit *this_retransmit(enum access how, struct sock *sk)
{
    __u32 level = by_task(how, sk);
    return bpf_map_lookup_elem(&retransmits, &level);
}

INLINE enum ts_retransmitted retransmitted(const struct tcp_skb_cb *cb)
{
    __u8 flags = 0;
    bpf_core_read(&flags, 1, &cb->tcp_flags);
    if (flags & 2) /* RFC 9293, 3.1: SYN, FIN */
        return TS_RE_SYN;
    return flags & 1 ? TS_RE_FIN : TS_RE_DATA;
}

INLINE int tell_retransmit(enum access how, struct sock *sk, struct sk_buff *skb, __u32 segments,
                           int error)
{
    struct tcp_sock *tp = as_tcp(how, sk);
    if (!tp)
        return 0;
    struct ts_retransmit *r = record_of(how, sk, tp, TS_RETRANSMIT, sizeof(*r), false, false);
    if (!r)
        return 0;
    r->head.old_state = r->head.new_state = GET(how, sk, __sk_common.skc_state);
    r->head.error = error;
    r->what = retransmitted((void *)skb->cb);
    r->nth = GET(how, tp, total_retrans);
    r->segments = segments;
    r->pad = 0;
    submit(r);
    return 0;
}

/*
 * With these __tcp_retransmit_skb() gives up before it counts: the packet is still in a queue of
 * this host (a neighbour that does not answer), the window is closed, no memory, no route.
 * Since 6.15 the tracepoint tells of them, too: nothing was sent again, and nothing refused.
 */
INLINE bool gave_up_before_it_counted(int error)
{
    return error == -11 /* EAGAIN */ || error == -12 /* ENOMEM */ || error == -16 /* EBUSY */ ||
           error == -22 /* EINVAL */ || error == -113 /* EHOSTUNREACH */;
}

/* tcp:tcp_retransmit_skb. error: a result, positive when it was sent all the same */
INLINE int on_retransmit(enum access how, struct sock *sk, struct sk_buff *skb, int error)
{
    if (gave_up_before_it_counted(error))
        return 0;
    __u16 segments = 0;
    bpf_core_read(&segments, 2, &((struct tcp_skb_cb *)skb->cb)->tcp_gso_segs);
    return tell_retransmit(how, sk, skb, segments, error < 0 ? -error : 0);
}

/* tcp_retransmit_skb(sk, skb, …) */
INLINE int enter_retransmit(enum access how, struct sock *sk)
{
    struct tcp_sock *tp = as_tcp(how, sk);
    struct retransmit *r = this_retransmit(how, sk);
    if (!tp || !r)
        return 0;
    r->sk = (__u64)sk;
    r->before = GET(how, tp, total_retrans);
    return 0;
}

INLINE int leave_retransmit(enum access how, struct sock *sk, struct sk_buff *skb, int error)
{
    struct tcp_sock *tp = as_tcp(how, sk);
    struct retransmit *r = this_retransmit(how, sk);
    if (!tp || !r || r->sk != (__u64)sk)
        return 0;
    r->sk = 0;
    __u32 segments = GET(how, tp, total_retrans) - r->before;
    bool told = error >= 0 || knobs.args_tp_retransmit == 3;
    return told || !segments ? 0 : tell_retransmit(how, sk, skb, segments, -error);
}

/* tcp:tcp_retransmit_synack: sk is the listener, or the child of a Fast Open. */
INLINE int on_retransmit_synack(enum access how, struct sock *sk, struct request_sock *req)
{
    struct tuple t = {};
    read_tuple(PROBED, &req->__req_common, 0, &t);
    if (!as_tcp(how, sk) || !is_wanted(sk, &t, false))
        return 0;
    struct ts_retransmit *r = reserve(TS_RETRANSMIT, sizeof(*r));
    if (!r)
        return 0;
    fill_head(&r->head, TS_RETRANSMIT, id_of(how, sk), &t, false);
    r->head.old_state = r->head.new_state = GET(how, sk, __sk_common.skc_state);
    r->what = TS_RE_SYNACK;
    r->nth = BPF_CORE_READ(req, num_retrans) + 1; /* counted after this */
    r->segments = 1;
    r->pad = 0;
    submit(r);
    return 0;
}

/*
 * After reqsk_timer_handler(&req->rsk_timer): the request goes on when its timer runs again,
 * else its SYN-ACKs were in vain, or its listener is gone (net/ipv4/inet_connection_sock.c).
 * Requests are not given back to other uses of their memory while we look (RCU).
 */
INLINE int on_reqsk_timer(enum access how, struct timer_list *timer)
{
    struct request_sock *req =
        (void *)timer - bpf_core_field_offset(struct request_sock, rsk_timer);
    struct sock *listener = BPF_CORE_READ(req, __req_common.skc_listener);
    if (BPF_CORE_READ(timer, entry.pprev) || !listener ||
        BPF_CORE_READ(listener, __sk_common.skc_state) != BPF_TCP_LISTEN)
        return 0;
    struct tuple t = {};
    read_tuple(PROBED, &req->__req_common, 0, &t);
    if (!is_wanted(listener, &t, false))
        return 0;
    struct ts_head *h = reserve(TS_SYNACK_TIMEOUT, sizeof(*h));
    if (!h)
        return 0;
    fill_head(h, TS_SYNACK_TIMEOUT, id_of(PROBED, listener), &t, false);
    h->old_state = h->new_state = BPF_TCP_LISTEN;
    h->detail = BPF_CORE_READ(req, num_retrans);
    submit(h);
    return 0;
}
