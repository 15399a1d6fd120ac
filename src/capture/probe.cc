// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string>
#include <unordered_map>

#include "bpf_object.h"
#include "fd.h"
#include "libbpf_log.h"
#include "probe.skel.h"

namespace tcpsaga {
namespace {

/// r0 = 0; exit (include/uapi/linux/bpf.h)
constexpr std::array<bpf_insn, 2> return_zero{
    bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
    bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
};

Error refused(std::string what, const Hook& hook, int err)
{
    return {std::move(what), std::string(name_of(hook.kind)) + "/" + std::string(hook.symbol), err,
            remedy_for(hook.kind, err)};
}

Fd load_empty(bpf_prog_type type, bpf_attach_type attach, __u32 btf_id)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts);
    opts.expected_attach_type = attach;
    opts.attach_btf_id = btf_id;
    return Fd{
        bpf_prog_load(type, "tcpsaga_probe", "GPL", return_zero.data(), return_zero.size(), &opts)};
}

/// Opens what libbpf opens for fentry, fexit, tp_btf and raw tracepoints.
Status attach_empty(const Fd& program, const char* raw_name, const Hook& hook)
{
    if (!program)
        return refused("cannot load", hook, errno);
    const Fd link{bpf_raw_tracepoint_open(raw_name, program.get())};
    if (!link)
        return refused("cannot attach", hook, errno);
    return Nothing{};
}

} // namespace

void BtfFree::operator()(btf* b) const
{
    btf__free(b);
}

/// Kernel functions and tracepoints by name: libbpf looks through all types for each, and there are
/// more than a hundred thousand.
struct KernelProber::TypeIds {
    explicit TypeIds(const btf* types)
    {
        if (types == nullptr)
            return;
        const __u32 end = btf__type_cnt(types);
        functions.reserve(end / 2);
        for (__u32 id = 1; id < end; id++) {
            const btf_type* type = btf__type_by_id(types, id);
            const bool function = btf_is_func(type);
            if (!function && !btf_is_typedef(type))
                continue;
            const std::string_view name = btf__name_by_offset(types, type->name_off);
            if (function)
                functions.emplace(name, id);
            else if (name.starts_with(tracepoint_prefix))
                tracepoints.emplace(name.substr(tracepoint_prefix.size()), id);
        }
    }

    /// typedef void (*btf_trace_NAME)(void *, ...)
    static constexpr std::string_view tracepoint_prefix = "btf_trace_";
    using Ids = std::unordered_map<std::string_view, __u32>; // names are the BTF's
    /// 0: there is none of that name.
    static __u32 in(const Ids& ids, std::string_view name)
    {
        const auto at = ids.find(name);
        return at != ids.end() ? at->second : 0;
    }
    Ids functions, tracepoints;
};

void ProbeFree::operator()(probe_bpf* p) const
{
    probe_bpf::destroy(p);
}

KernelProber::KernelProber(const std::string& btf_file) : btf_file_(btf_file)
{
    quiet_libbpf();
    find_targets_ourselves();
    own_btf_.reset(btf__load_vmlinux_btf());
    own_ids_ = std::make_unique<TypeIds>(own_btf_.get());
    if (btf_file.empty())
        return;
    file_btf_.reset(btf__parse(btf_file.c_str(), nullptr));
    file_ids_ = std::make_unique<TypeIds>(file_btf_.get());
}

Status KernelProber::can_run() const
{
    if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, nullptr) == 0)
        return Error{"this kernel has no", "BPF ring buffer", 0, "needs Linux 5.8 or later"};
    if (!btf_file_.empty() && !file_btf_)
        return Error{"no BTF in", btf_file_, 0,
                     "give --btf a kernel's BTF, or a vmlinux with a .BTF section"};
    if (types() == nullptr)
        return Error{
            "no BTF of this kernel in", "/sys/kernel/btf/vmlinux", 0,
            "build the kernel with CONFIG_DEBUG_INFO_BTF, or give its BTF with --btf FILE"};
    return Nothing{};
}

