// SPDX-License-Identifier: BSD-2-Clause
/* Connections that one side never closes. */
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::uint64_t ns(Nanos t)
{
    return static_cast<std::uint64_t>(t.count());
}

/// In CLOSE_WAIT since 5 ms.
void to_close_wait(Story& story)
{
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established))
        .tell(5ms, client().state(State::established, State::close_wait));
    story.news();
}

TEST(stuck, in_close_wait_is_told_once)
{
    Story story;
    to_close_wait(story);
    story.correlator.tell_stuck(ns(60s), ns(60004ms));
    EXPECT_THAT(story.news(), IsEmpty());
    story.correlator.tell_stuck(ns(60s), ns(60005ms));
    EXPECT_THAT(story.news(), ElementsAre("stuck CLOSE_WAIT 60000000us"));
    EXPECT_EQ(story.last().actor.pid, curl.pid);
    story.correlator.tell_stuck(ns(60s), ns(120s));
    EXPECT_THAT(story.news(), IsEmpty());
}

TEST(stuck, in_fin_wait2_while_it_is_a_full_socket)
{
    Story story;
    to_fin_wait2(story);
    story.correlator.tell_stuck(ns(1s), ns(2s));
    EXPECT_EQ(story.last().text.substr(0, 15), "stuck FIN_WAIT2");
}

TEST(stuck, is_not_what_the_kernel_holds_or_what_is_in_use)
{
    Story story;
    to_fin_wait2(story);
    story.tell(6ms, client().time_wait_in(State::fin_wait2, State::fin_wait2))
        .tell(6ms, client().state(State::fin_wait2, State::close));
    story.tell(7ms, client().id(77).local("10.0.0.9", 4000).connect().by(curl))
        .tell(8ms,
              client().id(77).local("10.0.0.9", 4000).state(State::syn_sent, State::established));
    story.news();
    story.correlator.tell_stuck(ns(1s), ns(50s));
    EXPECT_THAT(story.news(), IsEmpty());
}

} // namespace
} // namespace tcpsaga::testing
