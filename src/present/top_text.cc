// SPDX-License-Identifier: BSD-2-Clause
/* Short texts for narrow columns. */
#include <fmt/format.h>

#include <algorithm>

#include "tcpsaga/present.h"
#include "tcpsaga/top.h"

namespace tcpsaga {

std::string fit_tail(const std::string& text, char tail_from, int width)
{
    const auto most = static_cast<std::size_t>(std::max(width, 0));
    const auto points = code_points(text).size();
    if (points <= most)
        return text;
    const auto tail = text.rfind(tail_from);
    const std::size_t tail_size = tail == std::string::npos ? 0 : text.size() - tail;
    if (points != text.size() || tail_size + 2 > most)
        return text; // cut where it ends
    return text.substr(0, most - tail_size - 1) + "…" + text.substr(text.size() - tail_size);
}

std::string short_time(std::uint64_t us)
{
    const auto value = static_cast<double>(us);
    if (us < 1000)
        return fmt::format("{}us", us);
    if (us < 9950)
        return fmt::format("{:.1f}ms", value / 1e3);
    if (us < 999'500)
        return fmt::format("{:.0f}ms", value / 1e3);
    if (us < 9'950'000)
        return fmt::format("{:.1f}s", value / 1e6);
    if (us < 600'000'000)
        return fmt::format("{}s", us / 1'000'000);
    if (us < 36'000'000'000)
        return fmt::format("{}m", us / 60'000'000);
    if (us < 864'000'000'000)
        return fmt::format("{}h", us / 3'600'000'000);
    return fmt::format("{}d", us / 86'400'000'000);
}

std::string short_count(std::uint64_t n)
{
    if (n < 100'000)
        return std::to_string(n);
    if (n < 1'000'000)
        return fmt::format("{}k", n / 1000);
    constexpr double million = 1e6;
    const double value = static_cast<double>(n) / million;
    return value < 1000 ? fmt::format("{:.1f}M", value) : fmt::format("{:.0f}M", value);
}

std::string short_rate(double per_second)
{
    if (per_second < 999.95)
        return fmt::format("{:.1f}", per_second);
    return per_second < 99'999.5 ? fmt::format("{:.0f}", per_second)
                                 : short_count(static_cast<std::uint64_t>(per_second));
}

std::string process_text(const Process& p)
{
    if (!p.known())
        return "-";
    return visible(p.name()) + "/" + std::to_string(p.pid);
}

} // namespace tcpsaga
