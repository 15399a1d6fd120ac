/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * listen(fd, backlog): only the system call knows what was asked for; what it calls gets it
 * bounded by net.core.somaxconn. A call that starts no listener changes a backlog.
 */
#include "accept_error.bpf.h"
#include "return_probe.bpf.h"

INLINE int on_listen_start(enum access how, struct sock *sk)
{
    struct task_args call = {};
    bool known = leave_task(CALL_SYS_LISTEN, &call);
    return on_listen(how, sk, false, known ? &call.second : NULL);
}

/* bind(…, address) or listen() (NULL) of a TCP socket failed. The address is in user memory:
 * a struct sockaddr_in or sockaddr_in6. */
INLINE int on_local_error(enum ts_kind kind, struct sock *sk, const void *address, int error)
{
    struct tcp_sock *tp = sk ? as_tcp(PROBED, sk) : NULL;
    if (!tp)
        return 0;
    struct tuple t = {};
    read_tuple(PROBED, &sk->__sk_common, BPF_CORE_READ(tp, inet_conn.icsk_inet.inet_sport), &t);
    __be16 family_port[2] = {};
    if (address && !bpf_probe_read_user(family_port, sizeof(family_port), address)) {
        t.lport = bpf_ntohs(family_port[1]);
        if (family_port[0] == AF_INET6) {
            bpf_probe_read_user(t.laddr, sizeof(t.laddr), address + 8);
        } else {
            __be32 addr = 0;
            bpf_probe_read_user(&addr, sizeof(addr), address + 4);
            map_v4(t.laddr, addr);
        }
    }
    if (!is_wanted(sk, &t, false))
        return 0;
    struct ts_head *h = reserve(kind, sizeof(*h));
    if (!h)
        return 0;
    fill_head(h, kind, id_of(PROBED, sk), &t, true);
    h->old_state = h->new_state = BPF_CORE_READ(sk, __sk_common.skc_state);
    h->error = error;
    submit(h);
    return 0;
}

INLINE int leave_sys_listen(int result)
{
    struct task_args call = {};
    if (!leave_task(CALL_SYS_LISTEN, &call))
        return 0;
    struct sock *sk = sock_of_fd(call.first);
    if (result < 0)
        return on_local_error(TS_LISTEN_ERROR, sk, NULL, -result);
    bool again = sk && BPF_CORE_READ(sk, __sk_common.skc_state) == BPF_TCP_LISTEN;
    if (!again || !(knobs.shared_facts & TS_FN_LISTEN))
        return 0;
    return on_listen(PROBED, sk, true, &call.second);
}
