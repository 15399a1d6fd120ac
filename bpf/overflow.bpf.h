/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * Full queues. A SYN is dropped early iff tcp_conn_request(…, sk, skb) returns without having
 * reached inet_reqsk_alloc(ops, sk, attach), which is told !attach for a cookie. A final ACK
 * is refused iff tcp_v4/v6_syn_recv_sock returns no child and the accept queue is full.
 * Softirq runs all of these with the CPU to itself, so a slot per CPU carries a SYN through.
 */
#include "state.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct ts_listener_key);
    __type(value, struct ts_listener_counts);
} listeners SEC(".maps");

struct syn {
    __u64 sk; /* the listener; 0: none under way */
    __u64 skb;
    __u32 synq, acceptq, acceptq_max;
    __u8 cookies; /* sysctl_tcp_syncookies */
    __u8 tight;   /* cookies off and three quarters of max_syn_backlog taken */
    __u8 allocated, cookie, answered;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct syn);
} syns SEC(".maps");

INLINE struct syn *this_syn(void)
{
    __u32 zero = 0;
    return bpf_map_lookup_elem(&syns, &zero);
}

INLINE struct ts_listener_counts *counts_of(__u64 id, __u32 netns)
{
    struct ts_listener_key key = {.id = id, .netns = netns};
    struct ts_listener_counts *c = bpf_map_lookup_elem(&listeners, &key);
    if (c)
        return c;
    struct ts_listener_counts none = {};
    bpf_map_update_elem(&listeners, &key, &none, BPF_NOEXIST);
    return bpf_map_lookup_elem(&listeners, &key);
}

/* The ends that a packet's headers name: source as the remote, destination as the local one. */
INLINE void read_ends(const unsigned char *ip, const unsigned char *tcp, struct tuple *t)
{
    __be16 ports[2] = {};
    __u8 version = 0;
    bpf_probe_read_kernel(ports, sizeof(ports), tcp);
    bpf_probe_read_kernel(&version, 1, ip);
    t->rport = bpf_ntohs(ports[0]);
    t->lport = bpf_ntohs(ports[1]);
    if (version >> 4 == 4) { /* RFC 791, 3.1 */
        __be32 addrs[2] = {};
        bpf_probe_read_kernel(addrs, sizeof(addrs), ip + 12);
        map_v4(t->raddr, addrs[0]);
        map_v4(t->laddr, addrs[1]);
        t->family = 4;
    } else { /* RFC 8200, 3 */
        bpf_probe_read_kernel(t->raddr, 16, ip + 8);
        bpf_probe_read_kernel(t->laddr, 16, ip + 24);
        t->family = 6;
    }
}

INLINE void read_packet(struct sk_buff *skb, struct tuple *t)
{
    unsigned char *head = BPF_CORE_READ(skb, head);
    read_ends(head + BPF_CORE_READ(skb, network_header),
              head + BPF_CORE_READ(skb, transport_header), t);
}

/* The listener's counts; NULL when the packet is not for us, or there is no room. */
INLINE struct ts_listener_counts *counts_for(enum access how, struct sock *sk, struct sk_buff *skb,
                                             struct tuple *t, __u64 *id)
{
    struct net *net = GET(how, sk, __sk_common.skc_net.net);
    t->netns = GET(how, net, ns.inum);
    read_packet(skb, t);
    if (!is_wanted(sk, t, false))
        return NULL;
    *id = id_of(how, sk);
    struct ts_listener_counts *c = counts_of(*id, t->netns);
    if (!c)
        __sync_fetch_and_add(&my_counters()->lost[TS_OVERFLOW], 1);
    return c;
}

/* tcp_listendrop() for another reason than a full queue: no route, no memory, a policy. */
INLINE void count_other_drop(enum access how, struct sock *sk, struct sk_buff *skb)
{
    struct tuple t = {};
    __u64 id = 0;
    struct ts_listener_counts *c = counts_for(how, sk, skb, &t, &id);
    if (c)
        __sync_fetch_and_add(&c->other_drops, 1);
}

/* True unless this second has had enough of it. */
INLINE bool may_tell(__u64 *second, __u64 *told)
{
    __u64 now = bpf_ktime_get_ns() / 1000000000;
    if (*second != now) {
        *second = now;
        *told = 0;
    }
    return (*told)++ < knobs.overflow_rate;
}

/* Counts; true unless this second has had enough of it. */
INLINE bool count(struct ts_listener_counts *c, __u32 kind)
{
    if (kind >= TS_LIMITED_KINDS)
        return false;
    __sync_fetch_and_add(&c->total[kind], 1);
    return may_tell(&c->second[kind], &c->told[kind]);
}

