// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace tcpsaga {
namespace {

constexpr unsigned step_bits = 6;
constexpr std::uint64_t steps = std::uint64_t{1} << step_bits;

/// Values below `steps` have a bucket each; above, a value's leading 1 is followed by six
/// more bits that choose the step.
std::size_t bucket_of(std::uint64_t value)
{
    if (value < steps)
        return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - step_bits;
    return (shift + 1) * steps + ((value >> shift) - steps);
}

/// The middle of a bucket.
std::uint64_t value_of(std::size_t bucket)
{
    if (bucket < steps)
        return bucket;
    const std::size_t shift = bucket / steps - 1;
    const std::uint64_t low = (steps + bucket % steps) << shift;
    return low + ((std::uint64_t{1} << shift) >> 1);
}

} // namespace

void Histogram::add(std::uint64_t value)
{
    const std::size_t bucket = bucket_of(value);
    if (bucket >= buckets_.size())
        buckets_.resize(bucket + 1);
    buckets_[bucket]++;
    count_++;
    sum_ += value;
    max_ = std::max(max_, value);
}

Histogram Histogram::since(const Histogram& earlier) const
{
    Histogram later = *this;
    later.max_ = 0;
    for (std::size_t i = 0; i < buckets_.size(); i++) {
        if (i < earlier.buckets_.size())
            later.buckets_[i] -= earlier.buckets_[i];
        if (later.buckets_[i] != 0)
            later.max_ = std::min(value_of(i), max_);
    }
    later.count_ = count_ - earlier.count_;
    later.sum_ = sum_ - earlier.sum_;
    return later;
}

void Histogram::add(const Histogram& other)
{
    if (other.buckets_.size() > buckets_.size())
        buckets_.resize(other.buckets_.size());
    for (std::size_t i = 0; i < other.buckets_.size(); i++)
        buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::below_power_of_two(unsigned bit) const
{
    // A power of two is the first value of its bucket.
    const std::size_t end = std::min(bucket_of(std::uint64_t{1} << bit), buckets_.size());
    return std::accumulate(buckets_.begin(), buckets_.begin() + static_cast<std::ptrdiff_t>(end),
                           std::uint64_t{0});
}

std::uint64_t Histogram::percentile(double percent) const
{
    const auto rank =
        static_cast<std::uint64_t>(std::ceil(percent * static_cast<double>(count_) / 100));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); i++) {
        seen += buckets_[i];
        if (seen >= std::max<std::uint64_t>(rank, 1))
            return std::min(value_of(i), max_);
    }
    return 0;
}

} // namespace tcpsaga
