// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/kallsyms.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <utility>

namespace tcpsaga {
namespace {

/// No function is this long: an address further on is in a module's or no symbol's gap.
constexpr std::uint64_t farthest = 1 << 20;

} // namespace

/// "ffffffff81a2b3c0 T tcp_v4_rcv", the module behind a tab.
void KernelSymbols::read()
{
    if (std::exchange(read_, true))
        return;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) {
        std::uint64_t address = 0;
        char type = 0;
        int name = 0;
        if (std::sscanf(line.c_str(), "%" SCNx64 " %c %n", &address, &type, &name) != 2 ||
            address == 0 || name == 0)
            continue;
        symbols_.push_back({address, static_cast<std::uint32_t>(names_.size())});
        names_.append(line, static_cast<std::size_t>(name),
                      line.find('\t') - static_cast<std::size_t>(name));
        names_.push_back('\0');
    }
    std::ranges::stable_sort(symbols_, {}, &Symbol::address);
}

std::string KernelSymbols::place_of(std::uint64_t return_address)
{
    read();
    // A call that never returns may be its function's last instruction.
    const auto next = std::ranges::upper_bound(symbols_, return_address - 1, {}, &Symbol::address);
    if (next == symbols_.begin())
        return "";
    const Symbol& s = *std::prev(next);
    const std::uint64_t offset = return_address - s.address;
    if (offset > farthest)
        return "";
    std::array<char, 20> text{};
    std::snprintf(text.data(), text.size(), "+0x%" PRIx64, offset);
    return names_.c_str() + s.name + std::string(text.data());
}

} // namespace tcpsaga
