// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <bpf/libbpf.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "needed_types.h"
#include "tcpsaga/probe.h"
#include "tcpsaga/result.h"

namespace tcpsaga {

/// Has libbpf ask LoadsFor's prober what programs attach to, instead of reading all types of the
/// kernel (6 MB) for each object. Once, before the first object is opened.
void find_targets_ourselves();

/// While it lives, objects that this thread loads are for `kernel`.
class LoadsFor {
public:
    explicit LoadsFor(const KernelProber& kernel);
    ~LoadsFor();
    LoadsFor(const LoadsFor&) = delete;
    LoadsFor& operator=(const LoadsFor&) = delete;
};

/// A libbpf skeleton on its way into the kernel whose types `kernel` has read, and which lives as
/// long as this.
template <class Skeleton>
class BpfObject {
public:
    struct Destroy {
        void operator()(Skeleton* s) const { Skeleton::destroy(s); }
    };
    using Pointer = std::unique_ptr<Skeleton, Destroy>;

    /// Null skeleton, with errno: libbpf refuses.
    explicit BpfObject(const KernelProber& kernel) : kernel_(&kernel), skeleton_(Skeleton::open())
    {
        if (!skeleton_ || kernel.types() == nullptr)
            return;
        types_ = TypesFile(needed_types(*kernel.types(), *bpf_object__btf(skeleton_->obj)));
        LIBBPF_OPTS(bpf_object_open_opts, open);
        open.btf_custom_path = types_.path();
        skeleton_.reset(Skeleton::open(&open));
    }
    explicit operator bool() const { return skeleton_ != nullptr; }
    Skeleton* operator->() const { return skeleton_.get(); }

    /// 0, or a negative errno.
    [[nodiscard]] int load() const
    {
        const LoadsFor here(*kernel_);
        return Skeleton::load(skeleton_.get());
    }
    [[nodiscard]] Pointer take() && { return std::move(skeleton_); }

private:
    const KernelProber* kernel_;
    TypesFile types_; ///< which loading reads
    Pointer skeleton_;
};

} // namespace tcpsaga
