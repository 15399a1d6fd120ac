// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tcpsaga/attach.h"

struct btf;
struct btf_type;
struct probe_bpf;

namespace tcpsaga {

struct BtfFree {
    void operator()(btf* b) const;
};
using BtfPtr = std::unique_ptr<btf, BtfFree>;

struct ProbeFree {
    void operator()(probe_bpf* p) const;
};

/// Asks the running kernel what can be attached.
class KernelProber {
public:
    /// `btf_file`: BTF of this kernel from elsewhere; "" = only the kernel's own.
    explicit KernelProber(const std::string& btf_file = "");
    ~KernelProber();
    KernelProber(const KernelProber&) = delete;
    KernelProber& operator=(const KernelProber&) = delete;

    /// An error names what nothing can do without.
    [[nodiscard]] Status can_run() const;

    /// By doing it: attaches an empty program and takes it away again, which takes up to a
    /// quarter of a second each in slow machines.
    Status can_attach(const Hook& hook);
    /// The same, but once a hook of its kind has attached, one that the kernel's BTF names and
    /// that has no more arguments than every kernel's trampolines take is believed to attach.
    Status seems_attachable(const Hook& hook);
    /// Arguments of a kernel function, from the kernel's BTF; 0 when it has none
    /// of that name.
    [[nodiscard]] unsigned arguments_of(std::string_view function) const;
    /// The same for a tracepoint, its leading data pointer not counted.
    [[nodiscard]] unsigned arguments_of_tracepoint(std::string_view tracepoint) const;
    /// An enum's names by value, without their common prefix; "" in the gaps; empty when this
    /// kernel has no such enum. The numbers differ between builds of one series.
    [[nodiscard]] std::vector<std::string> enum_names(std::string_view name,
                                                      std::string_view prefix) const;
    [[nodiscard]] bool has_function(std::string_view function) const;
    /// The id that the kernel's own BTF gives to what a program of such a libbpf section attaches
    /// to: fentry/FUNCTION, fexit/FUNCTION, tp_btf/TRACEPOINT, iter/NAME. 0: there is none.
    [[nodiscard]] std::uint32_t target_of(std::string_view section) const;
    [[nodiscard]] bool has_tracepoint(std::string_view tracepoint) const;
    [[nodiscard]] bool has_member(std::string_view structure, std::string_view member) const;
    [[nodiscard]] bool has_own_btf() const { return own_btf_ != nullptr; }
    /// What CO-RE relocations go by; null = there is none.
    [[nodiscard]] const btf* types() const { return file_btf_ ? file_btf_.get() : own_btf_.get(); }

private:
    Status try_trampoline(const Hook& hook);
    Status try_kprobe(const Hook& hook);
    Status try_tracepoint(const Hook& hook);

    [[nodiscard]] const btf_type* find_type(std::string_view name, unsigned kind) const;
    struct TypeIds;
    [[nodiscard]] const TypeIds& ids() const { return file_btf_ ? *file_ids_ : *own_ids_; }

    std::string btf_file_;
    BtfPtr own_btf_;  // what the kernel itself checks trampolines and tp_btf programs against
    BtfPtr file_btf_; // replaces it for CO-RE
    std::unique_ptr<TypeIds> own_ids_, file_ids_;
    std::unique_ptr<probe_bpf, ProbeFree> kprobe_;
    std::set<HookKind> attached_kinds_; // one of them has attached
};

/// What a person can do about a hook that was refused with this errno; "" for nothing.
std::string remedy_for(HookKind kind, int err);

/// The privileges that are missing to load and attach: "" when none is. From
/// /proc/self/status, capabilities(7).
std::string missing_capabilities(std::string_view proc_self_status);

} // namespace tcpsaga
