/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * The record ABI: what the BPF programs write into the ring and the C++ decoder
 * reads from it. BPF reports facts as the kernel holds them; C++ interprets.
 *
 * All integers are in the host's byte order; ports too. Addresses are 16 bytes in
 * network order, IPv4 as v4-mapped (RFC 4291, 2.5.5.2), so that one comparison
 * serves both families.
 */
#include <linux/types.h>

#define TCPSAGA_COMM_LEN 16 /* TASK_COMM_LEN, linux/sched.h */
#define TCPSAGA_MAX_PORTS 16
#define TCPSAGA_MAX_CIDRS 8
#define TCPSAGA_MAX_NETNS 8
#define TCPSAGA_COUNTER_SLOTS 64 /* CPUs share slots beyond that; additions are atomic */
#define TCPSAGA_MAX_RINGS 16     /* a power of two */

enum ts_kind {
    TS_STATE = 1,           /* struct ts_state: a state change */
    TS_CONNECT = 2,         /* struct ts_head: SYN about to leave, 4-tuple complete */
    TS_BIRTH = 3,           /* struct ts_birth: a child socket was made by a final ACK */
    TS_LISTEN = 4,          /* struct ts_listen: listen() succeeded; old_state LISTEN: once more */
    TS_ACCEPT = 5,          /* struct ts_queue: accept() got this child */
    TS_TIME_WAIT_IN = 6,    /* struct ts_head: tcp_time_wait(); new_state = substate */
    TS_TIME_WAIT_TURN = 7,  /* struct ts_head: small socket FIN_WAIT2 -> TIME_WAIT */
    TS_TIME_WAIT_OUT = 8,   /* struct ts_head: small socket gone; old_state = substate */
    TS_RESET = 9,           /* struct ts_reset: a RST sent or received */
    TS_OVERFLOW = 10,       /* struct ts_overflow: a SYN or final ACK met a full queue */
    TS_ACCEPT_ERROR = 11,   /* struct ts_accept_error */
    TS_TIME_WAIT_FULL = 12, /* struct ts_head: no room for a small socket (tcp_max_tw_buckets) */
    TS_RETRANSMIT = 13,     /* struct ts_retransmit */
    TS_CONNECT_ERROR = 14,  /* struct ts_head: connect() failed before its SYN left */
    TS_BIND_ERROR = 15,     /* struct ts_head: bind() failed */
    TS_LISTEN_ERROR = 16,   /* struct ts_head: listen() failed */
    TS_SYNACK_TIMEOUT = 17, /* struct ts_head: a half-open connection's time is over; id: the
                             * listener's, the addresses are the packets' */
    TS_DROP = 18,           /* struct ts_drop: the kernel dropped a TCP packet */
    TS_KINDS = 19,
};

enum ts_flag {
    TS_BY_TASK = 1 << 0,   /* pid, uid and comm did this; else they are zero */
    TS_FIN_SEEN = 1 << 1,  /* the peer's FIN was received (SOCK_DONE) */
    TS_ALL_ACKED = 1 << 2, /* snd_una == write_seq */
    TS_EXITING = 1 << 3,   /* the task is exiting: the kernel closes for it */
};

/* What the socket was like as it went to CLOSE, in ts_head::detail of a TS_STATE. */
enum ts_close_detail {
    TS_UNREAD = 1 << 0,       /* received data that nobody has read */
    TS_LINGER_0 = 1 << 1,     /* SO_LINGER with a time of 0 */
    TS_ORPHAN = 1 << 2,       /* no process has it any more (SOCK_DEAD) */
    TS_KEEPALIVE = 1 << 3,    /* SO_KEEPALIVE */
    TS_USER_TIMEOUT = 1 << 4, /* TCP_USER_TIMEOUT */
    TS_LINGER2 = 1 << 5,      /* TCP_LINGER2 below 0: no FIN_WAIT2 after close() */
};

