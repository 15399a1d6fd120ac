// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Maps, knobs and the programs. A program only finds its arguments; what it reports
 * is in the header of its fact. Which of them load is decided by the attach table
 * (src/capture/attach_table.cc): names here and there must agree.
 */
#include "child.bpf.h"
#include "connect_error.bpf.h"
#include "drop.bpf.h"
#include "listen.bpf.h"
#include "reset.bpf.h"
#include "retransmit.bpf.h"
#include "time_wait.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* ---- trampolines: fentry, fexit -------------------------------------------------- */

SEC("fentry/tcp_set_state")
int BPF_PROG(tramp_set_state, struct sock *sk, int state)
{
    return on_set_state(DIRECT, sk, state);
}

SEC("fentry/tcp_connect")
int BPF_PROG(tramp_connect, struct sock *sk)
{
    return on_connect(DIRECT, FIRST, sk);
}

SEC("fexit/tcp_connect")
int BPF_PROG(tramp_connect_relief, struct sock *sk)
{
    return on_connect(DIRECT, RELIEF, sk);
}

SEC("fexit/tcp_v4_connect")
int BPF_PROG(tramp_connect4, struct sock *sk, struct sockaddr *to)
{
    int error = returned(ctx, knobs.args_connect);
    return error < 0 ? on_connect_error(DIRECT, sk, to, -error) : 0;
}

SEC("fexit/tcp_v6_connect")
int BPF_PROG(tramp_connect6, struct sock *sk, struct sockaddr *to)
{
    int error = returned(ctx, knobs.args_connect);
    return error < 0 ? on_connect6_error(DIRECT, sk, to, -error) : 0;
}

SEC("fexit/tcp_v4_syn_recv_sock")
int BPF_PROG(tramp_syn_recv4, struct sock *sk, struct sk_buff *skb, struct request_sock *req)
{
    return on_syn_recv_sock(DIRECT, sk, skb, req, (void *)returned(ctx, knobs.args_syn_recv));
}

SEC("fexit/tcp_v6_syn_recv_sock")
int BPF_PROG(tramp_syn_recv6, struct sock *sk, struct sk_buff *skb, struct request_sock *req)
{
    return on_syn_recv_sock6(DIRECT, sk, skb, req, (void *)returned(ctx, knobs.args_syn_recv));
}

SEC("fentry/tcp_conn_request")
int BPF_PROG(tramp_syn, void *rsk_ops, void *af_ops, struct sock *sk, struct sk_buff *skb)
{
    return on_syn(DIRECT, sk, skb);
}

/* A bool is the low byte of its register; the rest is whatever was there (5.10 shows it). */
SEC("fentry/inet_reqsk_alloc")
int BPF_PROG(tramp_reqsk, void *ops, struct sock *sk, __u8 attach)
{
    return on_reqsk_alloc(attach);
}

SEC("fentry/tcp_make_synack")
int BPF_PROG(tramp_synack)
{
    return on_synack();
}

SEC("fexit/tcp_conn_request")
int BPF_PROG(tramp_syn_done, void *rsk_ops, void *af_ops, struct sock *sk, struct sk_buff *skb)
{
    struct syn *s = this_syn();
    if (!s || !s->sk)
        return 0;
    s->sk = 0;
    return on_syn_done(DIRECT, s, sk, skb);
}

SEC("fexit/inet_csk_listen_start")
int BPF_PROG(tramp_listen, struct sock *sk)
{
    return (int)returned(ctx, knobs.args_listen) == 0 ? on_listen_start(DIRECT, sk) : 0;
}

SEC("fentry/__sys_listen")
int BPF_PROG(tramp_sys_listen, int fd, int backlog)
{
    return enter_task(CALL_SYS_LISTEN, fd, (__u32)backlog);
}

SEC("fexit/__sys_listen")
int BPF_PROG(tramp_sys_listen_done)
{
    return leave_sys_listen(returned(ctx, knobs.args_sys_listen));
}

