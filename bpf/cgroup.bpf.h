/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* --cgroup. A small socket has no cgroup, so the ends of those that are wanted are remembered. */
#include "filter.bpf.h"
#include "sock_cgroup.bpf.h"

#define CGROUP_DEPTH 16 /* looked through, the root included */

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