/* Why a small socket went, in ts_head::detail. */
enum ts_tw_end {
    TS_TW_UNKNOWN,
    TS_TW_EXPIRED, /* by its timer */
    TS_TW_REUSED,  /* a new connection took its 4-tuple: connect() or a SYN */
    TS_TW_RESET,   /* a RST (RFC 1337 says not to heed it; net.ipv4.tcp_rfc1337) */
    TS_TW_PURGED,  /* its network namespace went */
};

/*
 * Every record starts with this. `id` is the socket cookie, or the kernel address
 * of the socket where no cookie could be had (top bit set: cookies count from 1,
 * kernel addresses of x86_64 and arm64 are in the upper half).
 */
struct ts_head {
    __u64 ts_ns; /* CLOCK_MONOTONIC */
    __u64 id;
    __u32 netns; /* inode number of the network namespace */
    __u8 kind;   /* enum ts_kind */
    __u8 family; /* 4 or 6; v4-mapped is 4 */
    __u8 flags;  /* enum ts_flag */
    __u8 detail; /* TS_TIME_WAIT_OUT: enum ts_tw_end; TS_STATE: enum ts_close_detail */
    __u16 lport;
    __u16 rport;
    __u32 pid; /* thread group id in the initial pid namespace */
    __u8 laddr[16];
    __u8 raddr[16];
    __u32 uid;
    __u8 old_state; /* kernel state numbers, include/net/tcp_states.h */
    __u8 new_state;
    __u16 error; /* sk_err: a positive errno, 0 for none */
    char comm[TCPSAGA_COMM_LEN];
};

/* A state change. The counters are those of struct tcp_sock at that moment, and TS_ALL_ACKED; they
 * are left zero where the new state is between ESTABLISHED and CLOSE. */
struct ts_state {
    struct ts_head head;
    __u64 bytes_acked;    /* RFC 4898 tcpEStatsAppHCThruOctetsAcked, SYN and FIN included */
    __u64 bytes_received; /* tcpEStatsAppHCThruOctetsReceived, FIN included */
    __u32 srtt_us;        /* smoothed RTT in microseconds, 0 when never measured */
    __u32 total_retrans;  /* segments retransmitted, SYN included */
};

/* A listener's queue, or for TS_ACCEPT the child's listener's. */
struct ts_queue {
    struct ts_head head;
    __u64 listener;    /* id as in ts_head; 0 when unknown */
    __u32 acceptq;     /* sk_ack_backlog: children waiting for accept() */
    __u32 acceptq_max; /* sk_max_ack_backlog: the effective backlog */
};

struct ts_listen {
    struct ts_queue queue;
    __u32 asked; /* listen()'s argument, before somaxconn bounds it */
    __u32 has_asked;
};

struct ts_birth {
    struct ts_queue queue;
    __u64 synack_ns; /* first SYN-ACK, CLOCK_MONOTONIC; 0 when unknown (cookies) */
};

enum ts_retransmitted { TS_RE_SYN, TS_RE_SYNACK, TS_RE_DATA, TS_RE_FIN, TS_RETRANSMITTED };

/* head: for a SYN-ACK before there is a child, id is the listener's and the addresses are the
 * packet's. error: errno with which this host itself refused to send it. */
struct ts_retransmit {
    struct ts_head head;
    __u32 what; /* enum ts_retransmitted */
    __u32 nth;  /* of this connection, in segments; of a SYN-ACK: of this request */
    __u32 segments;
    __u32 pad;
};

#define TS_NO_REASON 0xffffffffU

struct ts_reset {
    struct ts_head head;
    __u32 reason; /* the running kernel's enum sk_rst_reason, or TS_NO_REASON */
    __u32 sent;   /* 1 sent, 0 received */
};

/*
 * What a full queue did to a packet. tcp_conn_request looks at the SYN queue first, then at
 * the accept queue, then at max_syn_backlog (net/ipv4/tcp_input.c).
 */