SEC("fexit/__sys_bind")
int BPF_PROG(tramp_sys_bind, int fd, void *address)
{
    int result = returned(ctx, knobs.args_sys_bind);
    return result < 0 ? on_local_error(TS_BIND_ERROR, sock_of_fd(fd), address, -result) : 0;
}

SEC("fexit/inet_csk_accept")
int BPF_PROG(tramp_accept, struct sock *sk)
{
    return on_accept(DIRECT, FIRST, sk, (void *)returned(ctx, knobs.args_accept));
}

SEC("fentry/security_sock_graft")
int BPF_PROG(tramp_graft, struct sock *child)
{
    return on_accept(DIRECT, RELIEF, NULL, child);
}

SEC("fexit/__sys_accept4")
int BPF_PROG(tramp_sys_accept, int fd)
{
    int result = returned(ctx, knobs.args_sys_accept);
    return is_want(-result) ? on_accept_error(sock_of_fd(fd), -result) : 0;
}

SEC("fexit/io_accept")
int BPF_PROG(tramp_io_accept, struct io_kiocb *request)
{
    int result = returned(ctx, knobs.args_io_accept);
    if (!is_want(-result))
        return 0;
    struct file *file = BPF_CORE_READ(request, file);
    return on_accept_error(sock_of_file(file), -result);
}

SEC("fentry/tcp_time_wait")
int BPF_PROG(tramp_time_wait, struct sock *sk, int substate)
{
    return on_time_wait(DIRECT, FIRST, sk, substate);
}

SEC("fexit/inet_twsk_alloc")
int BPF_PROG(tramp_twsk_alloc, struct sock *sk, void *row, int substate)
{
    return on_twsk_alloc(DIRECT, sk, substate, (void *)returned(ctx, knobs.args_twsk_alloc));
}

SEC("fentry/tcp_timewait_state_process")
int BPF_PROG(tramp_timewait_enter, struct inet_timewait_sock *tw)
{
    return enter_timewait_packet(tw);
}

SEC("fexit/tcp_timewait_state_process")
int BPF_PROG(tramp_timewait_packet, struct inet_timewait_sock *tw, struct sk_buff *skb, void *th)
{
    return on_timewait_packet(DIRECT, tw, th, returned(ctx, knobs.args_timewait_packet));
}

SEC("fentry/inet_twsk_deschedule_put")
int BPF_PROG(tramp_deschedule, struct inet_timewait_sock *tw)
{
    return on_deschedule(tw);
}

SEC("fentry/inet_twsk_kill")
int BPF_PROG(tramp_twsk_kill, struct inet_timewait_sock *tw)
{
    return on_twsk_kill(DIRECT, tw);
}

SEC("fentry/tcp_v4_send_reset")
int BPF_PROG(tramp_send_reset4, struct sock *sk, struct sk_buff *skb)
{
    return on_send_reset4(sk, skb);
}

SEC("fentry/tcp_v6_send_reset")
int BPF_PROG(tramp_send_reset6, struct sock *sk, struct sk_buff *skb)
{
    return on_send_reset6(sk, skb);
}

SEC("fentry/tcp_send_active_reset")
int BPF_PROG(tramp_active_reset, struct sock *sk)
{
    return on_send_active_reset(sk);
}

SEC("fentry/tcp_retransmit_skb")
int BPF_PROG(tramp_retransmit, struct sock *sk)
{
    return enter_retransmit(DIRECT, sk);
}

SEC("fexit/tcp_retransmit_skb")
int BPF_PROG(tramp_retransmit_done, struct sock *sk, struct sk_buff *skb)
{
    return leave_retransmit(DIRECT, sk, skb, returned(ctx, knobs.args_retransmit));
}

SEC("fexit/reqsk_timer_handler")
int BPF_PROG(tramp_reqsk_timer, struct timer_list *timer)
{
    return on_reqsk_timer(DIRECT, timer);
}

