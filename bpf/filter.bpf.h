/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * Which connections are recorded at all. The same rule is in C++
 * (correlate/filter.h) for what cannot be known here; tests hold the two together.
 */
#include "tuple.bpf.h"

const volatile struct ts_knobs knobs = {};

INLINE bool one_of(const volatile __u16 *list, __u32 n, __u16 a, __u16 b)
{
    for (__u32 i = 0; i < TCPSAGA_MAX_PORTS; i++) {
        if (i >= n)
            break;
        if (list[i] == a || list[i] == b)
            return true;
    }
    return false;
}

INLINE bool inside(const volatile struct ts_cidr *cidr, const __u32 *addr)
{
    return (addr[0] & cidr->mask[0]) == cidr->addr[0] &&
           (addr[1] & cidr->mask[1]) == cidr->addr[1] &&
           (addr[2] & cidr->mask[2]) == cidr->addr[2] && (addr[3] & cidr->mask[3]) == cidr->addr[3];
}

INLINE bool ports_pass(const struct tuple *t)
{
    const volatile struct ts_filter *f = &knobs.filter;
    if (f->n_ports && !one_of(f->ports, f->n_ports, t->lport, t->rport))
        return false;
    if (f->n_lports && !one_of(f->lports, f->n_lports, t->lport, t->lport))
        return false;
    return !f->n_rports || one_of(f->rports, f->n_rports, t->rport, t->rport);
}

/* port_pending: the local port may be, or until now was, unchosen. Such a record
 * passes whatever the ports: the consumer has seen the start and decides. */
INLINE bool passes(const struct tuple *t, bool port_pending)
{
    const volatile struct ts_filter *f = &knobs.filter;
    if (f->family && f->family != t->family)
        return false;
    if (!port_pending && !ports_pass(t))
        return false;
    if (f->n_netns) {
        bool known = false;
        for (__u32 i = 0; i < TCPSAGA_MAX_NETNS; i++)
            if (i < f->n_netns && f->netns[i] == t->netns)
                known = true;
        if (!known)
            return false;
    }
    if (!f->n_cidrs)
        return true;
    for (__u32 i = 0; i < TCPSAGA_MAX_CIDRS; i++) {
        if (i >= f->n_cidrs)
            break;
        if (inside(&f->cidrs[i], t->laddr) || inside(&f->cidrs[i], t->raddr))
            return true;
    }
    return false;
}
