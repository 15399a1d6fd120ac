// SPDX-License-Identifier: BSD-2-Clause
#include <array>

#include "tcpsaga/attach.h"

namespace tcpsaga {
namespace {

using enum HookKind;
using Mechanism::tracepoint;
using Mechanism::trampoline;

// One program serves several facts of the same tracepoint; ts_knobs tells it which. The
// relief must be attached after the program that it stands by for (bpf/state.bpf.h).
constexpr Hook relief{"tp_relief", tp_btf, "inet_sock_set_state"};
constexpr Hook raw_relief{"raw_relief", raw_tp, "inet_sock_set_state"};
constexpr std::array on_tracepoint{Hook{"tp_set_state", tp_btf, "inet_sock_set_state"}, relief};
constexpr std::array on_raw_tracepoint{Hook{"raw_set_state", raw_tp, "inet_sock_set_state"},
                                       raw_relief};

constexpr std::array state_tramp{Hook{"tramp_set_state", fentry, "tcp_set_state"}, relief};
constexpr std::array state_kprobe{Hook{"kprobe_set_state", kprobe, "tcp_set_state"}, raw_relief};
constexpr std::array state_ways{
    Alternative{trampoline, state_tramp, ""}, Alternative{Mechanism::kprobe, state_kprobe, ""},
    Alternative{tracepoint, on_tracepoint, ""},
    Alternative{tracepoint, on_raw_tracepoint, ""}, // a kernel without BTF
};

constexpr std::array child_tramp{
    Hook{"tramp_syn_recv4", fexit, "tcp_v4_syn_recv_sock"},
    Hook{"tramp_syn_recv6", fexit, "tcp_v6_syn_recv_sock"},
};
constexpr std::array child_kprobe{
    Hook{"kprobe_syn_recv4", kprobe, "tcp_v4_syn_recv_sock"},
    Hook{"kret_syn_recv4", kretprobe, "tcp_v4_syn_recv_sock"},
    Hook{"kprobe_syn_recv6", kprobe, "tcp_v6_syn_recv_sock"},
    Hook{"kret_syn_recv6", kretprobe, "tcp_v6_syn_recv_sock"},
};
constexpr std::string_view no_synack =
    "the SYN-ACK's time: a server's handshake is its first RTT sample";
constexpr std::array child_ways{
    Alternative{trampoline, child_tramp, ""},
    Alternative{Mechanism::kprobe, child_kprobe, ""},
    Alternative{tracepoint, on_tracepoint, no_synack},
    Alternative{tracepoint, on_raw_tracepoint, no_synack},
};

// What was asked for, and also that it failed, see below.
constexpr Hook sys_listen_enter{"tramp_sys_listen", fentry, "__sys_listen"};
constexpr Hook sys_listen_leave{"tramp_sys_listen_done", fexit, "__sys_listen"};
constexpr Hook sys_listen_probe{"kprobe_sys_listen", kprobe, "__sys_listen"};
constexpr Hook sys_listen_return{"kret_sys_listen", kretprobe, "__sys_listen"};
constexpr std::array listen_tramp{
    Hook{"tramp_listen", fexit, "inet_csk_listen_start"},
    sys_listen_enter,
    sys_listen_leave,
};
constexpr std::array listen_kprobe{
    Hook{"kprobe_listen", kprobe, "inet_csk_listen_start"},
    Hook{"kret_listen", kretprobe, "inet_csk_listen_start"},
    sys_listen_probe,
    sys_listen_return,
};
constexpr std::string_view not_asked = "the backlog that was asked for, and its later changes";
constexpr std::array listen_ways{
    Alternative{trampoline, listen_tramp, ""}, Alternative{Mechanism::kprobe, listen_kprobe, ""},
    Alternative{tracepoint, on_tracepoint, not_asked},
    Alternative{tracepoint, on_raw_tracepoint, not_asked}, // a kernel without BTF
};

constexpr std::array bind_tramp{
    Hook{"tramp_sys_bind", fexit, "__sys_bind"},
    sys_listen_enter,
    sys_listen_leave,
};
constexpr std::array bind_kprobe{
    Hook{"kprobe_sys_bind", kprobe, "__sys_bind"},
    Hook{"kret_sys_bind", kretprobe, "__sys_bind"},
    sys_listen_probe,
    sys_listen_return,
};
constexpr std::array bind_ways{
    Alternative{trampoline, bind_tramp, ""},
    Alternative{Mechanism::kprobe, bind_kprobe, ""},
};

constexpr std::array connect_tramp{Hook{"tramp_connect", fentry, "tcp_connect"},
                                   Hook{"tramp_connect_relief", fexit, "tcp_connect"}};
constexpr std::array connect_kprobe{Hook{"kprobe_connect", kprobe, "tcp_connect"}};
constexpr std::array connect_ways{
    Alternative{trampoline, connect_tramp, ""},
    Alternative{Mechanism::kprobe, connect_kprobe, ""},
    Alternative{tracepoint, {}, "connect is shown when SYN_SENT ends, with the time it began"},
};

constexpr std::array failure_tramp{
    Hook{"tramp_connect4", fexit, "tcp_v4_connect"},
    Hook{"tramp_connect6", fexit, "tcp_v6_connect"},
};
constexpr std::array failure_kprobe{
    Hook{"kprobe_connect4", kprobe, "tcp_v4_connect"},
    Hook{"kret_connect4", kretprobe, "tcp_v4_connect"},
    Hook{"kprobe_connect6", kprobe, "tcp_v6_connect"},
    Hook{"kret_connect6", kretprobe, "tcp_v6_connect"},
};
constexpr std::array failure_ways{
    Alternative{trampoline, failure_tramp, ""},
    Alternative{Mechanism::kprobe, failure_kprobe, ""},
    Alternative{tracepoint, {}, "connects without a route, and why the others sent no SYN"},
};

constexpr Hook accept_return{"tramp_accept", fexit, "inet_csk_accept"};
constexpr Hook accept_enter{"kprobe_accept", kprobe, "inet_csk_accept"};
constexpr Hook accept_leave{"kret_accept", kretprobe, "inet_csk_accept"};
constexpr std::array accept_tramp{accept_return,
                                  Hook{"tramp_graft", fentry, "security_sock_graft"}};
constexpr std::array accept_kprobe{accept_enter, accept_leave,
                                   Hook{"kprobe_graft", kprobe, "security_sock_graft"}};
// Without CONFIG_SECURITY_NETWORK there is no security_sock_graft.
constexpr std::array accept_tramp_alone{accept_return};
constexpr std::array accept_kprobe_alone{accept_enter, accept_leave};
constexpr std::string_view no_relief =
    "the first accept of each thread that waits in accept() as we start";
constexpr std::array accept_tp{Hook{"tp_accept", raw_tp, "sys_exit"}};
constexpr std::array accept_ways{
    Alternative{trampoline, accept_tramp, ""},
    Alternative{trampoline, accept_tramp_alone, no_relief},
    Alternative{Mechanism::kprobe, accept_kprobe, ""},
    Alternative{Mechanism::kprobe, accept_kprobe_alone, no_relief},
    Alternative{tracepoint, accept_tp,
                "io_uring's accepts, and one now and then where the kernel preempts us; every "
                "system call costs a little more while we run"},
};

constexpr std::array tw_tramp{
    Hook{"tramp_time_wait", fentry, "tcp_time_wait"},
    Hook{"tramp_twsk_alloc", fexit, "inet_twsk_alloc"},
};
constexpr std::array tw_kprobe{
    Hook{"kprobe_time_wait", kprobe, "tcp_time_wait"},
    Hook{"kprobe_twsk_alloc", kprobe, "inet_twsk_alloc"},
    Hook{"kret_twsk_alloc", kretprobe, "inet_twsk_alloc"},
};
constexpr std::array tw_ways{
    Alternative{trampoline, tw_tramp, ""},
    Alternative{Mechanism::kprobe, tw_kprobe, ""},
    Alternative{tracepoint,
                {},
                "TIME_WAIT is inferred from the states before it; an overflow of "
                "tcp_max_tw_buckets is not seen"},
};

// Also tells what ends a TIME_WAIT, see below.
constexpr Hook packet_leave{"tramp_timewait_packet", fexit, "tcp_timewait_state_process"};
constexpr Hook packet_probe{"kprobe_timewait_packet", kprobe, "tcp_timewait_state_process"};
constexpr Hook packet_return{"kret_timewait_packet", kretprobe, "tcp_timewait_state_process"};
constexpr std::array turn_tramp{packet_leave};
constexpr std::array turn_kprobe{packet_probe, packet_return};
constexpr std::array turn_ways{
    Alternative{trampoline, turn_tramp, ""},
    Alternative{Mechanism::kprobe, turn_kprobe, ""},
};

constexpr std::array exit_tramp{
    Hook{"tramp_timewait_enter", fentry, "tcp_timewait_state_process"},
    packet_leave,
    Hook{"tramp_deschedule", fentry, "inet_twsk_deschedule_put"},
    Hook{"tramp_twsk_kill", fentry, "inet_twsk_kill"},
};
constexpr std::array exit_kprobe{
    packet_probe,
    packet_return,
    Hook{"kprobe_deschedule", kprobe, "inet_twsk_deschedule_put"},
    Hook{"kprobe_twsk_kill", kprobe, "inet_twsk_kill"},
};
constexpr std::array exit_ways{
    Alternative{trampoline, exit_tramp, ""},
    Alternative{Mechanism::kprobe, exit_kprobe, ""},
};

constexpr std::array sent_tp{Hook{"tp_send_reset", tp_btf, "tcp_send_reset"}};
constexpr std::array sent_raw{Hook{"raw_send_reset", raw_tp, "tcp_send_reset"}};
constexpr std::array sent_ways{
    Alternative{tracepoint, sent_tp, ""},
    Alternative{tracepoint, sent_raw, ""},
};

constexpr std::array count_tramp{
    Hook{"tramp_send_reset4", fentry, "tcp_v4_send_reset"},
    Hook{"tramp_send_reset6", fentry, "tcp_v6_send_reset"},
    Hook{"tramp_active_reset", fentry, "tcp_send_active_reset"},
};
constexpr std::array count_kprobe{
    Hook{"kprobe_send_reset4", kprobe, "tcp_v4_send_reset"},
    Hook{"kprobe_send_reset6", kprobe, "tcp_v6_send_reset"},
    Hook{"kprobe_active_reset", kprobe, "tcp_send_active_reset"},
};
constexpr std::array count_ways{
    Alternative{trampoline, count_tramp, ""},
    Alternative{Mechanism::kprobe, count_kprobe, ""},
};

constexpr Hook retransmitted{"tp_retransmit", tp_btf, "tcp_retransmit_skb"};
constexpr Hook raw_retransmitted{"raw_retransmit", raw_tp, "tcp_retransmit_skb"};
constexpr std::array retransmit_tramp{
    Hook{"tramp_retransmit", fentry, "tcp_retransmit_skb"},
    Hook{"tramp_retransmit_done", fexit, "tcp_retransmit_skb"},
    retransmitted,
};
constexpr std::array retransmit_kprobe{
    Hook{"kprobe_retransmit", kprobe, "tcp_retransmit_skb"},
    Hook{"kret_retransmit", kretprobe, "tcp_retransmit_skb"},
    raw_retransmitted,
};
constexpr std::array retransmit_tp{retransmitted};
constexpr std::array retransmit_raw{raw_retransmitted};
constexpr std::string_view no_refused =
    "before Linux 6.15: retransmissions that this host itself refuses to send";
constexpr std::array retransmit_ways{
    Alternative{trampoline, retransmit_tramp, ""},
    Alternative{Mechanism::kprobe, retransmit_kprobe, ""},
    Alternative{tracepoint, retransmit_tp, no_refused},
    Alternative{tracepoint, retransmit_raw, no_refused},
};

constexpr std::array synack_tp{Hook{"tp_synack", tp_btf, "tcp_retransmit_synack"}};
constexpr std::array synack_raw{Hook{"raw_synack", raw_tp, "tcp_retransmit_synack"}};
constexpr std::array synack_ways{
    Alternative{tracepoint, synack_tp, ""},
    Alternative{tracepoint, synack_raw, ""},
};

constexpr std::array timeout_tramp{Hook{"tramp_reqsk_timer", fexit, "reqsk_timer_handler"}};
constexpr std::array timeout_kprobe{
    Hook{"kprobe_reqsk_timer", kprobe, "reqsk_timer_handler"},
    Hook{"kret_reqsk_timer", kretprobe, "reqsk_timer_handler"},
};
constexpr std::array timeout_ways{
    Alternative{trampoline, timeout_tramp, ""},
    Alternative{Mechanism::kprobe, timeout_kprobe, ""},
};

constexpr std::array received_tp{Hook{"tp_receive_reset", tp_btf, "tcp_receive_reset"}};
constexpr std::array received_raw{Hook{"raw_receive_reset", raw_tp, "tcp_receive_reset"}};
constexpr std::array received_ways{
    Alternative{tracepoint, received_tp, ""},
    Alternative{tracepoint, received_raw, ""},
};

constexpr std::array syn_tramp{
    Hook{"tramp_syn", fentry, "tcp_conn_request"},
    Hook{"tramp_reqsk", fentry, "inet_reqsk_alloc"},
    Hook{"tramp_synack", fentry, "tcp_make_synack"},
    Hook{"tramp_syn_done", fexit, "tcp_conn_request"},
};
constexpr std::array syn_kprobe{
    Hook{"kprobe_syn", kprobe, "tcp_conn_request"},
    Hook{"kprobe_reqsk", kprobe, "inet_reqsk_alloc"},
    Hook{"kprobe_synack", kprobe, "tcp_make_synack"},
    Hook{"kret_syn", kretprobe, "tcp_conn_request"},
};
constexpr std::string_view polled_only =
    "overflows are found by looking at the listeners' drop counters every 200 ms (every second "
    "while all is quiet): no client, no stage, no cookies";
constexpr std::array syn_ways{
    Alternative{trampoline, syn_tramp, ""},
    Alternative{Mechanism::kprobe, syn_kprobe, ""},
    Alternative{tracepoint, {}, polled_only},
};

constexpr Hook sys_accept_leave{"tramp_sys_accept", fexit, "__sys_accept4"};
constexpr std::array error_tramp{sys_accept_leave, Hook{"tramp_io_accept", fexit, "io_accept"}};
constexpr std::array error_tramp_sys{sys_accept_leave};
constexpr Hook sys_accept_probe{"kprobe_sys_accept", kprobe, "__sys_accept4"};
constexpr Hook sys_accept_return{"kret_sys_accept", kretprobe, "__sys_accept4"};
constexpr std::array error_kprobe{sys_accept_probe, sys_accept_return,
                                  Hook{"kprobe_io_accept", kprobe, "io_accept"},
                                  Hook{"kret_io_accept", kretprobe, "io_accept"}};
constexpr std::array error_kprobe_sys{sys_accept_probe, sys_accept_return};
constexpr std::string_view no_io_uring = "failures of io_uring's accepts";
constexpr std::array error_ways{
    Alternative{trampoline, error_tramp, ""},
    Alternative{trampoline, error_tramp_sys, no_io_uring}, // io_accept is inlined before 6.1
    Alternative{Mechanism::kprobe, error_kprobe, ""},
    Alternative{Mechanism::kprobe, error_kprobe_sys, no_io_uring},
    Alternative{tracepoint, accept_tp, no_io_uring},
};

// The hooks of `child` see the refused ACKs too.
constexpr std::array ack_ways{
    Alternative{trampoline, child_tramp, ""},
    Alternative{Mechanism::kprobe, child_kprobe, ""},
    Alternative{tracepoint, {}, polled_only},
};

constexpr std::array drop_tp{Hook{"tp_drop", tp_btf, "kfree_skb"}};
constexpr std::array drop_raw{Hook{"raw_drop", raw_tp, "kfree_skb"}};
constexpr std::array drop_ways{
    Alternative{tracepoint, drop_tp, ""},
    Alternative{tracepoint, drop_raw, ""},
};

constexpr std::array table{
    Fact{FactId::state, "state", "every state change of a full socket", "every state change",
         state_ways},
    Fact{FactId::child, "child", "the birth of a server's connection",
         "the start of servers' connections: they appear at their first state change", child_ways},
    Fact{FactId::listen, "listen", "a listener starts", "listeners that start", listen_ways},
    Fact{FactId::bind_error, "bind_error", "bind() or listen() fails",
         "bind() and listen() calls that fail", bind_ways},
    Fact{FactId::connect, "connect", "an active open, before its SYN leaves",
         "connect is shown when SYN_SENT ends", connect_ways},
    Fact{FactId::connect_error, "connect_error", "connect() fails before its SYN leaves",
         "connect() calls that fail before their SYN leaves", failure_ways},
    Fact{FactId::accept, "accept", "accept() and the process that got the connection",
         "accept events, and the process of a connection until it acts on it", accept_ways},
    Fact{FactId::time_wait, "time_wait", "the entry into TIME_WAIT",
         "TIME_WAIT is inferred from the states before it", tw_ways},
    Fact{FactId::time_wait_turn, "time_wait_turn",
         "FIN_WAIT2 held as a small socket turns to TIME_WAIT",
         "the turn to TIME_WAIT of connections whose FIN_WAIT2 outlived their socket", turn_ways},
    Fact{FactId::time_wait_exit, "time_wait_exit", "the end of a TIME_WAIT, and why",
         "the end of TIME_WAIT, why, and the time it was held", exit_ways},
    Fact{FactId::retransmit, "retransmit", "a segment is retransmitted", "retransmissions",
         retransmit_ways},
    Fact{FactId::retransmit_synack, "retransmit_synack", "a SYN-ACK is retransmitted",
         "retransmitted SYN-ACKs", synack_ways},
    Fact{FactId::synack_timeout, "synack_timeout", "a half-open connection is given up",
         "half-open connections that are given up", timeout_ways},
    // The same tracepoint on every kernel: a function hook would tell no more.
    Fact{FactId::reset_sent, "reset_sent", "a socket sends a RST", "RSTs that are sent", sent_ways},
    Fact{FactId::reset_received, "reset_received", "a socket receives a RST",
         "RSTs that are received", received_ways},
    Fact{FactId::reset_count, "reset_count", "how many RSTs are sent, without a socket too",
         "the audit of Tcp.OutRsts", count_ways},
    Fact{FactId::overflow_syn, "overflow_syn", "a SYN meets a full queue",
         "SYNs that are dropped at a full queue, or answered with a cookie", syn_ways},
    Fact{FactId::overflow_ack, "overflow_ack", "a final ACK meets a full accept queue",
         "final ACKs that meet a full accept queue", ack_ways},
    Fact{FactId::accept_error, "accept_error", "accept() fails for want of a descriptor or memory",
         "accept() calls that fail for want of a descriptor or memory", error_ways},
    Fact{FactId::drop, "drop", "the kernel drops a TCP packet, where, and since Linux 5.17 why",
         "packets that the kernel drops", drop_ways, "--drops"},
};

} // namespace

std::span<const Fact> facts()
{
    return table;
}

} // namespace tcpsaga
