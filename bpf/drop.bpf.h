/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * Packets that the kernel drops: skb:kfree_skb(skb, location), with the reason since 5.17
 * (c504e5c2f964) and the receiving socket since 6.11 (ce9a2186f9ad). It fires for every packet
 * of the machine, so what is not TCP, or no loss, is rejected first.
 */
#include "overflow.bpf.h"
#include "reset.bpf.h"
#include "time_wait.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH); /* preallocated: packets are freed anywhere */
    __uint(max_entries, 4096);
    __type(key, struct ts_drop_key);
    __type(value, struct ts_drop_counts);
} drops SEC(".maps");

INLINE bool is_no_loss(__u32 reason)
{
    return reason < TCPSAGA_DROP_REASONS && knobs.no_loss[reason >> 6] >> (reason & 63) & 1;
}

/* Before there were reasons: a socket that is over had it in its queue, often a FIN
 * (sk_stream_kill_queues); or a TIME_WAIT socket has dealt with it. */
INLINE bool is_done(struct sock *sk, const unsigned char *tcp)
{
    if (knobs.args_kfree_skb >= 3)
        return false;
    struct tw_work *w = this_tw_work();
    if (w && w->done == (__u64)tcp) {
        w->done = 0; /* the next packet may be in the same place */
        return true;
    }
    return sk && BPF_CORE_READ(sk, __sk_common.skc_state) == BPF_TCP_CLOSE;
}

/* Where TCP's header begins; NULL when this is none, or behind IPv6 extension headers.
 * skb->transport_header is not to be had before ip_rcv(). */
INLINE const unsigned char *tcp_header(const unsigned char *ip)
{
    __u8 start[10] = {};
    bpf_probe_read_kernel(start, sizeof(start), ip);
    if (start[0] >> 4 == 4) /* RFC 791, 3.1: header length, protocol */
        return start[9] == IPPROTO_TCP_NR ? ip + (start[0] & 15) * 4 : NULL;
    if (start[0] >> 4 == 6) /* RFC 8200, 3: next header */
        return start[6] == IPPROTO_TCP_NR ? ip + 40 : NULL;
    return NULL;
}

/* The socket first: in a socket's queues skb->dev is part of a tree node. */
INLINE __u32 netns_of(struct sk_buff *skb, struct sock *sk)
{
    struct net *net = NULL;
    if (sk) {
        net = BPF_CORE_READ(sk, __sk_common.skc_net.net);
    } else {
        struct net_device *dev = BPF_CORE_READ(skb, dev);
        if (!dev)
            dev = BPF_CORE_READ(route_of(skb), dev);
        net = BPF_CORE_READ(dev, nd_net.net);
    }
    return BPF_CORE_READ(net, ns.inum);
}

/* By the port of its socket, which may be of any kind; without one that fits, what never came
 * in by a device is ours. */
INLINE bool is_sent(struct sk_buff *skb, struct sock *sk, const struct tuple *t)
{
    __u16 port = sk ? BPF_CORE_READ(sk, __sk_common.skc_num) : 0;
    if (port && (port == t->rport || port == t->lport))
        return port == t->rport;
    return BPF_CORE_READ(skb, skb_iif) == 0;
}

INLINE void swap_ends(struct tuple *t)
{
    struct tuple was = *t;
    __builtin_memcpy(t->laddr, was.raddr, 16);
    __builtin_memcpy(t->raddr, was.laddr, 16);
    t->lport = was.rport;
    t->rport = was.lport;
}

/* False when it is no TCP packet whose ends can be read, or it was not lost. */
INLINE bool read_dropped(struct sk_buff *skb, struct sock *sk, struct tuple *t)
{
    unsigned char *head = BPF_CORE_READ(skb, head);
    const unsigned char *ip = head + BPF_CORE_READ(skb, network_header);
    const unsigned char *tcp = tcp_header(ip);
    if (!tcp || tcp + 4 > head + BPF_CORE_READ(skb, tail))
        return false;
    if (is_done(sk, tcp))
        return false;
    read_ends(ip, tcp, t);
    t->netns = netns_of(skb, sk);
    if (is_sent(skb, sk, t))
        swap_ends(t);
    return true;
}

INLINE struct ts_drop_counts *drop_counts(const struct ts_drop_key *key)
{
    struct ts_drop_counts *c = bpf_map_lookup_elem(&drops, key);
    if (c)
        return c;
    struct ts_drop_counts none = {};
    bpf_map_update_elem(&drops, key, &none, BPF_NOEXIST);
    c = bpf_map_lookup_elem(&drops, key);
    if (!c)
        __sync_fetch_and_add(&my_counters()->lost[TS_DROP], 1);
    return c;
}

INLINE void tell_drop(const struct tuple *t, const struct ts_drop_key *key, __u64 total)
{
    struct ts_drop *r = reserve(TS_DROP, sizeof(*r));
    if (!r)
        return;
    fill_head(&r->head, TS_DROP, 0, t, false);
    r->location = key->location;
    r->total = total;
    r->reason = key->reason;
    r->pad = 0;
    submit(r);
}

/* receiver: NULL where the kernel does not tell, or there is none */
INLINE int on_drop(enum access how, struct sk_buff *skb, __u64 location, __u32 reason,
                   struct sock *receiver)
{
    __be16 protocol = GET(how, skb, protocol);
    /* ETH_P_IP, ETH_P_IPV6 */
    if ((protocol != bpf_htons(0x0800) && protocol != bpf_htons(0x86dd)) || is_no_loss(reason))
        return 0;
    struct tuple t = {};
    struct sock *sk = BPF_CORE_READ(skb, sk);
    if (!sk)
        sk = receiver;
    if (!read_dropped(skb, sk, &t) || !is_wanted(sk, &t, false))
        return 0;
    struct ts_drop_key key = {.location = location, .netns = t.netns, .reason = reason};
    struct ts_drop_counts *c = drop_counts(&key);
    if (!c)
        return 0;
    __sync_fetch_and_add(&c->total, 1);
    if (may_tell(&c->second, &c->told))
        tell_drop(&t, &key, c->total);
    return 0;
}
