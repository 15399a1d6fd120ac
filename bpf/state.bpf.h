/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* Facts of full sockets: state changes, active opens, births, listeners. */
#include "record.bpf.h"

/* The current task did it iff it holds the socket lock: softirq never changes a
 * state while sk_lock.owned is set (net/core/sock.c, lock_sock_nested; net/ipv4/
 * tcp_ipv4.c, tcp_v4_rcv). Otherwise the current task is a bystander. */
INLINE bool by_task(enum access how, struct sock *sk)
{
    return GET(how, sk, sk_lock.owned) == 1;
}

/*
 * The kernel does not run a program that interrupts itself: a softirq that changes a
 * state while the same program runs below it, for a task, would go unseen
 * (kernel/bpf/trampoline.c, __bpf_prog_enter_recur; kernel/trace/bpf_trace.c). So the
 * same change is shown to two programs in turn. The first leaves a note, one per level,
 * and the second, the relief, reports only what no note stands for. At any moment at
 * most one of them is running on a CPU, so one of them sees every change.
 */
struct note {
    __u64 sk;
    __u64 new;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2); /* softirq; a task, which holds the socket */
    __type(key, __u32);
    __type(value, struct note);
} notes SEC(".maps");

enum turn { FIRST, RELIEF };

/* True when this change has been told. */
INLINE bool told(enum turn turn, struct sock *sk, int new, bool by_task)
{
    __u32 level = by_task;
    struct note *note = bpf_map_lookup_elem(&notes, &level);
    if (!note)
        return false;
    bool known = turn == RELIEF && note->sk == (__u64)sk && note->new == (__u32) new;
    note->sk = turn == FIRST ? (__u64)sk : 0;
    note->new = (__u32) new;
    return known;
}

/* include/linux/sched.h */
#define PF_EXITING 0x4
#define PF_WQ_WORKER 0x20

INLINE bool task_is(enum access how, unsigned int flag)
{
    if (how == DIRECT && have_task_btf())
        return bpf_get_current_task_btf()->flags & flag;
    struct task_struct *task = (void *)bpf_get_current_task();
    return BPF_CORE_READ(task, flags) & flag;
}

/* SOCK_…: enum sock_flags */
#define sock_is(how, sk, flag)                                                                     \
    (!!(GET(how, sk, __sk_common.skc_flags) & 1UL << bpf_core_enum_value(enum sock_flags, flag)))

INLINE __u8 close_detail(enum access how, struct sock *sk, struct tcp_sock *tp)
{
    __u8 detail = 0;
    __u32 fin = sock_is(how, sk, SOCK_DONE);
    if (GET(how, tp, rcv_nxt) - GET(how, tp, copied_seq) > fin)
        detail |= TS_UNREAD;
    if (sock_is(how, sk, SOCK_LINGER) && !(__u32)GET(how, sk, sk_lingertime))
        detail |= TS_LINGER_0;
    if (sock_is(how, sk, SOCK_DEAD))
        detail |= TS_ORPHAN;
    if (sock_is(how, sk, SOCK_KEEPOPEN))
        detail |= TS_KEEPALIVE;
    if (GET(how, tp, inet_conn.icsk_user_timeout))
        detail |= TS_USER_TIMEOUT;
    if ((int)GET(how, tp, linger2) < 0)
        detail |= TS_LINGER2;
    return detail;
}

/* bpf_skc_to_tcp_sock() is a call; what it looks at can be looked at. */
INLINE bool is_tcp(enum access how, struct sock *sk)
{
    __u16 family = GET(how, sk, __sk_common.skc_family);
    /* 16 bits wide since Linux 5.6 (bf9765145b85) */
    return (family == AF_INET || family == AF_INET6) && GET(how, sk, sk_protocol) == IPPROTO_TCP_NR;
}

INLINE void fill_counters(enum access how, struct tcp_sock *tp, struct ts_state *r)
{
    r->bytes_acked = GET(how, tp, bytes_acked);
    r->bytes_received = GET(how, tp, bytes_received);
    r->srtt_us = GET(how, tp, srtt_us) >> 3;
    r->total_retrans = GET(how, tp, total_retrans);
}

