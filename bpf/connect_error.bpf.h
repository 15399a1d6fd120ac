/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * tcp_v4/v6_connect(sk, address, …) < 0: no SYN left, for want of a port, a route, an address.
 * The socket has no destination (any more), the argument has.
 */
#include "state.bpf.h"

INLINE int on_connect_error(enum access how, struct sock *sk, const struct sockaddr *to, int error)
{
    struct tcp_sock *tp = as_tcp(how, sk);
    if (!tp)
        return 0;
    struct tuple t = {};
    read_tuple(how, &sk->__sk_common, GET(how, tp, inet_conn.icsk_inet.inet_sport), &t);
    __be16 family_port[2] = {};
    bpf_probe_read_kernel(family_port, sizeof(family_port), to);
    t.rport = bpf_ntohs(family_port[1]);
    if (family_port[0] == AF_INET) { /* struct sockaddr_in */
        __be32 addr = 0;
        bpf_probe_read_kernel(&addr, sizeof(addr), (const void *)to + 4);
        map_v4(t.raddr, addr);
        if (t.family == 6) /* an IPv6 socket: :: before a source is chosen */
            map_v4(t.laddr, t.laddr[3]);
        t.family = 4;
    } else { /* struct sockaddr_in6 */
        bpf_probe_read_kernel(t.raddr, sizeof(t.raddr), (const void *)to + 8);
    }
    if (!is_wanted(sk, &t, !t.lport))
        return 0;
    struct ts_head *h = reserve(TS_CONNECT_ERROR, sizeof(*h));
    if (!h)
        return 0;
    fill_head(h, TS_CONNECT_ERROR, id_of(how, sk), &t, true);
    h->old_state = h->new_state = BPF_TCP_CLOSE;
    h->error = error;
    submit(h);
    return 0;
}

/* tcp_v6_connect calls the IPv4 one for a v4-mapped destination: that one has told. */
INLINE int on_connect6_error(enum access how, struct sock *sk, const struct sockaddr *to, int error)
{
    __be32 words[3] = {};
    bpf_probe_read_kernel(words, sizeof(words), (const void *)to + 8);
    if (words[0] == 0 && words[1] == 0 && words[2] == V4_MAPPED_WORD)
        return 0;
    return on_connect_error(how, sk, to, error);
}