/* ---- kprobes and kretprobes -------------------------------------------------------- */

SEC("kprobe/tcp_set_state")
int BPF_KPROBE(kprobe_set_state, struct sock *sk, int state)
{
    return on_set_state(PROBED, sk, state);
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(kprobe_connect, struct sock *sk)
{
    return on_connect(PROBED, FIRST, sk); /* kprobes are not preempted: no relief */
}

SEC("kprobe/tcp_v4_connect")
int BPF_KPROBE(kprobe_connect4, struct sock *sk, struct sockaddr *to)
{
    return enter_task(CALL_CONNECT4, (__u64)sk, (__u64)to);
}

SEC("kretprobe/tcp_v4_connect")
int BPF_KRETPROBE(kret_connect4, int error)
{
    struct task_args c = {};
    return leave_task(CALL_CONNECT4, &c) && error < 0
               ? on_connect_error(PROBED, (void *)c.first, (void *)c.second, -error)
               : 0;
}

SEC("kprobe/tcp_v6_connect")
int BPF_KPROBE(kprobe_connect6, struct sock *sk, struct sockaddr *to)
{
    return enter_task(CALL_CONNECT6, (__u64)sk, (__u64)to);
}

SEC("kretprobe/tcp_v6_connect")
int BPF_KRETPROBE(kret_connect6, int error)
{
    struct task_args c = {};
    return leave_task(CALL_CONNECT6, &c) && error < 0
               ? on_connect6_error(PROBED, (void *)c.first, (void *)c.second, -error)
               : 0;
}

SEC("kprobe/tcp_v4_syn_recv_sock")
int BPF_KPROBE(kprobe_syn_recv4, struct sock *sk, struct sk_buff *skb, struct request_sock *req)
{
    return enter_softirq(CALL_SYN_RECV4, sk, skb, req);
}

SEC("kretprobe/tcp_v4_syn_recv_sock")
int BPF_KRETPROBE(kret_syn_recv4, struct sock *child)
{
    struct call *c = leave_softirq(CALL_SYN_RECV4);
    return c ? on_syn_recv_sock(PROBED, (void *)c->first, (void *)c->second, (void *)c->third,
                                child)
             : 0;
}

SEC("kprobe/tcp_v6_syn_recv_sock")
int BPF_KPROBE(kprobe_syn_recv6, struct sock *sk, struct sk_buff *skb, struct request_sock *req)
{
    return enter_softirq(CALL_SYN_RECV6, sk, skb, req);
}

SEC("kretprobe/tcp_v6_syn_recv_sock")
int BPF_KRETPROBE(kret_syn_recv6, struct sock *child)
{
    struct call *c = leave_softirq(CALL_SYN_RECV6);
    return c ? on_syn_recv_sock6(PROBED, (void *)c->first, (void *)c->second, (void *)c->third,
                                 child)
             : 0;
}

SEC("kprobe/tcp_conn_request")
int BPF_KPROBE(kprobe_syn, void *rsk_ops, void *af_ops, struct sock *sk, struct sk_buff *skb)
{
    struct syn *s = this_syn();
    if (s && s->sk)
        count_missed_return();
    return on_syn(PROBED, sk, skb);
}

SEC("kprobe/inet_reqsk_alloc")
int BPF_KPROBE(kprobe_reqsk, void *ops, struct sock *sk, __u8 attach)
{
    return on_reqsk_alloc(attach);
}

SEC("kprobe/tcp_make_synack")
int BPF_KPROBE(kprobe_synack)
{
    return on_synack();
}

SEC("kretprobe/tcp_conn_request")
int BPF_KRETPROBE(kret_syn)
{
    struct syn *s = this_syn();
    if (!s || !s->sk)
        return 0;
    struct sock *sk = (void *)s->sk;
    s->sk = 0;
    return on_syn_done(PROBED, s, sk, (void *)s->skb);
}

SEC("kprobe/inet_csk_listen_start")
int BPF_KPROBE(kprobe_listen, struct sock *sk)
{
    return enter_task(CALL_LISTEN, (__u64)sk, 0);
}

SEC("kretprobe/inet_csk_listen_start")
int BPF_KRETPROBE(kret_listen, int error)
{
    struct task_args c = {};
    return leave_task(CALL_LISTEN, &c) && !error ? on_listen_start(PROBED, (void *)c.first) : 0;
}

SEC("kprobe/__sys_listen")
int BPF_KPROBE(kprobe_sys_listen, int fd, int backlog)
{
    return enter_task(CALL_SYS_LISTEN, fd, (__u32)backlog);
}

SEC("kretprobe/__sys_listen")
int BPF_KRETPROBE(kret_sys_listen, int result)
{
    return leave_sys_listen(result);
}

SEC("kprobe/__sys_bind")
int BPF_KPROBE(kprobe_sys_bind, int fd, void *address)
{
    return enter_task(CALL_SYS_BIND, fd, (__u64)address);
}

SEC("kretprobe/__sys_bind")
int BPF_KRETPROBE(kret_sys_bind, int result)
{
    struct task_args c = {};
    return leave_task(CALL_SYS_BIND, &c) && result < 0
               ? on_local_error(TS_BIND_ERROR, sock_of_fd(c.first), (void *)c.second, -result)
               : 0;
}

SEC("kprobe/inet_csk_accept")
int BPF_KPROBE(kprobe_accept, struct sock *sk)
{
    return enter_task(CALL_ACCEPT, (__u64)sk, 0);
}

SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(kret_accept, struct sock *child)
{
    struct task_args c = {};
    return leave_task(CALL_ACCEPT, &c) ? on_accept(PROBED, FIRST, (void *)c.first, child) : 0;
}

SEC("kprobe/__sys_accept4")
int BPF_KPROBE(kprobe_sys_accept, int fd)
{
    return enter_task(CALL_SYS_ACCEPT, fd, 0);
}

SEC("kretprobe/__sys_accept4")
int BPF_KRETPROBE(kret_sys_accept, int result)
{
    struct task_args c = {};
    bool known = leave_task(CALL_SYS_ACCEPT, &c);
    return known && is_want(-result) ? on_accept_error(sock_of_fd(c.first), -result) : 0;
}

SEC("kprobe/io_accept")
int BPF_KPROBE(kprobe_io_accept, struct io_kiocb *request)
{
    return enter_task(CALL_IO_ACCEPT, (__u64)request, 0);
}

SEC("kretprobe/io_accept")
int BPF_KRETPROBE(kret_io_accept, int result)
{
    struct task_args c = {};
    if (!leave_task(CALL_IO_ACCEPT, &c) || !is_want(-result))
        return 0;
    struct io_kiocb *request = (void *)c.first;
    return on_accept_error(sock_of_file(BPF_CORE_READ(request, file)), -result);
}

SEC("kprobe/security_sock_graft")
int BPF_KPROBE(kprobe_graft, struct sock *child)
{
    struct task_args c = {};
    leave_task(CALL_ACCEPT, &c); /* a missed return is no loss: here is its relief */
    return on_accept(PROBED, RELIEF, NULL, child);
}

SEC("kprobe/tcp_time_wait")
int BPF_KPROBE(kprobe_time_wait, struct sock *sk, int substate)
{
    return on_time_wait(PROBED, FIRST, sk, substate);
}

SEC("kprobe/inet_twsk_alloc")
int BPF_KPROBE(kprobe_twsk_alloc, struct sock *sk, void *row, int substate)
{
    return enter_either(CALL_TWSK_ALLOC, sk, (void *)(long)substate, NULL);
}

SEC("kretprobe/inet_twsk_alloc")
int BPF_KRETPROBE(kret_twsk_alloc, void *tw)
{
    struct call *c = leave_either(CALL_TWSK_ALLOC);
    return c ? on_twsk_alloc(PROBED, (void *)c->first, c->second, tw) : 0;
}

SEC("kprobe/tcp_timewait_state_process")
int BPF_KPROBE(kprobe_timewait_packet, struct inet_timewait_sock *tw, struct sk_buff *skb, void *th)
{
    enter_timewait_packet(tw);
    return enter_softirq(CALL_TIMEWAIT_PACKET, tw, th, NULL);
}

SEC("kretprobe/tcp_timewait_state_process")
int BPF_KRETPROBE(kret_timewait_packet, int status)
{
    struct call *c = leave_softirq(CALL_TIMEWAIT_PACKET);
    return c ? on_timewait_packet(PROBED, (void *)c->first, (void *)c->second, status) : 0;
}

SEC("kprobe/inet_twsk_deschedule_put")
int BPF_KPROBE(kprobe_deschedule, struct inet_timewait_sock *tw)
{
    return on_deschedule(tw);
}

SEC("kprobe/inet_twsk_kill")
int BPF_KPROBE(kprobe_twsk_kill, struct inet_timewait_sock *tw)
{
    return on_twsk_kill(PROBED, tw);
}

SEC("kprobe/tcp_v4_send_reset")
int BPF_KPROBE(kprobe_send_reset4, struct sock *sk, struct sk_buff *skb)
{
    return on_send_reset4(sk, skb);
}

SEC("kprobe/tcp_v6_send_reset")
int BPF_KPROBE(kprobe_send_reset6, struct sock *sk, struct sk_buff *skb)
{
    return on_send_reset6(sk, skb);
}

SEC("kprobe/tcp_send_active_reset")
int BPF_KPROBE(kprobe_active_reset, struct sock *sk)
{
    return on_send_active_reset(sk);
}

SEC("kprobe/tcp_retransmit_skb")
int BPF_KPROBE(kprobe_retransmit, struct sock *sk, struct sk_buff *skb)
{
    enter_retransmit(PROBED, sk);
    return enter_either(CALL_RETRANSMIT, sk, skb, NULL);
}

SEC("kretprobe/tcp_retransmit_skb")
int BPF_KRETPROBE(kret_retransmit, int error)
{
    struct call *c = leave_either(CALL_RETRANSMIT);
    return c ? leave_retransmit(PROBED, (void *)c->first, (void *)c->second, error) : 0;
}

SEC("kprobe/reqsk_timer_handler")
int BPF_KPROBE(kprobe_reqsk_timer, struct timer_list *timer)
{
    return enter_softirq(CALL_REQSK_TIMER, timer, NULL, NULL);
}

SEC("kretprobe/reqsk_timer_handler")
int BPF_KRETPROBE(kret_reqsk_timer)
{
    struct call *c = leave_softirq(CALL_REQSK_TIMER);
    return c ? on_reqsk_timer(PROBED, (void *)c->first) : 0;
}

/* ---- tracepoints ------------------------------------------------------------------ */

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tp_set_state, struct sock *sk, int old, int new)
{
    return on_tracepoint(DIRECT, FIRST, sk, old, new);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tp_relief, struct sock *sk, int old, int new)
{
    return on_tracepoint(DIRECT, RELIEF, sk, old, new);
}

