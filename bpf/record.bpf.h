/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* From a socket to the head of a record in the ring. */
#include "cgroup.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 8 << 20); /* set before load from --ring */
} ring SEC(".maps");

struct ts_counters counters[TCPSAGA_COUNTER_SLOTS] = {};

INLINE struct ts_counters *my_counters(void)
{
    return &counters[bpf_get_smp_processor_id() & (TCPSAGA_COUNTER_SLOTS - 1)];
}

INLINE void *reserve(enum ts_kind kind, __u64 size)
{
    void *record = bpf_ringbuf_reserve(&ring, size, 0);
    if (!record)
        __sync_fetch_and_add(&my_counters()->lost[kind], 1);
    return record;
}

/* One wake-up per event would cost 15 to 20 times the event. The consumer polls
 * often enough for a person; it is woken early each time another wake_bytes (a
 * power of two) have gathered. */
INLINE void submit(void *record, __u64 size)
{
    __u64 waiting = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
    bool crossed = waiting >= knobs.wake_bytes && (waiting & (knobs.wake_bytes - 1)) < size + 8;
    bpf_ringbuf_submit(record, crossed ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

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

INLINE __u64 id_of(enum access how, void *sk)
{
    if (how == DIRECT && knobs.have_cookie)
        return bpf_get_socket_cookie(sk);
    __u64 cookie = GET(how, (struct sock_common *)sk, skc_cookie.counter);
    return cookie ? cookie : (__u64)sk;
}

INLINE void fill_head(struct ts_head *h, enum ts_kind kind, __u64 id, const struct tuple *t,
                      bool by_task)
{
    h->ts_ns = bpf_ktime_get_ns();
    h->id = id;
    h->netns = t->netns;
    h->kind = kind;
    h->family = t->family;
    h->flags = by_task ? TS_BY_TASK : 0;
    h->detail = 0;
    h->lport = t->lport;
    h->rport = t->rport;
    __builtin_memcpy(h->laddr, t->laddr, 16);
    __builtin_memcpy(h->raddr, t->raddr, 16);
    h->old_state = h->new_state = 0;
    h->error = 0;
    if (by_task) {
        h->pid = bpf_get_current_pid_tgid() >> 32;
        h->uid = bpf_get_current_uid_gid();
        bpf_get_current_comm(h->comm, sizeof(h->comm));
    } else {
        h->pid = h->uid = 0;
        __builtin_memset(h->comm, 0, sizeof(h->comm));
    }
}

/* A record of `size` bytes about sk with its head filled; NULL when sk is not for
 * us, or the ring is full. */
INLINE void *record_of(enum access how, struct sock *sk, struct tcp_sock *tp, enum ts_kind kind,
                       __u64 size, bool port_pending, bool by_task)
{
    struct tuple t = {};
    read_tuple(how, &sk->__sk_common, GET(how, tp, inet_conn.icsk_inet.inet_sport), &t);
    if (!is_wanted(sk, &t, port_pending))
        return NULL;
    if (kind == TS_TIME_WAIT_IN)
        remember_small(&t);
    struct ts_head *h = reserve(kind, size);
    if (h)
        fill_head(h, kind, id_of(how, sk), &t, by_task);
    return h;
}
