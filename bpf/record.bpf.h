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
