/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/*
 * The registers of a kprobe or system call, per architecture. The layouts are the
 * kernels' own ABI (arch/x86/include/asm/ptrace.h, arch/arm64/include/uapi/asm/ptrace.h).
 * System call numbers: arch/x86/entry/syscalls/syscall_64.tbl, asm-generic/unistd.h.
 */
#if defined(__TARGET_ARCH_x86)

struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx;
    unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
    unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#define TS_SYSCALL_NR(regs) ((long)BPF_CORE_READ(regs, orig_ax))
#define TS_SYSCALL_ARG1(regs) ((int)BPF_CORE_READ(regs, di))
#define TS_NR_ACCEPT 43
#define TS_NR_ACCEPT4 288

#elif defined(__TARGET_ARCH_arm64)

struct user_pt_regs {
    __u64 regs[31];
    __u64 sp, pc, pstate;
};
struct pt_regs {
    struct user_pt_regs user_regs;
    __u64 orig_x0;
    __s32 syscallno;
} __attribute__((preserve_access_index));
#define TS_SYSCALL_NR(regs) ((long)BPF_CORE_READ(regs, syscallno))
#define TS_SYSCALL_ARG1(regs) ((int)BPF_CORE_READ(regs, orig_x0))
#define TS_NR_ACCEPT 202
#define TS_NR_ACCEPT4 242

#else
#error "tcpsaga knows the registers of x86_64 and arm64 only"
#endif