KernelProber::~KernelProber() = default;

Status KernelProber::can_attach(const Hook& hook)
{
    switch (hook.kind) {
    case HookKind::fentry:
    case HookKind::fexit:
        return try_trampoline(hook);
    case HookKind::kprobe:
    case HookKind::kretprobe:
        return try_kprobe(hook);
    default:
        return try_tracepoint(hook);
    }
}

Status KernelProber::seems_attachable(const Hook& hook)
{
    // arch/x86/net/bpf_jit_comp.c before 6.6: what registers hold
    constexpr unsigned trampoline_arguments = 6;
    const bool tracepoint = hook.kind == HookKind::tp_btf || hook.kind == HookKind::raw_tp;
    const bool trampoline = hook.kind == HookKind::fentry || hook.kind == HookKind::fexit;
    const bool named = tracepoint ? has_tracepoint(hook.symbol) : has_function(hook.symbol);
    if (attached_kinds_.contains(hook.kind) && named &&
        (!trampoline || arguments_of(hook.symbol) <= trampoline_arguments))
        return Nothing{};
    auto status = can_attach(hook);
    if (status)
        attached_kinds_.insert(hook.kind);
    return status;
}

Status KernelProber::try_trampoline(const Hook& hook)
{
    if (!own_btf_)
        return refused("no kernel BTF for", hook, 0);
    const __u32 id = TypeIds::in(own_ids_->functions, hook.symbol);
    if (id == 0)
        return refused("no such function in the kernel's BTF:", hook, 0);
    const auto type = hook.kind == HookKind::fentry ? BPF_TRACE_FENTRY : BPF_TRACE_FEXIT;
    return attach_empty(load_empty(BPF_PROG_TYPE_TRACING, type, id), nullptr, hook);
}

Status KernelProber::try_kprobe(const Hook& hook)
{
    if (!kprobe_) {
        kprobe_.reset(probe_bpf::open_and_load());
        if (!kprobe_)
            return refused("cannot load", hook, errno);
    }
    bpf_link* link =
        bpf_program__attach_kprobe(kprobe_->progs.any_kprobe, hook.kind == HookKind::kretprobe,
                                   std::string(hook.symbol).c_str());
    if (link == nullptr)
        return refused("cannot attach", hook, errno);
    bpf_link__destroy(link);
    return Nothing{};
}

Status KernelProber::try_tracepoint(const Hook& hook)
{
    if (hook.kind == HookKind::raw_tp)
        return attach_empty(load_empty(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_CGROUP_INET_INGRESS, 0),
                            std::string(hook.symbol).c_str(), hook);
    if (!own_btf_)
        return refused("no kernel BTF for", hook, 0);
    const __u32 id = TypeIds::in(own_ids_->tracepoints, hook.symbol);
    if (id == 0)
        return refused("no such tracepoint in the kernel's BTF:", hook, 0);
    return attach_empty(load_empty(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, id), nullptr, hook);
}

bool KernelProber::has_function(std::string_view function) const
{
    return TypeIds::in(ids().functions, function) != 0;
}

std::uint32_t KernelProber::target_of(std::string_view section) const
{
    const auto slash = section.find('/');
    if (slash == std::string_view::npos)
        return 0;
    const auto kind = section.substr(0, slash);
    const std::string name(section.substr(slash + 1));
    if (kind == "tp_btf")
        return TypeIds::in(own_ids_->tracepoints, name);
    // kernel/bpf/bpf_iter.c looks for a function of that name, too
    return TypeIds::in(own_ids_->functions, kind == "iter" ? "bpf_iter_" + name : name);
}

bool KernelProber::has_tracepoint(std::string_view tracepoint) const
{
    return TypeIds::in(ids().tracepoints, tracepoint) != 0;
}

