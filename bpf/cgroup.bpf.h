/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * Whose socket it is: that of the cgroup (v2) in which it was made; a child's is its listener's
 * (include/linux/cgroup-defs.h, struct sock_cgroup_data). A small socket has none, so the ends of
 * those that are wanted are remembered.
 */
#include "filter.bpf.h"

#define CGROUP_DEPTH 16 /* looked through, the root included */

/* Before 5.15 a word, with a low bit set when it holds something else. */
struct sock_cgroup_data___5_14 {
    __u64 val;
} __attribute__((preserve_access_index));

/* Before 6.1 the ancestors' ids; then pointers. */
struct cgroup___6_0 {
    __u64 ancestor_ids[1];
} __attribute__((preserve_access_index));

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 262144); /* the default of net.ipv4.tcp_max_tw_buckets at 64 GiB */
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct tuple);
    __type(value, __u8);
} small_ones SEC(".maps");

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

INLINE __u64 ancestor_id(struct cgroup *cgroup, int level)
{
    struct cgroup___6_0 *old = (void *)cgroup;
    __u64 id = 0;
    if (bpf_core_field_exists(old->ancestor_ids)) {
        bpf_probe_read_kernel(&id, sizeof(id),
                              (void *)old + bpf_core_field_offset(old->ancestor_ids) +
                                  level * sizeof(id));
        return id;
    }
    struct cgroup *ancestor = NULL;
    bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
                          (void *)cgroup + bpf_core_field_offset(cgroup->ancestors) +
                              level * sizeof(ancestor));
    return BPF_CORE_READ(ancestor, kn, id);
}

/* --cgroup: it, or one below it. */
INLINE bool in_cgroup(struct sock *sk)
{
    if (!knobs.filter.cgroup)
        return true;
    struct cgroup *cgroup = sk ? cgroup_of(sk) : NULL;
    if (!cgroup)
        return false;
    int level = BPF_CORE_READ(cgroup, level);
    for (int i = 0; i < CGROUP_DEPTH; i++) {
        if (i > level)
            break;
        if (ancestor_id(cgroup, i) == knobs.filter.cgroup)
            return true;
    }
    return false;
}

/* sk may be NULL: then none, when a cgroup is asked for. */
INLINE bool is_wanted(struct sock *sk, const struct tuple *t, bool port_pending)
{
    return passes(t, port_pending) && in_cgroup(sk);
}

INLINE void remember_small(const struct tuple *t)
{
    __u8 one = 1;
    if (knobs.filter.cgroup)
        bpf_map_update_elem(&small_ones, t, &one, BPF_ANY);
}

INLINE bool is_wanted_small(const struct tuple *t, bool ends)
{
    if (!passes(t, false))
        return false;
    if (!knobs.filter.cgroup)
        return true;
    bool known = bpf_map_lookup_elem(&small_ones, t);
    if (known && ends)
        bpf_map_delete_elem(&small_ones, t);
    return known;
}