/* Between the start and the end of a life a change is a fact by itself: nobody reads counters
 * then. The port is where skc_num has it, for tcp_set_state(CLOSE) only takes that away. */
INLINE struct ts_state *passing_state(enum access how, struct sock *sk, bool own)
{
    struct ts_state *r = record_at(how, sk, 0, TS_STATE, sizeof(*r), false, own);
    if (!r)
        return NULL;
    r->bytes_acked = r->bytes_received = 0;
    r->srtt_us = r->total_retrans = 0;
    return r;
}

INLINE struct ts_state *bounding_state(enum access how, struct sock *sk, int old, int new, bool own)
{
    struct tcp_sock *tp = as_tcp(how, sk);
    if (!tp)
        return NULL;
    bool port_pending = old == BPF_TCP_SYN_SENT || new == BPF_TCP_SYN_SENT;
    struct ts_state *r = record_of(how, sk, tp, TS_STATE, sizeof(*r), port_pending, own);
    if (!r)
        return NULL;
    if (new == BPF_TCP_CLOSE)
        r->head.detail = close_detail(how, sk, tp);
    if (GET(how, tp, snd_una) == GET(how, tp, write_seq))
        r->head.flags |= TS_ALL_ACKED;
    fill_counters(how, tp, r);
    return r;
}

INLINE int on_state(enum access how, enum turn turn, struct sock *sk, int old, int new)
{
    /* new == old happens (FIN_WAIT1, LAST_ACK) and is no change. -> SYN_SENT has no
     * local port yet: on_connect tells it. */
    if (new == old || (new == BPF_TCP_SYN_SENT && !knobs.tell_syn_sent) ||
        knobs.untold_states & 1U << (new & 31))
        return 0;
    bool own = by_task(how, sk);
    if (told(turn, sk, new, own) || !is_tcp(how, sk))
        return 0;
    bool passing = new == BPF_TCP_FIN_WAIT1 || new == BPF_TCP_FIN_WAIT2 ||
                   new == BPF_TCP_CLOSE_WAIT || new == BPF_TCP_LAST_ACK || new == BPF_TCP_CLOSING;
    struct ts_state *r =
        passing ? passing_state(how, sk, own) : bounding_state(how, sk, old, new, own);
    if (!r)
        return 0;
    if (sock_is(how, sk, SOCK_DONE))
        r->head.flags |= TS_FIN_SEEN;
    bool closes = new == BPF_TCP_FIN_WAIT1 || new == BPF_TCP_LAST_ACK || new == BPF_TCP_CLOSE;
    if (own && closes && task_is(how, PF_EXITING))
        r->head.flags |= TS_EXITING;
    r->head.old_state = old;
    r->head.new_state = new;
    r->head.error = GET(how, sk, sk_err);
    submit(r);
    return 0;
}

/* tcp_set_state(sk, new) is entered with the old state still in place. */
INLINE int on_set_state(enum access how, struct sock *sk, int new)
{
    return on_state(how, FIRST, sk, GET(how, sk, __sk_common.skc_state), new);
}

/* The connection that tcp_connect was called for last on this CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct note);
} connecting SEC(".maps");

/* tcp_connect(sk): the 4-tuple is complete, the SYN has not left yet, the caller of
 * connect() holds the lock. The relief runs at its end, still under the lock; after a
 * migration in between both tell: the consumer knows. */
INLINE int on_connect(enum access how, enum turn turn, struct sock *sk)
{
    struct tcp_sock *tp = as_tcp(how, sk);
    if (!tp)
        return 0;
    __u32 zero = 0;
    struct note *note = bpf_map_lookup_elem(&connecting, &zero);
    bool known = turn == RELIEF && note && note->sk == (__u64)sk;
    if (note)
        note->sk = turn == FIRST ? (__u64)sk : 0;
    if (known)
        return 0;
    struct ts_head *h = record_of(how, sk, tp, TS_CONNECT, sizeof(*h), false, by_task(how, sk));
    if (!h)
        return 0;
    h->old_state = BPF_TCP_CLOSE;
    h->new_state = BPF_TCP_SYN_SENT;
    submit(h);
    return 0;
}

