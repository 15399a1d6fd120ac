// SPDX-License-Identifier: BSD-2-Clause
/*
 * The least that a tracer of TCP states can cost: an empty program on the tracepoint
 * sock:inet_sock_set_state. Says "ready" on standard error and stays until a signal.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

int fail(const char* what, int err)
{
    std::fprintf(stderr, "empty: %s: %s\n", what, std::strerror(err));
    return 1;
}

} // namespace

int main()
{
    // r0 = 0; exit
    const std::array<bpf_insn, 2> code{bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
                                       bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = BPF_TRACE_RAW_TP;
    const int type = libbpf_find_vmlinux_btf_id("inet_sock_set_state", BPF_TRACE_RAW_TP);
    if (type < 0)
        return fail("inet_sock_set_state is not in the kernel's BTF", -type);
    options.attach_btf_id = static_cast<__u32>(type);
    const int program =
        bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "GPL", code.data(), code.size(), &options);
    if (program < 0)
        return fail("cannot load", -program);
    if (const int link = bpf_raw_tracepoint_open(nullptr, program); link < 0)
        return fail("cannot attach", -link);
    std::fprintf(stderr, "ready\n");
    pause();
}
