/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* tcp_v4/v6_syn_recv_sock: a final ACK makes a child, or meets a full accept queue. */
#include "overflow.bpf.h"

INLINE int on_syn_recv_sock(enum access how, struct sock *listener, struct sk_buff *skb,
                            struct request_sock *req, struct sock *child)
{
    if (!child)
        return knobs.shared_facts & TS_FN_REFUSED ? on_no_child(how, listener, skb, req) : 0;
    if (!(knobs.shared_facts & TS_FN_BIRTH))
        return 0;
    return on_birth(how, listener, child,
                    BPF_CORE_READ((struct tcp_request_sock *)req, snt_synack));
}

/* tcp_v6_syn_recv_sock calls the IPv4 one for a v4-mapped peer: that one has told. */
INLINE int on_syn_recv_sock6(enum access how, struct sock *listener, struct sk_buff *skb,
                             struct request_sock *req, struct sock *child)
{
    if (BPF_CORE_READ(skb, protocol) == bpf_htons(0x0800)) /* ETH_P_IP */
        return 0;
    return on_syn_recv_sock(how, listener, skb, req, child);
}