INLINE void fill_queue(enum access how, struct ts_queue *r, struct sock *listener)
{
    r->listener = listener ? id_of(how, listener) : 0;
    r->acceptq = listener ? GET(how, listener, sk_ack_backlog) : 0;
    r->acceptq_max = listener ? GET(how, listener, sk_max_ack_backlog) : 0;
}

/* child was cloned from listener. synack_us: tcp_clock_us() of the first SYN-ACK. */
INLINE int on_birth(enum access how, struct sock *listener, struct sock *child, __u64 synack_us)
{
    struct tcp_sock *tp = as_tcp(how, child);
    if (!tp)
        return 0;
    struct ts_birth *r = record_of(how, child, tp, TS_BIRTH, sizeof(*r), false, false);
    if (!r)
        return 0;
    r->queue.head.old_state = BPF_TCP_LISTEN;
    r->queue.head.new_state = BPF_TCP_SYN_RECV;
    fill_queue(how, &r->queue, listener);
    r->synack_ns = synack_us * 1000;
    submit(r);
    return 0;
}

/* again: listen() on a listener, to give it another backlog. asked: NULL when not known. */
INLINE int on_listen(enum access how, struct sock *sk, bool again, const __u64 *asked)
{
    struct tcp_sock *tp = sk ? as_tcp(how, sk) : NULL;
    if (!tp)
        return 0;
    bool own = again || by_task(how, sk);
    struct ts_listen *r = record_of(how, sk, tp, TS_LISTEN, sizeof(*r), false, own);
    if (!r)
        return 0;
    r->queue.head.old_state = again ? BPF_TCP_LISTEN : BPF_TCP_CLOSE;
    r->queue.head.new_state = BPF_TCP_LISTEN;
    fill_queue(how, &r->queue, sk);
    r->has_asked = asked != NULL;
    r->asked = asked ? *asked : 0;
    submit(r);
    return 0;
}

/* The child that accept() returned last on this CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct note);
} accepted SEC(".maps");

/*
 * In process context: the current task got the child, whoever owns which lock. The result
 * of inet_csk_accept is not seen when the task was waiting in it before we came, or when
 * a return probe was missed; security_sock_graft(child, socket) follows at once on the same
 * path and stands by as the relief. After a migration between the two both tell: the
 * consumer knows.
 */
INLINE int on_accept(enum access how, enum turn turn, struct sock *listener, struct sock *child)
{
    struct tcp_sock *tp = child ? as_tcp(how, child) : NULL;
    if (!tp)
        return 0;
    __u32 zero = 0;
    struct note *note = bpf_map_lookup_elem(&accepted, &zero);
    if (note && turn == FIRST)
        note->sk = (__u64)child;
    else if (note && note->sk == (__u64)child) {
        note->sk = 0;
        return 0;
    }
    struct ts_queue *r = record_of(how, child, tp, TS_ACCEPT, sizeof(*r), false, true);
    if (!r)
        return 0;
    r->head.new_state = GET(how, child, __sk_common.skc_state);
    fill_queue(how, r, listener);
    submit(r);
    return 0;
}

/* sock:inet_sock_set_state(sk, old, new) sees every change; `knobs` says which of them
 * no other hook tells. */
INLINE int on_tracepoint(enum access how, enum turn turn, struct sock *sk, int old, int new)
{
    __u32 wanted = knobs.shared_facts;
    bool listens = new == BPF_TCP_LISTEN;
    bool born = old == BPF_TCP_LISTEN && new == BPF_TCP_SYN_RECV;
    if (!listens && !born)
        return wanted & TS_TP_STATE || turn == RELIEF ? on_state(how, turn, sk, old, new) : 0;
    if (!(wanted & (listens ? TS_TP_LISTEN : TS_TP_BIRTH)) || told(turn, sk, new, by_task(how, sk)))
        return 0;
    /* Older kernels clone the listener's identity and tell before the child has its own
     * (inet_csk_clone_lock): the consumer infers the birth from the next change. */
    if (born && !GET(how, sk, __sk_common.skc_dport))
        return 0;
    return listens ? on_listen(how, sk, false, NULL) : on_birth(how, NULL, sk, 0);
}
