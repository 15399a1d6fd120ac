// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace tcpsaga::testing {
namespace {

/// The value that `percent` of all are at or below.
std::uint64_t exact(const std::vector<std::uint64_t>& sorted, unsigned percent)
{
    const std::size_t rank = (percent * sorted.size() + 99) / 100;
    return sorted.at(std::max<std::size_t>(rank, 1) - 1);
}

TEST(histogram, of_nothing)
{
    const Histogram h;
    EXPECT_EQ(h.count(), 0U);
    EXPECT_EQ(h.max(), 0U);
    for (const double p : {0.0, 50.0, 100.0})
        EXPECT_EQ(h.percentile(p), 0U) << p;
}

TEST(histogram, of_one_value_is_that_value)
{
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{64},
                                      std::uint64_t{1000}, std::uint64_t{1} << 40}) {
        Histogram h;
        h.add(value);
        EXPECT_EQ(h.count(), 1U);
        EXPECT_EQ(h.max(), value);
        for (const double p : {0.0, 1.0, 50.0, 100.0})
            EXPECT_NEAR(static_cast<double>(h.percentile(p)), static_cast<double>(value),
                        static_cast<double>(value) / 128)
                << p;
    }
}

TEST(histogram, is_exact_below_64)
{
    Histogram h;
    std::vector<std::uint64_t> sorted;
    for (std::uint64_t value = 0; value < 64; value++)
        for (std::uint64_t n = 0; n <= value % 5; n++) {
            h.add(value);
            sorted.push_back(value);
        }
    for (unsigned p = 1; p <= 100; p++)
        EXPECT_EQ(h.percentile(p), exact(sorted, p)) << p;
    EXPECT_EQ(h.max(), 63U);
}

// 7 / 100.0 * 100 is more than 7.
TEST(histogram, ranks_are_not_rounded_up_by_the_arithmetic)
{
    Histogram h;
    std::vector<std::uint64_t> sorted;
    for (std::uint64_t value = 1; value <= 50; value++) {
        h.add(value);
        h.add(value);
        sorted.insert(sorted.end(), {value, value});
    }
    for (unsigned p = 1; p <= 100; p++)
        EXPECT_EQ(h.percentile(p), exact(sorted, p)) << p;
}

TEST(histogram, is_close_to_the_sorted_values)
{
    std::mt19937_64 random(20240229); // NOLINT: the same values each time
    std::uniform_real_distribution<double> exponent(0, 9);
    for (const std::size_t n : {1U, 2U, 10U, 999U, 100'000U}) {
        Histogram h;
        std::vector<std::uint64_t> values;
        for (std::size_t i = 0; i < n; i++) {
            values.push_back(static_cast<std::uint64_t>(std::pow(10, exponent(random))));
            h.add(values.back());
        }
        std::ranges::sort(values);
        EXPECT_EQ(h.count(), n);
        EXPECT_EQ(h.max(), values.back());
        for (unsigned p = 1; p <= 100; p++) {
            const auto want = static_cast<double>(exact(values, p));
            EXPECT_NEAR(static_cast<double>(h.percentile(p)), want, want / 128) << p << " of " << n;
        }
    }
}

TEST(histogram, no_percentile_is_above_the_largest_value)
{
    Histogram h;
    h.add(1024); // the first of sixteen in its bucket
    EXPECT_EQ(h.percentile(100), 1024U);
}

TEST(histogram, takes_the_largest_number)
{
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    Histogram h;
    h.add(most);
    h.add(0);
    EXPECT_EQ(h.max(), most);
    EXPECT_EQ(h.percentile(50), 0U);
    EXPECT_GT(h.percentile(100), most - most / 64);
}

TEST(histogram, tells_what_came_later)
{
    Histogram all;
    all.add(5'000);
    all.add(20);
    const Histogram earlier = all;
    EXPECT_EQ(all.since(earlier).count(), 0U);
    EXPECT_EQ(all.since(earlier).max(), 0U);
    all.add(30);
    all.add(40);
    const Histogram later = all.since(earlier);
    EXPECT_EQ(later.count(), 2U);
    EXPECT_EQ(later.max(), 40U);
    EXPECT_EQ(later.percentile(50), 30U);
    EXPECT_EQ(later.percentile(99), 40U);
    EXPECT_EQ(all.since({}).percentile(99), all.percentile(99));
}

} // namespace
} // namespace tcpsaga::testing
