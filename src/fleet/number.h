// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tcpsaga::fleet {

/// Decimal digits and nothing else, of what fits.
inline std::optional<std::uint64_t> parse_number(std::string_view text)
{
    std::uint64_t n = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || err != std::errc() || end != text.data() + text.size())
        return {};
    return n;
}

} // namespace tcpsaga::fleet
