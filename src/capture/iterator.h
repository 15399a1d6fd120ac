// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* The BPF iterators of bpf/snapshot.bpf.c, which walk over what the kernel holds. */
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tcpsaga/probe.h"
#include "tcpsaga/result.h"

struct bpf_link;
struct snapshot_bpf;

namespace tcpsaga {

/// One of them, loaded. Needs Linux 5.8, its own BTF, CAP_BPF and CAP_PERFMON.
class Iterator {
public:
    enum class Over : std::uint8_t {
        holders, ///< ts_holder: TCP sockets' descriptors, of all processes that /proc would show
        sockets, ///< ts_socket: TCP sockets of the network namespace of whoever reads
    };
    static Result<Iterator> load(Over what, const KernelProber& kernel);

    /// All rows now, one behind the other.
    [[nodiscard]] Result<std::vector<std::byte>> read() const;

private:
    struct Free {
        void operator()(snapshot_bpf* s) const;
        void operator()(bpf_link* l) const;
    };
    using Object = std::unique_ptr<snapshot_bpf, Free>;
    using Link = std::unique_ptr<bpf_link, Free>;
    static Result<Object> load_object(Over what, const KernelProber& kernel, bool with_cookies);
    Iterator(Object object, Link link) : object_(std::move(object)), link_(std::move(link)) {}

    Object object_;
    Link link_;
};

/// The bytes that Iterator::read() gave.
template <class Row>
std::span<const Row> rows_of(const std::vector<std::byte>& bytes)
{
    // Memory from new is aligned for every row.
    return {reinterpret_cast<const Row*>(bytes.data()), bytes.size() / sizeof(Row)}; // NOLINT
}

} // namespace tcpsaga
