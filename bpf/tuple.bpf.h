/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* Where a socket is. */
#include "access.bpf.h"

/* As in ts_head. */
struct tuple {
    __u32 laddr[4];
    __u32 raddr[4];
    __u32 netns;
    __u16 lport;
    __u16 rport;
    __u8 family;
    __u8 pad[3]; /* a map's key has no holes */
};

#define V4_MAPPED_WORD bpf_htonl(0xffff)

INLINE void read_words(enum access how, const struct in6_addr *from, __u32 *to)
{
    if (how == PROBED) {
        bpf_probe_read_kernel(to, 16, from);
        return;
    }
    to[0] = from->in6_u.u6_addr32[0];
    to[1] = from->in6_u.u6_addr32[1];
    to[2] = from->in6_u.u6_addr32[2];
    to[3] = from->in6_u.u6_addr32[3];
}

INLINE void map_v4(__u32 *to, __u32 addr)
{
    to[0] = to[1] = 0;
    to[2] = V4_MAPPED_WORD;
    to[3] = addr;
}

/* sport: inet_sport in network order where there is one. skc_num alone will not do:
 * tcp_set_state(CLOSE) clears it before the tracepoint fires. */
INLINE void read_tuple(enum access how, const struct sock_common *c, __be16 sport, struct tuple *t)
{
    struct net *net = GET(how, c, skc_net.net);
    t->netns = GET(how, net, ns.inum);
    t->lport = sport ? bpf_ntohs(sport) : GET(how, c, skc_num);
    t->rport = bpf_ntohs(GET(how, c, skc_dport));
    if (GET(how, c, skc_family) == AF_INET6 && bpf_core_field_exists(c->skc_v6_daddr)) {
        read_words(how, &c->skc_v6_rcv_saddr, t->laddr);
        read_words(how, &c->skc_v6_daddr, t->raddr);
        t->family = 6;
        if (t->raddr[0] == 0 && t->raddr[1] == 0 && t->raddr[2] == V4_MAPPED_WORD) {
            t->family = 4;
            map_v4(t->laddr, t->laddr[3]); /* :: before the source is chosen */
        }
        return;
    }
    t->family = 4;
    map_v4(t->laddr, GET(how, c, skc_rcv_saddr));
    map_v4(t->raddr, GET(how, c, skc_daddr));
}
