// SPDX-License-Identifier: BSD-2-Clause
// Two programs see the same fact in turn; after a migration between them both tell
// (bpf/state.bpf.h). Accepts and entries into TIME_WAIT are in the tests of these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(told_twice, a_connect_happened_once)
{
    Story story;
    story.tell(1ms, client().connect().by(curl));
    story.news();
    story.tell(2ms, client().connect().by(curl));
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().opens, 1U);
    EXPECT_EQ(story.correlator.seen().at(init_netns).active_opens, 1U);
    story.tell(3ms, client().state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(), ElementsAre("SYN_SENT>ESTABLISHED 2000us")); // since the first
}

TEST(told_twice, a_connect_to_elsewhere_is_another)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().remote("10.0.0.3", 80).connect().by(curl));
    EXPECT_EQ(story.correlator.summary().opens, 2U);
}

TEST(told_twice, a_change_happened_once)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().state(State::fin_wait1, State::fin_wait2));
    EXPECT_THAT(story.news(), IsEmpty());
}

TEST(told_twice, a_close_while_it_is_remembered_for_time_wait)
{
    Story story;
    const auto close = client().state(State::fin_wait2, State::close).flag(TS_FIN_SEEN);
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait)).tell(5ms, close);
    story.news();
    story.tell(6ms, close);
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().closes, 1U);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

TEST(told_twice, a_close_of_what_is_forgotten)
{
    for (const std::uint64_t id : {std::uint64_t{1}, address_a}) {
        Story story;
        const auto close =
            client().id(id).state(State::established, State::close).by(curl).detail(TS_UNREAD);
        story.tell(1ms, close);
        EXPECT_THAT(story.news(),
                    ElementsAre("ESTABLISHED>CLOSE", "close aborted unread_data tx=0 rx=0"));
        story.tell(2ms, close);
        EXPECT_THAT(story.news(), IsEmpty());
        EXPECT_EQ(story.correlator.summary().closes, 1U);
        EXPECT_EQ(story.correlator.summary().alive, 0U);
        EXPECT_EQ(story.correlator.seen().at(init_netns).established_resets, 1U);
    }
}

TEST(told_twice, the_end_of_a_listener)
{
    Story story;
    const auto end = listener().state(State::listen, State::close).by(nginx);
    story.tell(1ms, listener().listen(128).by(nginx)).tell(2ms, end);
    story.news();
    story.tell(3ms, end);
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// Sockets of two namespaces may have the same cookie.
TEST(told_twice, not_the_close_of_another_namespace)
{
    Story story;
    const auto close = [](std::uint32_t netns) {
        return client().netns(netns).state(State::established, State::close).by(curl);
    };
    story.tell(1ms, close(7)).tell(2ms, close(8));
    EXPECT_EQ(story.correlator.summary().closes, 2U);
}

TEST(told_twice, not_the_close_of_the_next_connection)
{
    Story story;
    refused_life(story.correlator);
    refused_life(story.correlator);
    EXPECT_EQ(story.correlator.summary().closes, 2U);
}

// Another program tells within moments: the last 64 are enough.
TEST(told_twice, not_after_a_long_time)
{
    Story story;
    const auto close = [](std::uint64_t id) {
        return client().id(id).state(State::established, State::close).by(curl);
    };
    for (std::uint64_t id = 1; id <= 65; id++)
        story.tell(1ms, close(id));
    story.tell(2ms, close(2));
    EXPECT_EQ(story.correlator.summary().closes, 65U);
    story.tell(2ms, close(1));
    EXPECT_EQ(story.correlator.summary().closes, 66U);
}

// ---- what the kernel counts in Tcp.EstabResets ---------------------------------------------

TEST(established_resets, are_of_what_closes_without_a_fin_of_ours)
{
    for (int from = 1; from <= 11; from++) {
        Story story;
        const auto state = static_cast<State>(from);
        story.tell(1ms, server().state(state, State::close)).tell(1ms, client().connect().by(curl));
        const bool counts = state == State::established || state == State::close_wait;
        EXPECT_EQ(story.correlator.seen().at(init_netns).established_resets, counts ? 1U : 0U)
            << name_of(state);
    }
}

} // namespace
} // namespace tcpsaga::testing
