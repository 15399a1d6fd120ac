// SPDX-License-Identifier: BSD-2-Clause
#include "bins.h"

#include <algorithm>
#include <bit>

namespace tcpsaga {
namespace {

/// Milliseconds. Each divides the next, so that whole bins can be joined.
constexpr std::array<std::uint64_t, 11> widths{
    100, 500, 1'000, 5'000, 10'000, 30'000, 60'000, 300'000, 600'000, 1'800'000, 3'600'000};

std::uint64_t next_width(std::uint64_t width)
{
    const auto* const next = std::ranges::upper_bound(widths, width);
    return next != widths.end() ? *next : width * 2;
}

std::uint64_t millis(std::int64_t utc_ns)
{
    return static_cast<std::uint64_t>(std::max<std::int64_t>(utc_ns, 0)) / 1'000'000;
}

template <class Numbers>
void join(Numbers& to, const Numbers& more)
{
    for (std::size_t i = 0; i < to.size(); i++)
        to.at(i) += more.at(i);
}

} // namespace

std::size_t wait_row(std::uint64_t us)
{
    constexpr std::uint64_t longest = std::uint64_t{1} << (wait_rows / 2);
    if (us >= longest)
        return wait_rows - 1;
    if (us < 2)
        return 0;
    const auto power = static_cast<unsigned>(std::bit_width(us) - 1);
    return 2 * power + (us * us >> (2 * power + 1) != 0 ? 1 : 0);
}

Bins::Bins(std::int64_t begin_ns)
    : width_ms_(widths.front()), first_(millis(begin_ns) / width_ms_), bins_(1)
{
}

void Bins::add(std::int64_t utc_ns, Series s, std::uint64_t n)
{
    at(utc_ns).counts.at(static_cast<std::size_t>(s)) += n;
}

void Bins::add_wait(std::int64_t utc_ns, std::uint64_t us)
{
    at(utc_ns).waits.at(wait_row(us))++;
}

Bin& Bins::at(std::int64_t utc_ns)
{
    const std::uint64_t ms = millis(utc_ns);
    while (ms / width_ms_ >= first_ + most)
        widen();
    const std::uint64_t place = ms / width_ms_;
    const std::size_t i = place > first_ ? place - first_ : 0;
    if (i >= bins_.size())
        bins_.resize(i + 1);
    return bins_[i];
}

void Bins::widen()
{
    const std::uint64_t width = next_width(width_ms_);
    const std::uint64_t times = width / width_ms_;
    const std::uint64_t first = first_ / times;
    std::vector<Bin> wider((first_ + bins_.size() - 1) / times - first + 1);
    for (std::size_t i = 0; i < bins_.size(); i++) {
        Bin& to = wider[(first_ + i) / times - first];
        join(to.counts, bins_[i].counts);
        join(to.waits, bins_[i].waits);
    }
    bins_ = std::move(wider);
    first_ = first;
    width_ms_ = width;
}

} // namespace tcpsaga