enum ts_overflow_kind {
    TS_SYN_DROP,         /* SYN queue full, no cookies: TCPReqQFullDrop */
    TS_SYN_COOKIE,       /* SYN queue full (or cookies always on), answered with a cookie */
    TS_SYN_BACKLOG_DROP, /* cookies off, three quarters of max_syn_backlog taken */
    TS_SYN_ACCEPTQ_DROP, /* SYN met a full accept queue: ListenOverflows */
    TS_ACK_DROP,         /* final ACK met a full accept queue: ListenOverflows */
    TS_ACK_RESET,        /* the same, answered with RST (tcp_abort_on_overflow) */
    TS_OVERFLOW_KINDS,
    TS_ACCEPT_FAILED = TS_OVERFLOW_KINDS, /* no packet, but counted and limited alike */
    TS_LIMITED_KINDS,
};

/* head: id is the listener's, laddr and raddr are the packet's destination and source. */
struct ts_overflow {
    struct ts_head head;
    __u64 total; /* of this kind at this listener so far, told or not */
    __u32 synq;  /* requests that wait for their final ACK */
    __u32 acceptq;
    __u32 acceptq_max;
    __u32 kind; /* enum ts_overflow_kind */
};

/* queue.head is the listener's, its error the errno; the task is the one that failed. */
struct ts_accept_error {
    struct ts_queue queue;
    __u64 total;    /* at this listener so far, told or not */
    __u64 fd_limit; /* RLIMIT_NOFILE of the task */
};

/* head: id 0; the packet's ends, its source remote unless this host sent it. */
struct ts_drop {
    struct ts_head head;
    __u64 location; /* of the kernel's code, after its call of kfree_skb() */
    __u64 total;    /* of this reason and place in this namespace so far, told or not */
    __u32 reason;   /* the running kernel's enum skb_drop_reason, or TS_NO_REASON */
    __u32 pad;
};

struct ts_drop_key {
    __u64 location;
    __u32 netns;
    __u32 reason;
};

/* Exact, whatever the ring could take. */
struct ts_drop_counts {
    __u64 total;
    __u64 second; /* as in ts_listener_counts */
    __u64 told;
};

struct ts_listener_key {
    __u64 id;
    __u32 netns;
    __u32 pad;
};

/* Exact, whatever the ring could take. */
struct ts_listener_counts {
    __u64 total[TS_LIMITED_KINDS];
    __u64 second[TS_LIMITED_KINDS]; /* CLOCK_MONOTONIC second of the last told ones */
    __u64 told[TS_LIMITED_KINDS];   /* in that second */
    __u64 other_drops;              /* SYNs and ACKs that listening dropped for other reasons */
    __u64 cookies_wanted;           /* SYN queue full and cookies on, dropped later or not */
};

/* By network namespace (its inode number). Exact, whatever the ring could take. */
struct ts_netns_counts {
    __u64 rsts_sent; /* what Tcp.OutRsts counts, those without a socket included */
};

/* Knobs in read-only data: the verifier removes what they switch off. */
struct ts_cidr {
    __u32 addr[4]; /* network order, already masked */
    __u32 mask[4];
};

struct ts_filter {
    __u32 n_ports, n_lports, n_rports, n_cidrs, n_netns;
    __u8 family; /* 0 = both */
    __u8 pad[3];
    __u16 ports[TCPSAGA_MAX_PORTS]; /* either end */
    __u16 lports[TCPSAGA_MAX_PORTS];
    __u16 rports[TCPSAGA_MAX_PORTS];
    __u32 netns[TCPSAGA_MAX_NETNS];
    struct ts_cidr cidrs[TCPSAGA_MAX_CIDRS]; /* either end */
    __u64 cgroup;                            /* its id, which is its inode number; 0 = all */
};

/* Drop reasons that are known by their number. Subsystems' own begin at 1 << 16
 * (include/net/dropreason.h): those are never ignored. */
#define TCPSAGA_DROP_REASONS 256

