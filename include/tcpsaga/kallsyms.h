// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tcpsaga {

/// The running kernel's functions by address, some 200,000 lines: read when first asked for,
/// unless they were before.
class KernelSymbols {
public:
    explicit KernelSymbols(std::string path = "/proc/kallsyms") : path_(std::move(path)) {}

    /// What the kernel shows depends on the privileges at this moment.
    void read();
    /// "tcp_v4_rcv+0x1a0" for what a call in that function returns to; "" when it is in none, or
    /// the kernel shows us no addresses (kernel.kptr_restrict).
    std::string place_of(std::uint64_t return_address);

private:
    struct Symbol {
        std::uint64_t address;
        std::uint32_t name; ///< where it begins in names_
    };

    std::string path_;
    bool read_ = false;
    std::string names_; ///< each with its NUL
    std::vector<Symbol> symbols_;
};

} // namespace tcpsaga
