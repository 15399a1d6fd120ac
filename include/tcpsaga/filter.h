// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tcpsaga/abi.h"
#include "tcpsaga/address.h"

namespace tcpsaga {

/// Which connections are wanted. The kernel applies the first group at the source; the
/// consumer applies all of it but the cgroup, with the same meaning (bpf/filter.bpf.h).
// NOLINTBEGIN(misc-no-recursion): `also` is one level deep
struct Filter {
    int family = 0; ///< 0 both, 4, 6
    std::vector<std::uint16_t> ports, lports, rports;
    std::vector<Cidr> cidrs;
    std::vector<std::uint32_t> netns; ///< inode numbers
    std::uint64_t cgroup = 0;         ///< id of a cgroup (v2), with those below it; 0 = all

    std::vector<std::uint32_t> pids; ///< of the owner, or of who acts
    std::vector<std::string> comms;

    std::vector<Filter> also; ///< these too have to pass; not for the kernel

    bool operator==(const Filter&) const = default;
    /// port_pending: the local port may not be chosen yet: whatever the ports.
    [[nodiscard]] bool passes(const Tuple& t, int of_family, bool port_pending = false) const;
    [[nodiscard]] bool asks_for_process() const;
    /// Something else than a process or a network namespace.
    [[nodiscard]] bool asks_for_ends() const;
    [[nodiscard]] bool process_matches(std::uint32_t pid, std::string_view comm) const;
    [[nodiscard]] ts_filter for_kernel() const;

private:
    [[nodiscard]] bool ports_pass(const Tuple& t) const;
};
// NOLINTEND(misc-no-recursion)

/// Refuses a filter that is too long for the kernel's copy or that nothing can pass.
Status check(const Filter& f);

} // namespace tcpsaga
