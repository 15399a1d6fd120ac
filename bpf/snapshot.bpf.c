// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What is there now, by BPF iterators: who holds which TCP socket in all pid namespaces below
 * the reader's, and the sockets of the reader's network namespace. Rows of abi_snapshot.h.
 *
 * Everything is read with probe reads: bpf_sock_from_file() and the cookie helper are younger than
 * Linux 5.10, and what a pointer leads to is checked instead.
 */
#include "sock_cgroup.bpf.h"

#include "tcpsaga/abi_snapshot.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* bpf_get_socket_cookie() is to be had in tracing programs (Linux 5.12) */
const volatile __u32 have_cookie = 0;

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define IPPROTO_MPTCP_NR 262

/* The socket behind an open file; NULL when it is something else. Of O_PATH descriptors of a
 * Unix socket's name the mode is the same, but they have no private data. */
INLINE struct socket *socket_of(struct file *file)
{
    if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
        return NULL;
    struct socket *socket = BPF_CORE_READ(file, private_data);
    return socket && BPF_CORE_READ(socket, file) == file ? socket : NULL;
}

/* MPTCP: its subflows are TCP sockets that have its inode number (net/mptcp/subflow.c). */
INLINE bool is_tcp(struct sock *sk)
{
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
    __u16 protocol = BPF_CORE_READ(sk, sk_protocol);
    return sk && (family == AF_INET || family == AF_INET6) &&
           (protocol == IPPROTO_TCP_NR || protocol == IPPROTO_MPTCP_NR);
}

/* In the innermost pid namespace that it has a number in. */
INLINE __u32 inner_pid(struct task_struct *leader)
{
    struct pid *pid = BPF_CORE_READ(leader, thread_pid);
    __u32 level = BPF_CORE_READ(pid, level);
    struct upid *upid = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
                        level * bpf_core_type_size(struct upid);
    return BPF_CORE_READ(upid, nr);
}

SEC("iter/task_file")
int holders(struct bpf_iter__task_file *ctx)
{
    struct task_struct *task = ctx->task;
    struct file *file = ctx->file;
    if (!task || !file)
        return 0; /* the end */
    struct task_struct *leader = BPF_CORE_READ(task, group_leader);
    /* A thread that shares its process's descriptors; left out by the kernel itself since 5.10. */
    if (leader != task && BPF_CORE_READ(task, files) == BPF_CORE_READ(leader, files))
        return 0;
    struct socket *socket = socket_of(file);
    if (!socket || !is_tcp(BPF_CORE_READ(socket, sk)))
        return 0;

    struct ts_holder h = {};
    h.inode = BPF_CORE_READ(file, f_inode, i_ino);
    h.started_ns = BPF_CORE_READ(leader, start_boottime);
    h.pid = BPF_CORE_READ(task, tgid);
    h.inner_pid = inner_pid(leader);
    h.uid = BPF_CORE_READ(leader, cred, uid.val);
    h.fd = ctx->fd;
    BPF_CORE_READ_STR_INTO(&h.comm, leader, comm);
    bpf_seq_write(ctx->meta->seq, &h, sizeof(h));
    return 0;
}

/* include/net/inet_connection_sock.h */
enum { ICSK_TIME_RETRANS = 1, ICSK_TIME_PROBE0 = 3, ICSK_TIME_LOSS_PROBE = 5, ICSK_TIME_REO = 6 };
/* idiag_timer, net/ipv4/inet_diag.c */
enum { TIMER_OFF, TIMER_ON, TIMER_KEEPALIVE, TIMER_TIME_WAIT, TIMER_PERSIST };

INLINE void set_timer(struct ts_socket *row, __u8 timer, unsigned long expires)
{
    row->timer = timer;
    row->timer_ticks = (__s32)((__u32)expires - (__u32)bpf_jiffies64());
}

INLINE unsigned long retransmit_at(struct inet_connection_sock *icsk)
{
    struct sock *sk = (struct sock *)icsk;
    if (bpf_core_field_exists(sk->tcp_retransmit_timer))
        return BPF_CORE_READ(sk, tcp_retransmit_timer.expires);
    if (bpf_core_field_exists(icsk->icsk_timeout))
        return BPF_CORE_READ(icsk, icsk_timeout);
    return BPF_CORE_READ(icsk, icsk_retransmit_timer.expires);
}

/* Not pending: hlist_unhashed(). */
INLINE void read_keepalive(struct ts_socket *row, struct inet_connection_sock *icsk)
{
    struct sock *sk = (struct sock *)icsk;
    if (bpf_core_field_exists(icsk->icsk_keepalive_timer)) {
        if (BPF_CORE_READ(icsk, icsk_keepalive_timer.entry.pprev))
            set_timer(row, TIMER_KEEPALIVE, BPF_CORE_READ(icsk, icsk_keepalive_timer.expires));
    } else if (BPF_CORE_READ(sk, sk_timer.entry.pprev)) {
        set_timer(row, TIMER_KEEPALIVE, BPF_CORE_READ(sk, sk_timer.expires));
    }
}

