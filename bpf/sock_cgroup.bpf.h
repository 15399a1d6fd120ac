/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * Whose socket it is: that of the cgroup (v2) in which it was made; a child's is its listener's
 * (include/linux/cgroup-defs.h, struct sock_cgroup_data). A small socket has none.
 */
#include "tuple.bpf.h"

/* Before 5.15 a word, with a low bit set when it holds something else. */
struct sock_cgroup_data___5_14 {
    __u64 val;
} __attribute__((preserve_access_index));

INLINE struct cgroup *cgroup_of(struct sock *sk)
{
    struct sock_cgroup_data *data = &sk->sk_cgrp_data;
    struct sock_cgroup_data___5_14 *old = (void *)data;
    __u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
    if (state == BPF_TCP_TIME_WAIT || state == BPF_TCP_NEW_SYN_RECV ||
        !bpf_core_field_exists(sk->sk_cgrp_data))
        return NULL;
    if (!bpf_core_field_exists(old->val))
        return BPF_CORE_READ(data, cgroup);
    __u64 val = BPF_CORE_READ(old, val);
    return val & 1 ? NULL : (struct cgroup *)(val & ~3ULL);
}
