/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * accept() that fails for want of something. It fails before inet_csk_accept() is called, so
 * the listener comes from the descriptor, or from io_uring's request.
 */
#include "overflow.bpf.h"

#define RLIMIT_NOFILE 7 /* include/uapi/asm-generic/resource.h */

INLINE struct sock *sock_of_file(struct file *file)
{
    struct socket *socket = BPF_CORE_READ(file, private_data);
    return BPF_CORE_READ(socket, sk);
}

INLINE struct sock *sock_of_fd(int fd)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
        return NULL;
    struct file **slot = BPF_CORE_READ(table, fd) + fd;
    struct file *file = NULL;
    bpf_probe_read_kernel(&file, sizeof(file), slot);
    return sock_of_file(file);
}

/* EMFILE, ENFILE, ENOBUFS, ENOMEM: include/uapi/asm-generic/errno{,-base}.h */
INLINE bool is_want(long error)
{
    return error == 24 || error == 23 || error == 105 || error == 12;
}

/* In process context, with the listener that accept() was called on. */
INLINE int on_accept_error(struct sock *sk, long error)
{
    struct tcp_sock *tp = sk ? as_tcp(PROBED, sk) : NULL;
    if (!tp || BPF_CORE_READ(sk, __sk_common.skc_state) != BPF_TCP_LISTEN)
        return 0;
    struct tuple t = {};
    read_tuple(PROBED, &sk->__sk_common, BPF_CORE_READ(tp, inet_conn.icsk_inet.inet_sport), &t);
    if (!is_wanted(sk, &t, false))
        return 0;
    __u64 id = id_of(PROBED, sk);
    struct ts_listener_counts *c = counts_of(id, t.netns);
    if (!c || !count(c, TS_ACCEPT_FAILED))
        return 0;
    struct ts_accept_error *r = reserve(TS_ACCEPT_ERROR, sizeof(*r));
    if (!r)
        return 0;
    struct task_struct *task = (void *)bpf_get_current_task();
    fill_head(&r->queue.head, TS_ACCEPT_ERROR, id, &t, true);
    r->queue.head.error = error;
    fill_queue(PROBED, &r->queue, sk);
    r->total = c->total[TS_ACCEPT_FAILED];
    r->fd_limit = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);
    submit(r);
    return 0;
}
