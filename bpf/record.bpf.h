/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* From a socket to the head of a record in the ring. */
#include "cgroup.bpf.h"

struct ring {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 16); /* those that are put in have their size from --ring */
};

/* A ring for each processor, or as many as there are (knobs.ring_mask): processors that share one
 * wait for its lock and take its lines from each other. The consumer restores the order. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, TCPSAGA_MAX_RINGS);
    __type(key, __u32);
    __array(values, struct ring);
} rings SEC(".maps");

struct ts_counters counters[TCPSAGA_COUNTER_SLOTS] = {};

INLINE struct ts_counters *my_counters(void)
{
    return &counters[bpf_get_smp_processor_id() & (TCPSAGA_COUNTER_SLOTS - 1)];
}

INLINE void *reserve(enum ts_kind kind, __u64 size)
{
    __u32 mine = bpf_get_smp_processor_id() & knobs.ring_mask;
    void *ring = bpf_map_lookup_elem(&rings, &mine);
    void *record = ring ? bpf_ringbuf_reserve(ring, size, 0) : NULL;
    if (!record)
        __sync_fetch_and_add(&my_counters()->lost[kind], 1);
    return record;
}

/* One wake-up per event would cost 15 to 20 times the event. The consumer is woken when this CPU
 * has not done so for a while, so the first event after silence comes at once, and a flood
 * wakes it often enough to keep the ring from filling. What comes in between it finds by looking
 * again, for as long as it finds something. */
INLINE void submit(void *record)
{
    struct ts_counters *mine = my_counters();
    __u64 ts_ns = ((struct ts_head *)record)->ts_ns;
    bool wake = ts_ns - mine->woken_ns > knobs.wake_ns;
    if (wake)
        mine->woken_ns = ts_ns;
    bpf_ringbuf_submit(record, wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

INLINE __u64 id_of(enum access how, void *sk)
{
    __u64 cookie = GET(how, (struct sock_common *)sk, skc_cookie.counter);
    if (cookie)
        return cookie;
    return how == DIRECT && knobs.have_cookie ? bpf_get_socket_cookie(sk) : (__u64)sk;
}

/* A typed pointer to the current task: since Linux 5.11. */
INLINE bool have_task_btf(void)
{
    return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf);
}

/* Who runs now: one call and loads instead of three calls where that can be, for mitigations make
 * every return slow. */
INLINE void fill_task(enum access how, struct ts_head *h)
{
    if (how == DIRECT && have_task_btf()) {
        const struct task_struct *task = bpf_get_current_task_btf();
        const __u64 *comm = (const void *)&task->comm;
        h->pid = task->tgid;
        h->uid = task->cred->uid.val;
        ((__u64 *)h->comm)[0] = comm[0];
        ((__u64 *)h->comm)[1] = comm[1];
        return;
    }
    h->pid = bpf_get_current_pid_tgid() >> 32;
    h->uid = bpf_get_current_uid_gid();
    bpf_get_current_comm(h->comm, sizeof(h->comm));
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
        fill_task(PROBED, h);
    } else {
        h->pid = h->uid = 0;
        __builtin_memset(h->comm, 0, sizeof(h->comm));
    }
}

/* As record_of(), which follows, with the port as read_tuple() wants it. */
INLINE void *record_at(enum access how, struct sock *sk, __be16 sport, enum ts_kind kind,
                       __u64 size, bool port_pending, bool by_task)
{
    struct tuple t = {};
    read_tuple(how, &sk->__sk_common, sport, &t);
    if (!is_wanted(sk, &t, port_pending))
        return NULL;
    if (kind == TS_TIME_WAIT_IN)
        remember_small(&t);
    struct ts_head *h = reserve(kind, size);
    if (!h)
        return NULL;
    fill_head(h, kind, id_of(how, sk), &t, how == PROBED && by_task);
    if (how == DIRECT && by_task) {
        h->flags = TS_BY_TASK;
        fill_task(DIRECT, h);
    }
    return h;
}

/* A record of `size` bytes about sk with its head filled; NULL when sk is not for
 * us, or the ring is full. */
INLINE void *record_of(enum access how, struct sock *sk, struct tcp_sock *tp, enum ts_kind kind,
                       __u64 size, bool port_pending, bool by_task)
{
    return record_at(how, sk, GET(how, tp, inet_conn.icsk_inet.inet_sport), kind, size,
                     port_pending, by_task);
}
