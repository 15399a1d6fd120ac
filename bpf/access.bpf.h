/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * One body per fact, three ways in. `how` is a compile-time constant at every call
 * site, so that each program holds only its own kind of load: trampolines and
 * tp_btf programs follow BTF pointers directly, kprobes and raw tracepoints must
 * use probe reads.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "tcpsaga/abi.h"

#define INLINE static __always_inline

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP_NR 6

enum access { DIRECT, PROBED };

/* The value of ptr->member, by whichever load `how` allows. Scalars and pointers. */
#define GET(how, ptr, member) ({ (how) == DIRECT ? (ptr)->member : BPF_CORE_READ(ptr, member); })

/* sk as a TCP socket; NULL when it is something else, or a small (request, TIME_WAIT) one. */
INLINE struct tcp_sock *as_tcp(enum access how, struct sock *sk)
{
    if (how == DIRECT)
        return bpf_skc_to_tcp_sock(sk);
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
    if (family != AF_INET && family != AF_INET6)
        return NULL;
    __u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
    if (state == BPF_TCP_TIME_WAIT || state == BPF_TCP_NEW_SYN_RECV)
        return NULL;
    /* 16 bits wide since Linux 5.6 (bf9765145b85) */
    return BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP_NR ? (struct tcp_sock *)sk : NULL;
}

/* A fexit program's result: it follows the last argument, and how many there are
 * differs between two builds of one series. `args` is read-only data, so that only
 * one branch survives; the asm keeps clang from merging them into ctx[args]. */
#define CTX_SLOT(ctx, n)                                                                           \
    ({                                                                                             \
        __u64 slot_;                                                                               \
        asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(slot_) : "r"(ctx), "i"((n)*8));               \
        slot_;                                                                                     \
    })

INLINE __u64 returned(void *ctx, __u32 args)
{
    switch (args) {
    case 1:
        return CTX_SLOT(ctx, 1);
    case 2:
        return CTX_SLOT(ctx, 2);
    case 3:
        return CTX_SLOT(ctx, 3);
    case 4:
        return CTX_SLOT(ctx, 4);
    case 5:
        return CTX_SLOT(ctx, 5);
    case 6:
        return CTX_SLOT(ctx, 6);
    case 7:
        return CTX_SLOT(ctx, 7);
    case 8:
        return CTX_SLOT(ctx, 8);
    default:
        return 0;
    }
}
