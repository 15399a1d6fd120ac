/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * The rows that the iterators of bpf/snapshot.bpf.c write. Host byte order; addresses are 16
 * bytes in network order, IPv4 as v4-mapped, as in abi.h.
 */
#include "tcpsaga/abi.h"

/* A descriptor of a TCP (or MPTCP) socket. */
struct ts_holder {
    __u64 inode;      /* of the socket, as /proc/PID/fd links name it */
    __u64 started_ns; /* the process, after boot (CLOCK_BOOTTIME) */
    __u32 pid;        /* thread group, initial pid namespace */
    __u32 inner_pid;  /* the same in its own pid namespace */
    __u32 uid;        /* real, initial user namespace */
    __s32 fd;
    char comm[TCPSAGA_COMM_LEN];
};

/* A socket, a request or a TIME_WAIT of one network namespace. */
struct ts_socket {
    __u64 cookie; /* its address where this kernel's BPF cannot make one and nobody has */
    __u64 inode;  /* 0 = nobody's */
    __u64 cgroup; /* id of the one (v2) that it was made in; 0 = not known */
    __u64 bytes_acked;
    __u64 bytes_received;
    __u64 bytes_sent;
    __u64 bytes_retrans;
    __u32 laddr[4];
    __u32 raddr[4];
    __u32 netns;
    __u32 uid;
    __u32 rx_queue;
    __u32 tx_queue;
    __u32 unsent;      /* of tx_queue */
    __s32 timer_ticks; /* until it fires, in ticks of the kernel's (CONFIG_HZ) */
    __u32 srtt_us;
    __u32 retransmits;
    __u16 lport;
    __u16 rport;
    __u8 state; /* a small socket's substate; NEW_SYN_RECV: a request */
    __u8 timer; /* as inet_diag's idiag_timer */
    __u8 retries;
    __u8 pad;
};

#ifdef __cplusplus
static_assert(sizeof(ts_holder) == 48, "ts_holder");
static_assert(sizeof(ts_socket) == 128, "ts_socket");
#else
_Static_assert(sizeof(struct ts_holder) == 48, "ts_holder");
_Static_assert(sizeof(struct ts_socket) == 128, "ts_socket");
#endif
