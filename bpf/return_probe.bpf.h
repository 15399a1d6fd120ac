/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * A kretprobe knows the result but no argument, so its kprobe keeps them. The kernel
 * has a bounded number of return instances and drops returns beyond (maxactive,
 * kernel/kprobes.c): arguments still here at the next entry are such a miss, and are
 * counted.
 */
#include "state.bpf.h"

struct call {
    __u64 first;
    __u64 second;
    __u64 third;
    __u64 open; /* entered and not returned */
};

enum softirq_call {
    CALL_SYN_RECV4,
    CALL_SYN_RECV6,
    CALL_TIMEWAIT_PACKET,
    CALL_REQSK_TIMER,
    /* These also run for a task, which a softirq may interrupt: a slot for each. */
    CALL_TWSK_ALLOC,
    CALL_TWSK_ALLOC_TASK,
    CALL_RETRANSMIT,
    CALL_RETRANSMIT_TASK,
    SOFTIRQ_CALLS
};

/* Calls that cannot sleep or be preempted by their like: a slot per CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SOFTIRQ_CALLS);
    __type(key, __u32);
    __type(value, struct call);
} softirq_calls SEC(".maps");

/* Calls in process context that may sleep for ever: a slot per thread. A thread that
 * dies inside one leaves its slot to the LRU. */
enum task_call {
    CALL_LISTEN,
    CALL_SYS_LISTEN,
    CALL_SYS_BIND,
    CALL_ACCEPT,
    CALL_SYS_ACCEPT,
    CALL_IO_ACCEPT,
    CALL_CONNECT4, /* inside of CALL_CONNECT6 for a v4-mapped address */
    CALL_CONNECT6,
};

struct task_args {
    __u64 first, second;
};

struct task_call_key {
    __u64 thread;
    __u64 call; /* enum task_call: accept nests in accept4 */
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct task_call_key);
    __type(value, struct task_args);
} task_calls SEC(".maps");

INLINE void count_missed_return(void)
{
    __sync_fetch_and_add(&my_counters()->missed, 1);
}

INLINE int enter_softirq(__u32 which, void *first, void *second, void *third)
{
    struct call *c = bpf_map_lookup_elem(&softirq_calls, &which);
    if (!c)
        return 0;
    if (c->open)
        count_missed_return();
    c->first = (__u64)first;
    c->second = (__u64)second;
    c->third = (__u64)third;
    c->open = 1;
    return 0;
}

/* The same for calls that also run for a task, which holds sk: `which`, which + 1 then. */
INLINE int enter_either(__u32 which, struct sock *sk, void *second, void *third)
{
    return enter_softirq(which + by_task(PROBED, sk), sk, second, third);
}

INLINE struct call *leave_softirq(__u32 which)
{
    struct call *c = bpf_map_lookup_elem(&softirq_calls, &which);
    if (!c || !c->open)
        return NULL;
    c->open = 0;
    return c;
}

INLINE int enter_task(enum task_call call, __u64 first, __u64 second)
{
    struct task_call_key key = {.thread = bpf_get_current_pid_tgid(), .call = call};
    struct task_args args = {.first = first, .second = second};
    if (bpf_map_lookup_elem(&task_calls, &key))
        count_missed_return();
    bpf_map_update_elem(&task_calls, &key, &args, BPF_ANY);
    return 0;
}

/* The arguments of the call that returns now; false when its entry was not seen. */
INLINE bool leave_task(enum task_call call, struct task_args *args)
{
    struct task_call_key key = {.thread = bpf_get_current_pid_tgid(), .call = call};
    struct task_args *found = bpf_map_lookup_elem(&task_calls, &key);
    if (!found)
        return false;
    *args = *found;
    bpf_map_delete_elem(&task_calls, &key);
    return true;
}

/* The innermost of the calls that enter_either() knows. */
INLINE struct call *leave_either(__u32 which)
{
    struct call *c = leave_softirq(which);
    return c ? c : leave_softirq(which + 1);
}
