// SPDX-License-Identifier: BSD-2-Clause
#include "bpf_object.h"

#include <bpf/bpf.h>

#include <array>
#include <mutex>

namespace tcpsaga {
namespace {

thread_local const KernelProber* loads_for = nullptr; // NOLINT: all that libbpf's callback has

struct Section {
    const char* name; ///< with all that begins so and goes on with '/' and what it attaches to
    bpf_attach_type attach;
};
constexpr std::array sections{
    Section{"fentry+", BPF_TRACE_FENTRY}, Section{"fexit+", BPF_TRACE_FEXIT},
    Section{"tp_btf+", BPF_TRACE_RAW_TP}, Section{"iter+", BPF_TRACE_ITER}};
/// What such programs are until they are loaded: libbpf reads the kernel's types for an object as
/// soon as one of its programs has their real type.
constexpr bpf_prog_type unread = BPF_PROG_TYPE_RAW_TRACEPOINT;

int prepare(bpf_program* program, bpf_prog_load_opts* opts, long /*cookie*/)
{
    opts->attach_btf_id =
        loads_for != nullptr ? loads_for->target_of(bpf_program__section_name(program)) : 0;
    return opts->attach_btf_id != 0 ? bpf_program__set_type(program, BPF_PROG_TYPE_TRACING)
                                    : -ESRCH;
}

} // namespace

void find_targets_ourselves()
{
    static std::once_flag once;
    std::call_once(once, [] {
        LIBBPF_OPTS(libbpf_prog_handler_opts, handler);
        handler.prog_prepare_load_fn = prepare;
        for (const Section& s : sections)
            libbpf_register_prog_handler(s.name, unread, s.attach, &handler);
    });
}

LoadsFor::LoadsFor(const KernelProber& kernel)
{
    loads_for = &kernel;
}

LoadsFor::~LoadsFor()
{
    loads_for = nullptr;
}

} // namespace tcpsaga
