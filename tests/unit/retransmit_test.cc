// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Record<ts_retransmit> segments(Record<ts_retransmit> r, std::uint32_t n)
{
    r.raw.segments = n;
    return r;
}

/// To the listener of cookie 3, of a request from 10.0.0.9.
Socket request()
{
    return Socket().id(3).local("10.0.0.2", 80).remote("10.0.0.9", 40009);
}

TEST(retransmit, of_every_kind)
{
    Story story;
    story.tell(1ms, client().connect().by(curl));
    story.news();
    story.tell(1001ms, client().retransmit(TS_RE_SYN, 1, State::syn_sent))
        .tell(1002ms, client().state(State::syn_sent, State::established))
        .tell(1003ms, segments(client().retransmit(TS_RE_DATA, 4), 3))
        .tell(1004ms, client().state(State::established, State::fin_wait1).by(curl))
        .tell(1005ms, client().retransmit(TS_RE_FIN, 5, State::fin_wait1));
    EXPECT_THAT(story.news(), ElementsAre("retransmit syn 1 of 1", "SYN_SENT>ESTABLISHED 1001000us",
                                          "retransmit data 4 of 3", "ESTABLISHED>FIN_WAIT1 2000us",
                                          "retransmit fin 5 of 1"));
    EXPECT_EQ(story.last().conn->id, 1U);
    EXPECT_EQ(story.last().actor.pid, curl.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::connect);
}

TEST(retransmit, that_this_host_refused_to_send)
{
    Story story;
    story.tell(1ms, client().retransmit(TS_RE_DATA, 1).error(EPERM));
    EXPECT_THAT(story.news(), ElementsAre("retransmit data 1 of 1 err=1"));
}

TEST(retransmit, of_an_unknown_kind_is_malformed)
{
    Story story;
    story.tell(1ms, client().retransmit(TS_RETRANSMITTED, 1));
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.malformed(), 1U);
    EXPECT_EQ(story.correlator.summary().retransmits, 0U);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// There is no child yet, and none may come of it.
TEST(retransmit, of_a_synack_is_the_listeners)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx));
    story.news();
    story.tell(2s, request().retransmit(TS_RE_SYNACK, 1, State::listen));
    EXPECT_THAT(story.news(), ElementsAre("retransmit synack 1 of 1"));
    EXPECT_EQ(story.last().conn->id, 3U);
    EXPECT_EQ(story.last().conn->tuple, request().tuple());
    EXPECT_EQ(story.last().conn->role, Role::server);
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::listener);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
    story.tell(3s, listener().state(State::listen, State::close).by(nginx));
    EXPECT_EQ(story.last().conn->tuple, listener().tuple());
}

TEST(retransmit, of_a_synack_of_an_unknown_listener)
{
    Story story;
    story.tell(2s, request().retransmit(TS_RE_SYNACK, 2, State::listen));
    EXPECT_EQ(story.last().conn->id, 3U);
    EXPECT_FALSE(story.last().actor.known());
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// Fast Open makes the child before the handshake ends.
TEST(retransmit, of_a_synack_of_a_child_is_the_childs)
{
    Story story;
    story.tell(1ms, server().birth().queue(3, 0, 128));
    story.news();
    story.tell(1s, server().retransmit(TS_RE_SYNACK, 1, State::syn_recv));
    EXPECT_THAT(story.news(), ElementsAre("retransmit synack 1 of 1"));
    EXPECT_EQ(story.last().conn->id, 2U);
}

TEST(retransmit, of_a_connection_from_before_us)
{
    Story story;
    story.tell(1ms, client().retransmit(TS_RE_DATA, 9))
        .tell(2ms, client().state(State::established, State::close).error(ETIMEDOUT));
    EXPECT_THAT(story.news(), ElementsAre("retransmit data 9 of 1", "ESTABLISHED>CLOSE",
                                          "close timeout retransmission tx=0 rx=0"));
    EXPECT_FALSE(story.last().conn->seen_start);
}

TEST(retransmit, tells_the_start_that_was_held_back)
{
    Story story(on_tracepoint());
    story.tell(1ms, syn_sent_without_port(client()))
        .tell(1s, client().retransmit(TS_RE_SYN, 1, State::syn_sent));
    EXPECT_THAT(story.news(), ElementsAre("connect", "CLOSE>SYN_SENT", "retransmit syn 1 of 1"));
}

TEST(retransmit, is_counted_in_segments)
{
    Story story;
    story.tell(1s, client().retransmit(TS_RE_SYN, 1, State::syn_sent))
        .tell(1s, request().retransmit(TS_RE_SYNACK, 1, State::listen))
        .tell(2s, segments(client().retransmit(TS_RE_DATA, 5), 4))
        .tell(3s, client().netns(7).retransmit(TS_RE_FIN, 1));
    EXPECT_EQ(story.correlator.summary().retransmits, 7U);
    const auto& seen = story.correlator.seen();
    EXPECT_EQ(seen.at(init_netns).retransmits, 6U);
    EXPECT_EQ(seen.at(init_netns).syn_retransmits, 2U);
    EXPECT_EQ(seen.at(7).retransmits, 1U);
    EXPECT_EQ(seen.at(7).syn_retransmits, 0U);
}

// ---- SYN-ACKs in vain ----------------------------------------------------------------------

TEST(synack_timeout, is_the_listeners)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx));
    story.news();
    story.tell(63s, request().synack_timeout(5));
    EXPECT_THAT(story.news(), ElementsAre("synack_timeout 5"));
    EXPECT_EQ(story.last().ts_ns, 63'000'000'000U);
    EXPECT_EQ(story.last().conn->id, 3U);
    EXPECT_EQ(story.last().conn->tuple, request().tuple());
    EXPECT_EQ(story.last().conn->role, Role::server);
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::listener);
    EXPECT_EQ(story.correlator.summary().synack_timeouts, 1U);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
    story.tell(64s, listener().state(State::listen, State::close).by(nginx));
    EXPECT_EQ(story.last().conn->tuple, listener().tuple());
}

TEST(synack_timeout, of_an_unknown_listener)
{
    Story story;
    story.tell(63s, request().synack_timeout(0));
    EXPECT_THAT(story.news(), ElementsAre("synack_timeout 0"));
    EXPECT_EQ(story.last().conn->id, 3U);
    EXPECT_EQ(story.last().conn->role, Role::server);
    EXPECT_FALSE(story.last().actor.known());
    EXPECT_EQ(story.correlator.summary().synack_timeouts, 1U);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// An address is no identity to show, but the packets name the listener's own.
TEST(synack_timeout, of_a_listener_by_its_address)
{
    Story story;
    story.tell(63s, request().id(address_a).synack_timeout(5));
    EXPECT_EQ(story.last().conn->id, 0U);
    story.tell(64s, listener().listen(128).by(nginx))
        .tell(127s, request().id(address_a).synack_timeout(5));
    EXPECT_EQ(story.last().conn->id, 3U);
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
}

} // namespace
} // namespace tcpsaga::testing
