/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* RSTs that a full socket sends or receives. */
#include "state.bpf.h"

/* reason: enum sk_rst_reason as this kernel numbers it, TS_NO_REASON where it gives none. */
INLINE int on_reset(enum access how, struct sock *sk, bool sent, __u32 reason)
{
    struct tcp_sock *tp = sk ? as_tcp(how, sk) : NULL;
    if (!tp)
        return 0; /* no socket, or a small one */
    struct ts_reset *r = record_of(how, sk, tp, TS_RESET, sizeof(*r), false, by_task(how, sk));
    if (!r)
        return 0;
    r->head.old_state = r->head.new_state = GET(how, sk, __sk_common.skc_state);
    r->reason = reason;
    r->sent = sent;
    submit(r);
    return 0;
}

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32); /* inode number */
    __type(value, struct ts_netns_counts);
} namespaces SEC(".maps");

INLINE int count_rst_sent(struct net *net)
{
    __u32 netns = BPF_CORE_READ(net, ns.inum);
    struct ts_netns_counts none = {};
    struct ts_netns_counts *c = bpf_map_lookup_elem(&namespaces, &netns);
    if (!c) {
        bpf_map_update_elem(&namespaces, &netns, &none, BPF_NOEXIST);
        c = bpf_map_lookup_elem(&namespaces, &netns);
    }
    if (c)
        __sync_fetch_and_add(&c->rsts_sent, 1);
    return 0;
}

INLINE struct dst_entry *route_of(struct sk_buff *skb)
{
    /* The low bit says that the packet holds no reference (include/linux/skbuff.h). */
    return (void *)(BPF_CORE_READ(skb, _skb_refdst) & ~1UL);
}

/* A RST is never answered. */
INLINE bool is_rst(struct sk_buff *skb)
{
    __u8 flags = 0;
    bpf_probe_read_kernel(&flags, 1,
                          BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, transport_header) + 13);
    return flags & 4; /* RFC 9293, 3.1 */
}

INLINE int count_answer(struct sock *sk, struct dst_entry *dst)
{
    struct net *net =
        sk ? BPF_CORE_READ(sk, __sk_common.skc_net.net) : BPF_CORE_READ(dst, dev, nd_net.net);
    return count_rst_sent(net);
}

#define RTN_LOCAL 2           /* include/uapi/linux/rtnetlink.h */
#define RTF_LOCAL 0x80000000U /* include/uapi/linux/ipv6_route.h */

/* tcp_v4_send_reset(sk, skb): the answer to a packet; sk is NULL when it found none. */
INLINE int on_send_reset4(struct sock *sk, struct sk_buff *skb)
{
    struct rtable *route = (void *)route_of(skb);
    if (is_rst(skb) || (!sk && BPF_CORE_READ(route, rt_type) != RTN_LOCAL))
        return 0;
    return count_answer(sk, (void *)route);
}

INLINE int on_send_reset6(struct sock *sk, struct sk_buff *skb)
{
    struct rt6_info *route = (void *)route_of(skb);
    if (is_rst(skb) || (!sk && !(BPF_CORE_READ(route, rt6i_flags) & RTF_LOCAL)))
        return 0;
    return count_answer(sk, (void *)route);
}

/* tcp_send_active_reset(sk, …) */
INLINE int on_send_active_reset(struct sock *sk)
{
    return count_rst_sent(BPF_CORE_READ(sk, __sk_common.skc_net.net));
}
