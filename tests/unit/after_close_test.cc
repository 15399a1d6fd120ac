// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// In FIN_WAIT1, where data makes the kernel act as if a RST had come in.
void data_in_fin_wait1(Story& story)
{
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established))
        .tell(3ms, client().state(State::established, State::fin_wait1).by(curl));
    story.news();
    story.tell(4ms, client().reset(State::fin_wait1, false))
        .tell(4ms,
              client().state(State::fin_wait1, State::close).error(ECONNRESET).detail(TS_ORPHAN));
}

TEST(after_close, what_looked_like_a_rst_is_one_that_is_sent)
{
    Story story;
    data_in_fin_wait1(story);
    EXPECT_THAT(story.news(), IsEmpty());
    story.tell(4ms + 20us, client().reset(State::close, true));
    story.correlator.tell_held_back(UINT64_MAX);
    EXPECT_THAT(story.news(),
                ElementsAre("FIN_WAIT1>CLOSE 1000us", "close rst_sent data_after_close tx=0 rx=0",
                            "reset sent"));
    EXPECT_EQ(story.correlator.summary().events, story.events.seen.size());
    EXPECT_EQ(story.correlator.summary().closes, 1U);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(after_close, one_that_came_in_is_told_when_no_other_follows)
{
    const auto received =
        ElementsAre("reset received", "FIN_WAIT1>CLOSE 1000us", "close rst_received tx=0 rx=0");
    Story waited;
    data_in_fin_wait1(waited);
    waited.correlator.tell_held_back(UINT64_MAX);
    EXPECT_THAT(waited.news(), received);

    Story went_on;
    data_in_fin_wait1(went_on);
    went_on.tell(4ms + 20ms, server().state(State::established, State::close_wait));
    EXPECT_EQ(went_on.news().size(), 1U); // within a moment: only the other's
    went_on.tell(4ms + 21ms, server().state(State::close_wait, State::last_ack));
    EXPECT_EQ(went_on.news().size(), 4U);
}

// kprobes cannot make a cookie, the tracepoint of the RST can.
TEST(after_close, a_rst_may_come_under_another_id)
{
    Story story;
    const Socket known = client().id(address_a);
    to_fin_wait2(story, known);
    story.tell(5ms, known.state(State::fin_wait2, State::close).detail(TS_ORPHAN))
        .tell(5ms, client().reset(State::close, true));
    story.correlator.tell_held_back(UINT64_MAX);
    EXPECT_EQ(story.last("close").as<event::Close>().why, "data_after_close");
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(after_close, another_reset_changes_nothing)
{
    Story story;
    data_in_fin_wait1(story);
    story.tell(4ms + 20us, server().reset(State::established, true));
    story.correlator.tell_held_back(UINT64_MAX);
    EXPECT_EQ(story.last("close").as<event::Close>().end, event::End::rst_received);
}

/// The FIN was acknowledged by the packet that brought the data: tcp_done() without a word.
TEST(after_close, data_with_the_last_ack_makes_no_time_wait)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().state(State::fin_wait2, State::close).detail(TS_ORPHAN));
    EXPECT_THAT(story.news(), IsEmpty());
    story.tell(5ms, client().reset(State::close, true));
    story.correlator.tell_held_back(UINT64_MAX);
    EXPECT_THAT(story.news(),
                ElementsAre("FIN_WAIT2>CLOSE 1000us", "close rst_sent data_after_close tx=0 rx=0",
                            "reset sent"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
    EXPECT_EQ(story.correlator.summary().time_wait_alive, 0U);
}

TEST(after_close, a_time_wait_that_no_hook_told_is_still_one)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().state(State::fin_wait2, State::close).detail(TS_ORPHAN));
    story.correlator.tell_held_back(UINT64_MAX);
    EXPECT_THAT(story.news(), ElementsAre("close fin tx=0 rx=0"));
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

TEST(after_close, two_sockets_at_once_are_not_mixed_up)
{
    Story story;
    const Socket other = Socket().id(7).local("10.0.0.1", 40001);
    data_in_fin_wait1(story);
    story.tell(4ms + 1us, other.reset(State::fin_wait1, false));
    story.tell(4ms + 2us, other.state(State::fin_wait1, State::close).error(ECONNRESET))
        .tell(4ms + 3us, other.reset(State::close, true));
    story.correlator.tell_held_back(UINT64_MAX);
    const auto seen = story.news();
    ASSERT_EQ(seen.size(), 6U);
    EXPECT_EQ(seen[2], "close rst_received tx=0 rx=0");
    EXPECT_EQ(seen[4], "close rst_sent data_after_close tx=0 rx=0");
    EXPECT_EQ(story.last("close").conn->id, 7U);
}

TEST(after_close, linger2_and_want_of_memory_abort)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().state(State::fin_wait2, State::close).detail(TS_ORPHAN | TS_LINGER2));
    EXPECT_THAT(story.news(),
                ElementsAre("FIN_WAIT2>CLOSE 1000us", "close aborted linger2 tx=0 rx=0"));
    Story full;
    full.tell(1ms, client().state(State::established, State::fin_wait1).by(curl));
    full.news();
    full.tell(2ms, client().state(State::fin_wait1, State::close).detail(TS_ORPHAN));
    EXPECT_THAT(full.news(),
                ElementsAre("FIN_WAIT1>CLOSE 1000us", "close aborted memory tx=0 rx=0"));
}

} // namespace
} // namespace tcpsaga::testing
