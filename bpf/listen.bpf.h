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

INLINE int leave_sys_listen(int result)
{
    struct task_args call = {};
    if (!leave_task(CALL_SYS_LISTEN, &call) || result != 0)
        return 0;
    struct sock *sk = sock_of_fd(call.first);
    if (!sk || BPF_CORE_READ(sk, __sk_common.skc_state) != BPF_TCP_LISTEN)
        return 0;
    return on_listen(PROBED, sk, true, &call.second);
}
