// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <vector>

namespace tcpsaga {

/// Counts of values by size: exact below 64, then 64 steps to each power of two, so that a
/// percentile is at most 1/128 off. Grows to what it has seen; at most 30 KB.
class Histogram {
public:
    void add(std::uint64_t value);
    /// What came after `earlier`, a copy of this one as it was then. The largest of it is known to
    /// 1/64.
    [[nodiscard]] Histogram since(const Histogram& earlier) const;
    void add(const Histogram& other);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t sum() const { return sum_; } ///< of all values, exact
    /// How many values are below 2^bit; exact.
    [[nodiscard]] std::uint64_t below_power_of_two(unsigned bit) const;
    [[nodiscard]] std::uint64_t max() const { return max_; }
    /// The value that `percent` of all are at or below; 0 when empty.
    [[nodiscard]] std::uint64_t percentile(double percent) const;

private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t max_ = 0;
};

} // namespace tcpsaga
