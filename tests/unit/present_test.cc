// SPDX-License-Identifier: BSD-2-Clause
/* Sockets that were there before us. */
#include <gmock/gmock.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

void adopt(Story& story, const std::vector<SocketRow>& rows, Nanos looked_at = 10ms)
{
    story.correlator.adopt(rows, static_cast<std::uint64_t>(looked_at.count()));
}

TEST(present, connections_are_known_and_not_told)
{
    Story story;
    adopt(story, {row(client(), 1, State::established, found(curl))});
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().alive, 1U);
    EXPECT_EQ(story.correlator.summary().opens, 0U);
}

TEST(present, one_ends_with_its_process_and_no_start)
{
    Story story;
    adopt(story, {row(client(), 1, State::established, found(curl))});
    story.tell(20ms, client().state(State::established, State::close_wait).counts(101, 2001));
    EXPECT_THAT(story.news(), ElementsAre("ESTABLISHED>CLOSE_WAIT"));
    EXPECT_EQ(story.last().actor.pid, curl.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::snapshot);
    story.tell(21ms, client().state(State::close_wait, State::last_ack).by(curl))
        .tell(22ms, client().state(State::last_ack, State::close).counts(101, 2000));
    const Seen end = story.last("close");
    EXPECT_FALSE(end.conn->seen_start);
    EXPECT_EQ(end.as<event::Close>().tx_bytes, 100U);
    EXPECT_EQ(end.as<event::Close>().rx_bytes, 2000U);
    EXPECT_EQ(end.as<event::Close>().duration_us, std::nullopt);
}

// The look came after the hooks: what it saw may be younger than the records.
TEST(present, the_first_record_is_believed_not_the_look)
{
    Story story;
    adopt(story, {row(client(), 1, State::close_wait, found(curl))});
    story.tell(5ms, client().state(State::established, State::close_wait));
    EXPECT_THAT(story.news(), ElementsAre("ESTABLISHED>CLOSE_WAIT"));
}

TEST(present, one_that_opened_meanwhile_is_counted_once)
{
    Story story;
    adopt(story, {row(client(), 1, State::established, found(curl))});
    story.tell(5ms, client().connect().by(curl))
        .tell(6ms, client().state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(),
                ElementsAre("connect", "CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED 1000us"));
    EXPECT_TRUE(story.last().conn->seen_start);
    EXPECT_EQ(story.correlator.summary().opens, 1U);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

TEST(present, a_child_that_was_born_meanwhile_is_counted_once)
{
    Story story;
    adopt(story, {row(listener(), 3, State::listen, found(nginx)),
                  row(server(), 2, State::established, found(nginx))});
    story.tell(5ms, server().birth().queue(3, 0, 128))
        .tell(6ms, server().state(State::syn_recv, State::established));
    EXPECT_EQ(story.correlator.summary().births, 1U);
    EXPECT_TRUE(story.last().conn->seen_start);
    EXPECT_EQ(story.correlator.summary().alive, 2U);
}

TEST(present, a_child_whose_birth_no_hook_tells_is_counted_once)
{
    Story story(on_tracepoint_with_births());
    adopt(story, {row(listener(), 3, State::listen, found(nginx)),
                  row(server(), 2, State::established, found(nginx))});
    story.tell(6ms, server().state(State::syn_recv, State::established));
    EXPECT_EQ(story.correlator.summary().births, 1U);
    EXPECT_EQ(story.correlator.summary().listeners.at(0).births, 1U);
}

TEST(present, a_time_wait_ends_as_one)
{
    Story story;
    SocketRow r = row(client(), 1, State::time_wait);
    r.timer = SocketTimer::time_wait;
    adopt(story, {r});
    EXPECT_EQ(story.correlator.summary().time_wait_alive, 1U);
    story.tell(20ms, client().time_wait_out());
    EXPECT_THAT(story.news(), ElementsAre("TIME_WAIT>CLOSE", "time_wait expired"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// The full socket went to CLOSE between our hooks and the look.
TEST(present, a_time_wait_that_began_meanwhile_is_told)
{
    Story story;
    SocketRow r = row(client(), 1, State::time_wait);
    r.timer = SocketTimer::time_wait;
    adopt(story, {r});
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, client().state(State::fin_wait2, State::close).counts(8, 8).flag(TS_FIN_SEEN));
    EXPECT_THAT(story.news(), ElementsAre("FIN_WAIT2>TIME_WAIT", "close fin tx=7 rx=7"));
    EXPECT_EQ(story.correlator.summary().time_wait_in, 1U);
    EXPECT_EQ(story.correlator.summary().time_wait_alive, 1U);
}

TEST(present, half_open_ones_are_the_listeners)
{
    Story story;
    adopt(story, {row(server(), 0, State::new_syn_recv)});
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(present, a_close_wait_may_be_stuck_from_the_look_on)
{
    Story story;
    adopt(story, {row(server(), 2, State::close_wait, found(nginx))});
    story.correlator.tell_stuck(1'000'000'000, 1'009'000'000);
    EXPECT_THAT(story.news(), IsEmpty());
    story.correlator.tell_stuck(1'000'000'000, 1'010'000'000);
    EXPECT_THAT(story.news(), ElementsAre("stuck CLOSE_WAIT 1000000us"));
}

TEST(present, a_listeners_port_names_the_roles)
{
    Story story;
    adopt(story, {row(listener(), 3, State::listen, found(nginx)),
                  row(server(), 2, State::established, found(nginx)),
                  row(client(), 1, State::established, found(curl))});
    story.tell(20ms, server().state(State::established, State::close_wait));
    EXPECT_EQ(story.last().conn->role, Role::server);
    story.tell(20ms, client().state(State::established, State::fin_wait1));
    EXPECT_EQ(story.last().conn->role, Role::client);
    EXPECT_EQ(story.last().conn->peer.conn, 2U);
    EXPECT_EQ(story.last().conn->peer.process.pid, nginx.pid);
}

} // namespace
} // namespace tcpsaga::testing
