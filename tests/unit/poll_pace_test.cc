// SPDX-License-Identifier: BSD-2-Clause
// When the listeners are looked at, where no hook sees their queues.
#include <gtest/gtest.h>

#include "cli/poll_pace.h"

namespace tcpsaga::testing {
namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t start = 100'000 * ms;
constexpr std::uint64_t long_ago = 1 * ms;

PolledListener with(std::uint32_t acceptq, std::uint32_t drops)
{
    PolledListener l;
    l.acceptq = acceptq;
    l.drops = drops;
    return l;
}

/// That looked twice and found the same.
PollPace still(const PolledListener& l)
{
    PollPace pace(start - 2000 * ms);
    pace.looked({l}, start - 1000 * ms);
    pace.looked({l}, start);
    return pace;
}

TEST(PollPace, EverySecondWhereNothingHappens)
{
    const PollPace pace = still(with(0, 7));
    EXPECT_FALSE(pace.is_due(start + 999 * ms, long_ago));
    EXPECT_TRUE(pace.is_due(start + 1000 * ms, long_ago));
}

TEST(PollPace, FiveTimesASecondWhileRecordsCome)
{
    const PollPace pace = still(with(0, 7));
    EXPECT_FALSE(pace.is_due(start + 199 * ms, start));
    EXPECT_TRUE(pace.is_due(start + 200 * ms, start));
    EXPECT_TRUE(pace.is_due(start + 900 * ms, start - 99 * ms));
    EXPECT_FALSE(pace.is_due(start + 900 * ms, start - 100 * ms));
}

TEST(PollPace, FiveTimesASecondWhileAQueueHoldsSome)
{
    EXPECT_TRUE(still(with(1, 7)).is_due(start + 200 * ms, long_ago));
}

TEST(PollPace, FiveTimesASecondWhileAListenerDrops)
{
    PollPace pace = still(with(0, 7));
    pace.looked({with(0, 8)}, start + 1000 * ms);
    EXPECT_TRUE(pace.is_due(start + 1200 * ms, long_ago));
    pace.looked({with(0, 8)}, start + 1200 * ms);
    EXPECT_FALSE(pace.is_due(start + 1400 * ms, long_ago));
}

TEST(PollPace, FiveTimesASecondAtTheBeginning)
{
    const PollPace pace(start);
    EXPECT_FALSE(pace.is_due(start + 199 * ms, long_ago));
    EXPECT_TRUE(pace.is_due(start + 200 * ms, long_ago));
}

TEST(PollPace, TellsHowLongItWasNotLooked)
{
    PollPace pace(start);
    EXPECT_EQ(pace.looked({}, start + 203 * ms), 203U);
    EXPECT_EQ(pace.looked({}, start + 1204 * ms), 1001U);
}

} // namespace
} // namespace tcpsaga::testing
