// SPDX-License-Identifier: BSD-2-Clause
/* The two ends of a connection, when both are on this host. */
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

constexpr std::uint32_t other_netns = 4026532000;

/// Both ends, up to the accept().
void meet(Story& story, const Socket& c, const Socket& s)
{
    story.tell(1ms, c.connect().by(curl))
        .tell(2ms, c.state(State::syn_sent, State::established))
        .tell(3ms, s.birth().queue(3, 0, 128))
        .tell(3ms, s.state(State::syn_recv, State::established))
        .tell(4ms, s.accept().by(nginx));
}

void part(Story& story, const Socket& c, const Socket& s)
{
    story.tell(5ms, c.state(State::established, State::fin_wait1).by(curl))
        .tell(5ms, s.state(State::established, State::close_wait))
        .tell(6ms, c.state(State::fin_wait1, State::fin_wait2))
        .tell(6ms, s.state(State::close_wait, State::last_ack).by(nginx))
        .tell(7ms, c.time_wait_in(State::fin_wait2, State::time_wait))
        .tell(7ms, c.state(State::fin_wait2, State::close))
        .tell(7ms, s.state(State::last_ack, State::close));
}

std::optional<Peer> peer_at(const Story& story, std::uint64_t conn)
{
    for (const Seen& e : story.events.seen)
        if (e.kind == "close" && e.conn->id == conn)
            return e.as<event::Close>().peer;
    ADD_FAILURE() << "no close of " << conn;
    return {};
}

void expect_paired(const Story& story)
{
    ASSERT_TRUE(peer_at(story, 1) && peer_at(story, 2));
    EXPECT_EQ(peer_at(story, 1)->conn, 2U);
    EXPECT_EQ(peer_at(story, 1)->process.pid, nginx.pid);
    EXPECT_EQ(peer_at(story, 2)->conn, 1U);
    EXPECT_EQ(peer_at(story, 2)->process.pid, curl.pid);
}

TEST(pairing, of_one_namespace)
{
    Story story;
    meet(story, client(), server());
    part(story, client(), server());
    expect_paired(story);
}

TEST(pairing, of_two_namespaces)
{
    Story story;
    meet(story, client(), server().netns(other_netns));
    part(story, client(), server().netns(other_netns));
    expect_paired(story);
}

TEST(pairing, loopback_is_each_namespaces_own)
{
    Story story;
    const Socket c = client().local("127.0.0.1", 40000).remote("127.0.0.1", 80);
    const Socket s = server().local("127.0.0.1", 80).remote("127.0.0.1", 40000).netns(other_netns);
    meet(story, c, s);
    part(story, c, s);
    EXPECT_FALSE(peer_at(story, 1));
    EXPECT_FALSE(peer_at(story, 2));
}

TEST(pairing, never_of_one_that_might_be_another)
{
    Story story;
    story.tell(1ms, client().id(9).netns(4026532001).connect().by(curl));
    meet(story, client(), server().netns(other_netns));
    part(story, client(), server().netns(other_netns));
    EXPECT_FALSE(peer_at(story, 1));
    EXPECT_FALSE(peer_at(story, 2));
}

TEST(pairing, not_with_a_dead_one_of_the_same_addresses)
{
    Story story;
    meet(story, client(), server());
    part(story, client(), server());
    // The client's end is in TIME_WAIT; its addresses come again from elsewhere.
    const Socket next = server().id(12);
    story.tell(8ms, next.birth().queue(3, 0, 128))
        .tell(8ms, next.state(State::syn_recv, State::established))
        .tell(9ms, next.state(State::established, State::close).error(ECONNRESET));
    EXPECT_FALSE(peer_at(story, 12));
}

TEST(pairing, of_addresses_that_are_used_again_at_once)
{
    Story story;
    meet(story, client(), server());
    part(story, client(), server());
    const Socket c = client().id(11);
    const Socket s = server().id(12);
    meet(story, c, s);
    part(story, c, s);
    expect_paired(story);
    EXPECT_EQ(peer_at(story, 11)->conn, 12U);
    EXPECT_EQ(peer_at(story, 12)->conn, 11U);
}

TEST(pairing, goes_on_when_one_end_is_long_gone)
{
    Story story;
    meet(story, client(), server());
    story.tell(5ms, client().state(State::established, State::close).error(ECONNRESET))
        .tell(6ms, server().state(State::established, State::close).error(ECONNRESET));
    expect_paired(story);
}

TEST(pairing, not_with_oneself)
{
    Story story;
    const Socket self = client().local("10.0.0.1", 80).remote("10.0.0.1", 80);
    story.tell(1ms, self.connect().by(curl))
        .tell(2ms, self.state(State::syn_sent, State::established))
        .tell(3ms, self.state(State::established, State::close).error(ECONNRESET));
    EXPECT_FALSE(peer_at(story, 1));
}

} // namespace
} // namespace tcpsaga::testing