/* What programs that see several facts are to report of them. */
enum ts_shared_facts {
    TS_TP_STATE = 1 << 0,        /* every change but the two below */
    TS_TP_BIRTH = 1 << 1,        /* a child's SYN_RECV */
    TS_TP_LISTEN = 1 << 2,       /* -> LISTEN */
    TS_TP_ACCEPT = 1 << 3,       /* at sys_exit: accept() */
    TS_TP_ACCEPT_ERROR = 1 << 4, /* at sys_exit: its failures */
    TS_FN_BIRTH = 1 << 5,        /* at tcp_v4/v6_syn_recv_sock: a child */
    TS_FN_REFUSED = 1 << 6,      /* at tcp_v4/v6_syn_recv_sock: none, the queue is full */
    TS_FN_TW_TURN = 1 << 7,      /* at tcp_timewait_state_process: FIN_WAIT2 -> TIME_WAIT */
    TS_FN_LISTEN = 1 << 8,       /* at __sys_listen: what was asked, and listen() again */
};

struct ts_knobs {
    struct ts_filter filter;
    __u32 ring_mask; /* one less than how many rings there are, a power of two */
    __u32 pad;
    __u64 wake_ns;       /* wake the consumer when its CPU has not done so for this long */
    __u32 have_cookie;   /* bpf_get_socket_cookie() exists for tracing programs */
    __u32 shared_facts;  /* enum ts_shared_facts */
    __u32 untold_states; /* a bit per state: a change to it is not recorded */
    __u32 tell_syn_sent; /* tcp_connect is not hooked: report -> SYN_SENT, without port */
    __u32 args_accept;   /* argument counts of the running kernel's functions, */
    __u32 args_listen;   /* from its BTF: a fexit's result follows the last one */
    __u32 args_syn_recv;
    __u32 args_send_reset; /* of the tracepoint, without its leading void * */
    __u32 args_sys_accept;
    __u32 args_io_accept;
    __u32 args_timewait_packet;
    __u32 args_retransmit;
    __u32 args_tp_retransmit; /* of the tracepoint */
    __u32 args_twsk_alloc;
    __u32 args_connect;
    __u32 args_sys_listen;
    __u32 args_sys_bind;
    __u32 overflow_rate;  /* records per listener, kind and second; per reason and place of drops */
    __u32 args_kfree_skb; /* of the tracepoint */
    __u64 no_loss[TCPSAGA_DROP_REASONS / 64]; /* a bit per drop reason that is not recorded */
};

/* One slot per CPU. Mapped into the consumer, not looked up: a map system call switches
 * kprobe programs off on its CPU for its time (kernel/bpf/syscall.c,
 * bpf_disable_instrumentation). */
struct ts_counters {
    __u64 lost[TS_KINDS]; /* ring-buffer reservations that failed, by kind */
    __u64 missed;         /* return probes that never fired */
    __u64 woken_ns;       /* the consumer, last; by any CPU of this slot */
    __u64 pad[3];         /* to whole cache lines */
};

#ifdef __cplusplus
#define TCPSAGA_ABI_ASSERT static_assert
#else
#define TCPSAGA_ABI_ASSERT _Static_assert
#endif
TCPSAGA_ABI_ASSERT(sizeof(struct ts_head) == 88, "ts_head");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_state) == 112, "ts_state");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_queue) == 104, "ts_queue");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_listen) == 112, "ts_listen");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_birth) == 112, "ts_birth");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_retransmit) == 104, "ts_retransmit");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_reset) == 96, "ts_reset");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_overflow) == 112, "ts_overflow");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_accept_error) == 120, "ts_accept_error");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_drop) == 112, "ts_drop");
TCPSAGA_ABI_ASSERT(sizeof(struct ts_counters) == 192, "ts_counters");
TCPSAGA_ABI_ASSERT(__builtin_offsetof(struct ts_head, laddr) == 32, "laddr");
TCPSAGA_ABI_ASSERT(__builtin_offsetof(struct ts_head, comm) == 72, "comm");
#undef TCPSAGA_ABI_ASSERT
