/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * The few kernel types and fields that tcpsaga reads, by name only: CO-RE finds
 * their offsets in the running kernel's BTF, so order and padding here mean
 * nothing and a build needs no kernel at all. Present with these names in every
 * kernel from 5.8 on unless a comment says otherwise. Source: include/net/sock.h,
 * inet_sock.h, inet_connection_sock.h, inet_timewait_sock.h, request_sock.h,
 * linux/tcp.h, linux/sched.h, linux/fdtable.h.
 */
#define __VMLINUX_H__ /* bpf_tracing.h: kernel names for registers */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include "registers.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
    __s64 counter;
} atomic64_t;
typedef struct {
    int counter;
} atomic_t;

struct ns_common {
    unsigned int inum;
};
struct netns_ipv4 {
    /* int before 5.13: read one byte, both architectures are little-endian */
    __u8 sysctl_tcp_syncookies;
    __u8 sysctl_tcp_abort_on_overflow;
    int sysctl_max_syn_backlog;
};
struct net {
    struct ns_common ns;
    struct netns_ipv4 ipv4;
};
typedef struct {
    struct net *net;
} possible_net_t;

struct in6_addr {
    union {
        __be32 u6_addr32[4];
    } in6_u;
};

struct net_device {
    possible_net_t nd_net;
};
struct dst_entry {
    struct net_device *dev;
};
struct rtable {   /* begins with its dst_entry */
    __u8 rt_type; /* wider; the value fits */
};
struct rt6_info { /* begins with its dst_entry, in a union before 6.6 */
    __u32 rt6i_flags;
};

struct sock;
struct sock_common {
    __be32 skc_daddr;
    __be32 skc_rcv_saddr;
    __be16 skc_dport;
    __u16 skc_num;
    unsigned short skc_family;
    volatile unsigned char skc_state;
    possible_net_t skc_net;
    struct in6_addr skc_v6_daddr;     /* CONFIG_IPV6 */
    struct in6_addr skc_v6_rcv_saddr; /* CONFIG_IPV6 */
    atomic64_t skc_cookie;
    unsigned long skc_flags;
    struct sock *skc_listener; /* in a union with it: a request's */
};

typedef struct {
    int owned;
} socket_lock_t;

struct kernfs_node {
    __u64 id;
};
struct cgroup {
    struct kernfs_node *kn;
    int level;
    struct cgroup *ancestors[1]; /* as many as levels, since 6.1 */
};
struct sock_cgroup_data {
    struct cgroup *cgroup; /* since 5.15 */
};

struct hlist_node {
    struct hlist_node **pprev;
};
struct timer_list {
    struct hlist_node entry;
    unsigned long expires; /* jiffies */
};

struct socket;
struct sock {
    struct sock_common __sk_common;
    struct sock_cgroup_data sk_cgrp_data;
    socket_lock_t sk_lock;
    struct socket *sk_socket;
    struct timer_list sk_timer;
    struct timer_list tcp_retransmit_timer; /* in a union with sk_timer, from 7.0 */
    int sk_err;
    __u16 sk_protocol;
    __u32 sk_ack_backlog;
    __u32 sk_max_ack_backlog;
    unsigned long sk_lingertime; /* int since 6.7: zero is zero */
};

struct inet_sock {
    struct sock sk;
    __be16 inet_sport;
};

struct request_sock_queue {
    atomic_t qlen;
};

struct inet_connection_sock {
    struct inet_sock icsk_inet;
    struct request_sock_queue icsk_accept_queue;
    __u32 icsk_user_timeout;
    unsigned long icsk_timeout;              /* gone since 6.15: that of the timer */
    struct timer_list icsk_retransmit_timer; /* gone since 7.0 */
    struct timer_list icsk_keepalive_timer; /* sk_timer before 7.0 and its like in stable kernels */
    __u8 icsk_pending;
    __u8 icsk_retransmits;
    __u8 icsk_probes_out;
};

struct tcp_sock {
    struct inet_connection_sock inet_conn;
    __u32 snd_una;
    __u32 snd_nxt;
    __u32 write_seq;
    __u32 copied_seq;
    __u32 rcv_nxt;
    __u32 srtt_us; /* eighths of a microsecond */
    __u32 total_retrans;
    __u64 bytes_acked;
    __u64 bytes_received;
    int linger2;
    __u64 bytes_sent;
    __u64 bytes_retrans;
};

struct inet_timewait_sock {
    struct sock_common __tw_common;
    volatile unsigned char tw_substate;
    struct timer_list tw_timer;
};

struct request_sock {
    struct sock_common __req_common;
    __u8 num_retrans;
    struct timer_list rsk_timer;
};
struct inet_request_sock {
    struct request_sock req;
};
struct tcp_request_sock {
    struct inet_request_sock req;
    __u64 snt_synack; /* microseconds of CLOCK_MONOTONIC (tcp_clock_us) */
};

struct sk_buff {
    __be16 protocol;
    __u16 transport_header;
    __u16 network_header;
    unsigned int tail; /* from head, on 64 bits */
    unsigned char *head;
    struct sock *sk; /* in an anonymous union, as dev is */
    struct net_device *dev;
    int skb_iif;
    unsigned long _skb_refdst; /* in an anonymous union */
    char cb[48];
};
struct tcp_skb_cb {
    __u8 tcp_flags;     /* 16 bits since 6.17: read one byte */
    __u16 tcp_gso_segs; /* in an anonymous union */
};

enum sock_flags {
    SOCK_DONE = 1, /* these are resolved from the running kernel's BTF */
    SOCK_LINGER = 2,
    SOCK_KEEPOPEN = 3,
    SOCK_DEAD = 4,
};

struct file;
struct socket {
    struct file *file;
    struct sock *sk;
};
struct inode {
    unsigned short i_mode;
    unsigned long i_ino; /* __u64 since 7.1 */
};
struct socket_alloc {
    struct socket socket;
    struct inode vfs_inode;
};
struct file {
    void *private_data;
    struct inode *f_inode;
};
struct fdtable {
    unsigned int max_fds;
    struct file **fd;
};
struct files_struct {
    struct fdtable *fdt;
};
struct rlimit {
    unsigned long rlim_cur;
};
struct signal_struct {
    struct rlimit rlim[16]; /* RLIM_NLIMITS */
};
struct upid {
    int nr;
};
struct pid {
    unsigned int level;
    struct upid numbers[1]; /* per level of pid namespaces, from the initial one */
};
typedef struct {
    unsigned int val;
} kuid_t;
struct cred {
    kuid_t uid;
};
struct task_struct {
    unsigned int flags;
    int tgid;
    __u64 start_boottime;
    struct task_struct *group_leader;
    struct pid *thread_pid;
    const struct cred *cred;
    char comm[16]; /* TASK_COMM_LEN */
    struct files_struct *files;
    struct signal_struct *signal;
};

struct seq_file;
struct bpf_iter_meta {
    struct seq_file *seq;
};
struct bpf_iter__task_file { /* its pointers are in anonymous unions */
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file;
};
struct bpf_iter__tcp {
    struct bpf_iter_meta *meta;
    struct sock_common *sk_common;
    __u32 uid;
};
struct sockaddr { /* either family's, by its own layout: include/uapi/linux/in{,6}.h */
    unsigned short sa_family;
};
struct io_kiocb {
    struct file *file; /* in an anonymous union */
};

#pragma clang attribute pop