INLINE void tell_overflow(enum access how, struct sock *sk, struct sk_buff *skb, __u32 kind,
                          const struct syn *s)
{
    struct tuple t = {};
    __u64 id = 0;
    struct ts_listener_counts *c = counts_for(how, sk, skb, &t, &id);
    if (!c || kind >= TS_OVERFLOW_KINDS)
        return;
    /* TCPReqQFullDoCookies counts before a full accept queue drops the SYN all the same. */
    if (kind == TS_SYN_COOKIE || (kind == TS_SYN_ACCEPTQ_DROP && s->cookies &&
                                  (s->cookies == 2 || s->synq > s->acceptq_max)))
        __sync_fetch_and_add(&c->cookies_wanted, 1);
    if (!count(c, kind))
        return;
    struct ts_overflow *r = reserve(TS_OVERFLOW, sizeof(*r));
    if (!r)
        return;
    fill_head(&r->head, TS_OVERFLOW, id, &t, false);
    r->total = c->total[kind];
    r->synq = s->synq;
    r->acceptq = s->acceptq;
    r->acceptq_max = s->acceptq_max;
    r->kind = kind;
    submit(r);
}

INLINE void read_queues(enum access how, struct sock *sk, struct tcp_sock *tp, struct syn *s)
{
    s->synq = GET(how, tp, inet_conn.icsk_accept_queue.qlen.counter);
    s->acceptq = GET(how, sk, sk_ack_backlog);
    s->acceptq_max = GET(how, sk, sk_max_ack_backlog);
}

INLINE bool acceptq_is_full(const struct syn *s)
{
    return s->acceptq > s->acceptq_max; /* sk_acceptq_is_full */
}

/* inet_csk_reqsk_queue_is_full is > in some kernels and >= in others (stable trees took the
 * change of 6.14 too): equality is full where nothing else explains the drop. */
INLINE bool synq_is_full(const struct syn *s)
{
    return s->synq > s->acceptq_max || (s->synq == s->acceptq_max && !acceptq_is_full(s));
}

INLINE int on_syn(enum access how, struct sock *sk, struct sk_buff *skb)
{
    struct syn *s = this_syn();
    struct tcp_sock *tp = as_tcp(how, sk);
    if (!s || !tp)
        return 0;
    struct net *net = GET(how, sk, __sk_common.skc_net.net);
    int backlog = BPF_CORE_READ(net, ipv4.sysctl_max_syn_backlog);
    read_queues(how, sk, tp, s);
    bpf_probe_read_kernel(&s->cookies, 1, &net->ipv4.sysctl_tcp_syncookies);
    s->tight = !s->cookies && backlog - (int)s->synq < (backlog >> 2);
    s->sk = (__u64)sk;
    s->skb = (__u64)skb;
    s->allocated = s->cookie = s->answered = 0;
    return 0;
}

INLINE int on_reqsk_alloc(bool attach)
{
    struct syn *s = this_syn();
    if (s && s->sk) {
        s->allocated = 1;
        s->cookie = !attach;
    }
    return 0;
}

INLINE int on_synack(void)
{
    struct syn *s = this_syn();
    if (s)
        s->answered = 1;
    return 0;
}

INLINE int on_syn_done(enum access how, struct syn *s, struct sock *sk, struct sk_buff *skb)
{
    __u32 kind = TS_OVERFLOW_KINDS;
    if (!s->allocated)
        kind = !s->cookies && synq_is_full(s) ? TS_SYN_DROP : TS_SYN_ACCEPTQ_DROP;
    else if (s->cookie)
        kind = TS_SYN_COOKIE;
    else if (s->tight && !s->answered)
        kind = TS_SYN_BACKLOG_DROP;
    if (kind != TS_OVERFLOW_KINDS)
        tell_overflow(how, sk, skb, kind, s);
    if (s->allocated && !s->answered && kind != TS_SYN_BACKLOG_DROP)
        count_other_drop(how, sk, skb);
    return 0;
}

/* tcp_v4/v6_syn_recv_sock made no child. Other failures than a full queue are possible. */
INLINE int on_no_child(enum access how, struct sock *listener, struct sk_buff *skb,
                       struct request_sock *req)
{
    struct syn s = {};
    struct tcp_sock *tp = as_tcp(how, listener);
    if (!tp)
        return 0;
    read_queues(how, listener, tp, &s);
    if (!acceptq_is_full(&s)) {
        count_other_drop(how, listener, skb);
        return 0;
    }
    struct net *net = GET(how, listener, __sk_common.skc_net.net);
    __u8 abort = 0;
    bpf_probe_read_kernel(&abort, 1, &net->ipv4.sysctl_tcp_abort_on_overflow);
    /* Only tcp_check_req resets; a cookie's request has no SYN-ACK time. */
    bool reset = abort && BPF_CORE_READ((struct tcp_request_sock *)req, snt_synack);
    tell_overflow(how, listener, skb, reset ? TS_ACK_RESET : TS_ACK_DROP, &s);
    return 0;
}