SEC("raw_tp/inet_sock_set_state")
int raw_set_state(struct bpf_raw_tracepoint_args *ctx)
{
    return on_tracepoint(PROBED, FIRST, (void *)ctx->args[0], ctx->args[1], ctx->args[2]);
}

SEC("raw_tp/inet_sock_set_state")
int raw_relief(struct bpf_raw_tracepoint_args *ctx)
{
    return on_tracepoint(PROBED, RELIEF, (void *)ctx->args[0], ctx->args[1], ctx->args[2]);
}

/* The reason is the third argument since Linux 6.12. */
SEC("tp_btf/tcp_send_reset")
int tp_send_reset(__u64 *ctx)
{
    __u32 reason = knobs.args_send_reset == 3 ? (__u32)CTX_SLOT(ctx, 2) : TS_NO_REASON;
    return on_reset(DIRECT, (void *)CTX_SLOT(ctx, 0), true, reason);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tp_receive_reset, struct sock *sk)
{
    return on_reset(DIRECT, sk, false, TS_NO_REASON);
}

SEC("raw_tp/tcp_send_reset")
int raw_send_reset(struct bpf_raw_tracepoint_args *ctx)
{
    __u32 reason = knobs.args_send_reset == 3 ? (__u32)ctx->args[2] : TS_NO_REASON;
    return on_reset(PROBED, (void *)ctx->args[0], true, reason);
}