bool KernelProber::has_member(std::string_view structure, std::string_view member) const
{
    const btf_type* type = find_type(structure, BTF_KIND_STRUCT);
    if (type == nullptr)
        return false;
    const std::span members(btf_members(type), btf_vlen(type));
    return std::ranges::any_of(members, [&](const btf_member& m) {
        return btf__name_by_offset(types(), m.name_off) == member;
    });
}

unsigned KernelProber::arguments_of(std::string_view function) const
{
    const __u32 id = TypeIds::in(ids().functions, function);
    return id != 0 ? btf_vlen(btf__type_by_id(types(), btf__type_by_id(types(), id)->type)) : 0;
}

unsigned KernelProber::arguments_of_tracepoint(std::string_view tracepoint) const
{
    const __u32 id = TypeIds::in(ids().tracepoints, tracepoint);
    if (id == 0)
        return 0;
    const btf_type* type = btf__type_by_id(types(), id);
    for (int i = 0; i < 2; i++) // to the pointer, to the prototype
        type = btf__type_by_id(types(), type->type);
    const unsigned all = btf_vlen(type);
    return all > 0 ? all - 1 : 0;
}

/// Null when the kernel has none of that name. Looks through all types.
const btf_type* KernelProber::find_type(std::string_view name, unsigned kind) const
{
    const int id =
        types() != nullptr ? btf__find_by_name_kind(types(), std::string(name).c_str(), kind) : -1;
    return id > 0 ? btf__type_by_id(types(), static_cast<__u32>(id)) : nullptr;
}

std::vector<std::string> KernelProber::enum_names(std::string_view name,
                                                  std::string_view prefix) const
{
    constexpr __u32 most = 4096; // a reason is a small number; flags and subsystems are not
    std::vector<std::string> names;
    const btf_type* type = find_type(name, BTF_KIND_ENUM);
    if (type == nullptr)
        return names;
    const struct btf_enum* values = btf_enum(type);
    for (unsigned i = 0; i < btf_vlen(type); i++) {
        const auto value = static_cast<__u32>(values[i].val);
        std::string_view text = btf__name_by_offset(types(), values[i].name_off);
        if (value >= most)
            continue;
        if (text.starts_with(prefix))
            text.remove_prefix(prefix.size());
        names.resize(std::max<std::size_t>(names.size(), value + 1));
        names[value] = text;
    }
    return names;
}

std::string remedy_for(HookKind kind, int err)
{
    const bool trampoline = kind == HookKind::fentry || kind == HookKind::fexit;
    const bool probe = kind == HookKind::kprobe || kind == HookKind::kretprobe;
    if (trampoline && err == EPERM)
        return "with all privileges: a kernel with CONFIG_FUNCTION_TRACER and no lockdown";
    if (probe && err == ENOENT)
        return "a kernel with CONFIG_KPROBE_EVENTS and this function in /proc/kallsyms";
    if (err == EPERM || err == EACCES)
        return "CAP_BPF and CAP_PERFMON, and no kernel lockdown";
    return "";
}

std::string missing_capabilities(std::string_view status)
{
    constexpr unsigned cap_sys_admin = 21;
    constexpr unsigned cap_perfmon = 38;
    constexpr unsigned cap_bpf = 39;
    constexpr std::string_view key = "CapEff:\t";
    const auto at = status.find(key);
    if (at == std::string_view::npos)
        return "";
    const auto bits =
        std::strtoull(std::string(status.substr(at + key.size(), 16)).c_str(), nullptr, 16);
    const auto has = [bits](unsigned cap) { return (bits >> cap & 1) != 0; };
    if (has(cap_sys_admin))
        return "";
    std::string missing;
    if (!has(cap_bpf))
        missing = "CAP_BPF";
    if (!has(cap_perfmon))
        missing += missing.empty() ? "CAP_PERFMON" : " and CAP_PERFMON";
    return missing;
}

} // namespace tcpsaga