INLINE void read_timer(struct ts_socket *row, struct inet_connection_sock *icsk)
{
    __u8 pending = BPF_CORE_READ(icsk, icsk_pending);
    row->retries = BPF_CORE_READ(icsk, icsk_probes_out);
    if (pending == ICSK_TIME_PROBE0) {
        set_timer(row, TIMER_PERSIST, retransmit_at(icsk));
    } else if (pending == ICSK_TIME_RETRANS || pending >= ICSK_TIME_LOSS_PROBE) {
        row->retries = BPF_CORE_READ(icsk, icsk_retransmits);
        set_timer(row, TIMER_ON, retransmit_at(icsk));
    } else {
        read_keepalive(row, icsk);
    }
}

INLINE __u32 positive(__u32 difference)
{
    return (__s32)difference > 0 ? difference : 0;
}

INLINE void read_full(struct ts_socket *row, struct tcp_sock *tp)
{
    struct sock *sk = (struct sock *)tp;
    struct socket_alloc *socket = (void *)BPF_CORE_READ(sk, sk_socket);
    struct cgroup *cgroup = cgroup_of(sk);
    row->cgroup = cgroup ? BPF_CORE_READ(cgroup, kn, id) : 0;
    row->inode = socket ? BPF_CORE_READ(socket, vfs_inode.i_ino) : 0;
    if (row->state == BPF_TCP_LISTEN) {
        row->rx_queue = BPF_CORE_READ(sk, sk_ack_backlog);
        row->tx_queue = BPF_CORE_READ(sk, sk_max_ack_backlog);
    } else {
        __u32 written = BPF_CORE_READ(tp, write_seq);
        row->rx_queue = positive(BPF_CORE_READ(tp, rcv_nxt) - BPF_CORE_READ(tp, copied_seq));
        row->tx_queue = written - BPF_CORE_READ(tp, snd_una);
        row->unsent = positive(written - BPF_CORE_READ(tp, snd_nxt));
    }
    row->bytes_acked = BPF_CORE_READ(tp, bytes_acked);
    row->bytes_received = BPF_CORE_READ(tp, bytes_received);
    row->bytes_sent = BPF_CORE_READ(tp, bytes_sent);
    row->bytes_retrans = BPF_CORE_READ(tp, bytes_retrans);
    row->srtt_us = BPF_CORE_READ(tp, srtt_us) >> 3;
    row->retransmits = BPF_CORE_READ(tp, total_retrans);
    read_timer(row, &tp->inet_conn);
}

INLINE void read_addresses(struct ts_socket *row, struct sock_common *c, __be16 sport)
{
    struct tuple t;
    read_tuple(PROBED, c, sport, &t);
    row->netns = t.netns;
    row->lport = t.lport;
    row->rport = t.rport;
    __builtin_memcpy(row->laddr, t.laddr, 16);
    __builtin_memcpy(row->raddr, t.raddr, 16);
}

SEC("iter/tcp")
int sockets(struct bpf_iter__tcp *ctx)
{
    struct sock_common *c = ctx->sk_common;
    if (!c)
        return 0; /* the end */
    struct ts_socket row = {};
    row.cookie = have_cookie ? bpf_get_socket_cookie(c) : BPF_CORE_READ(c, skc_cookie.counter);
    if (!row.cookie)
        row.cookie = (__u64)c; /* as in records */
    row.uid = ctx->uid;
    row.state = BPF_CORE_READ(c, skc_state);
    __be16 sport = 0;
    if (row.state == BPF_TCP_TIME_WAIT) {
        struct inet_timewait_sock *tw = (void *)c;
        row.state = BPF_CORE_READ(tw, tw_substate);
        set_timer(&row, TIMER_TIME_WAIT, BPF_CORE_READ(tw, tw_timer.expires));
    } else if (row.state == BPF_TCP_NEW_SYN_RECV) {
        struct request_sock *request = (void *)c;
        row.retries = BPF_CORE_READ(request, num_retrans);
        set_timer(&row, TIMER_ON, BPF_CORE_READ(request, rsk_timer.expires));
    } else {
        struct tcp_sock *tp = (void *)c;
        sport = BPF_CORE_READ(tp, inet_conn.icsk_inet.inet_sport);
        read_full(&row, tp);
    }
    read_addresses(&row, c, sport);
    bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
    return 0;
}