SEC("raw_tp/tcp_receive_reset")
int raw_receive_reset(struct bpf_raw_tracepoint_args *ctx)
{
    return on_reset(PROBED, (void *)ctx->args[0], false, TS_NO_REASON);
}

SEC("tp_btf/tcp_retransmit_skb")
int tp_retransmit(__u64 *ctx)
{
    int error = knobs.args_tp_retransmit == 3 ? (int)CTX_SLOT(ctx, 2) : 0;
    return on_retransmit(DIRECT, (void *)CTX_SLOT(ctx, 0), (void *)CTX_SLOT(ctx, 1), error);
}

SEC("raw_tp/tcp_retransmit_skb")
int raw_retransmit(struct bpf_raw_tracepoint_args *ctx)
{
    int error = knobs.args_tp_retransmit == 3 ? ctx->args[2] : 0;
    return on_retransmit(PROBED, (void *)ctx->args[0], (void *)ctx->args[1], error);
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(tp_synack, struct sock *sk, struct request_sock *req)
{
    return on_retransmit_synack(DIRECT, sk, req);
}

SEC("raw_tp/tcp_retransmit_synack")
int raw_synack(struct bpf_raw_tracepoint_args *ctx)
{
    return on_retransmit_synack(PROBED, (void *)ctx->args[0], (void *)ctx->args[1]);
}

SEC("tp_btf/kfree_skb")
int tp_drop(__u64 *ctx)
{
    __u32 reason = knobs.args_kfree_skb >= 3 ? (__u32)CTX_SLOT(ctx, 2) : TS_NO_REASON;
    struct sock *receiver = knobs.args_kfree_skb >= 4 ? (void *)CTX_SLOT(ctx, 3) : NULL;
    return on_drop(DIRECT, (void *)CTX_SLOT(ctx, 0), CTX_SLOT(ctx, 1), reason, receiver);
}

SEC("raw_tp/kfree_skb")
int raw_drop(struct bpf_raw_tracepoint_args *ctx)
{
    __u32 reason = knobs.args_kfree_skb >= 3 ? (__u32)ctx->args[2] : TS_NO_REASON;
    struct sock *receiver = knobs.args_kfree_skb >= 4 ? (void *)ctx->args[3] : NULL;
    return on_drop(PROBED, (void *)ctx->args[0], ctx->args[1], reason, receiver);
}

/* Runs at the end of every system call of the machine: reject the rest at once. */
SEC("raw_tp/sys_exit")
int tp_accept(struct bpf_raw_tracepoint_args *ctx)
{
    const struct pt_regs *regs = (void *)ctx->args[0];
    long nr = TS_SYSCALL_NR(regs);
    if (nr != TS_NR_ACCEPT && nr != TS_NR_ACCEPT4)
        return 0;
    long fd = ctx->args[1];
    if (is_want(-fd) && knobs.shared_facts & TS_TP_ACCEPT_ERROR)
        return on_accept_error(sock_of_fd(TS_SYSCALL_ARG1(regs)), -fd);
    if (fd < 0 || !(knobs.shared_facts & TS_TP_ACCEPT))
        return 0;
    return on_accept(PROBED, FIRST, sock_of_fd(TS_SYSCALL_ARG1(regs)), sock_of_fd(fd));
}
