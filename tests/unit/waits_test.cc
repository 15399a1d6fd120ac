// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// The nth child of the listener of cookie 3.
Socket child(unsigned n)
{
    return Socket()
        .id(100 + n)
        .local("10.0.0.2", 80)
        .remote("10.0.0.1", static_cast<std::uint16_t>(40000 + n));
}

std::vector<event::ListenerSummary> listeners(const Story& story)
{
    return story.correlator.summary().listeners;
}

TEST(waits, of_a_host_without_listeners)
{
    Story story;
    client_life(story.correlator);
    EXPECT_THAT(listeners(story), IsEmpty());
}

TEST(waits, of_a_listener)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx));
    // Three children queue up, then two are accepted; the SYN-ACKs were 1, 2 and 3 us before.
    for (unsigned n = 0; n < 3; n++) {
        const Nanos born = 2ms + n * 10us;
        story.tell(born, child(n).birth().queue(3, n, 128).synack(born - (n + 1) * 1us))
            .tell(born, child(n).state(State::syn_recv, State::established).srtt(500));
    }
    story.tell(3ms, child(0).accept().queue(3, 2, 128).by(nginx))
        .tell(3ms, child(1).accept().queue(3, 1, 128).by(nginx));
    ASSERT_EQ(listeners(story).size(), 1U);
    const event::ListenerSummary l = listeners(story).at(0);
    EXPECT_EQ(l.conn, 3U);
    EXPECT_EQ(l.netns, init_netns);
    EXPECT_EQ(l.local, listener().tuple().local);
    EXPECT_EQ(l.owner.pid, nginx.pid);
    EXPECT_EQ(l.births, 3U);
    EXPECT_EQ(l.accepts, 2U);
    EXPECT_EQ(l.acceptq_high, 3U);
    EXPECT_EQ(l.acceptq_max, 128U);
    EXPECT_EQ(l.handshake_us.count(), 3U);
    EXPECT_EQ(l.handshake_us.percentile(50), 2U);
    EXPECT_EQ(l.handshake_us.max(), 3U);
    EXPECT_EQ(l.accept_wait_us.count(), 2U);
    EXPECT_EQ(l.accept_wait_us.max(), 1000U);
    EXPECT_NEAR(static_cast<double>(l.accept_wait_us.percentile(50)), 990, 990.0 / 128);
}

TEST(waits, the_high_water_mark_stays)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx))
        .tell(2ms, child(1).birth().queue(3, 9, 128))
        .tell(3ms, child(2).birth().queue(3, 0, 64));
    EXPECT_EQ(listeners(story).at(0).acceptq_high, 10U);
    EXPECT_EQ(listeners(story).at(0).acceptq_max, 64U); // listen() again with less
}

TEST(waits, tell_a_depth_that_was_measured)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx));
    EXPECT_TRUE(listeners(story).at(0).depth_known()); // none waited
    story.tell(2ms, child(1).birth());                 // its listener is not named
    EXPECT_FALSE(listeners(story).at(0).depth_known());
    story.tell(3ms, child(2).birth().queue(3, 1, 128));
    EXPECT_TRUE(listeners(story).at(0).depth_known());
    story.tell(4ms, child(3).id(200).local("10.0.0.2", 81).accept().by(nginx));
    EXPECT_FALSE(listeners(story).at(1).depth_known());
}

TEST(waits, of_two_listeners_of_one_port)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx))
        .tell(1ms, listener().id(4).listen(128).by(nginx)) // SO_REUSEPORT
        .tell(2ms, child(1).birth().queue(3, 0, 128))
        .tell(2ms, child(2).birth().queue(4, 0, 128))
        .tell(2ms, child(3).birth().queue(4, 1, 128));
    ASSERT_EQ(listeners(story).size(), 2U);
    EXPECT_EQ(listeners(story).at(0).conn, 3U);
    EXPECT_EQ(listeners(story).at(0).births, 1U);
    EXPECT_EQ(listeners(story).at(1).conn, 4U);
    EXPECT_EQ(listeners(story).at(1).births, 2U);
}

TEST(waits, of_the_same_listener_in_another_namespace)
{
    Story story;
    story.tell(2ms, child(1).birth()).tell(2ms, child(2).netns(7).birth());
    ASSERT_EQ(listeners(story).size(), 2U);
    EXPECT_EQ(listeners(story).at(0).netns, 7U);
    EXPECT_EQ(listeners(story).at(1).netns, init_netns);
}

TEST(waits, outlive_the_listener)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx))
        .tell(2ms, child(1).birth().queue(3, 0, 128))
        .tell(3ms, listener().state(State::listen, State::close).by(nginx));
    EXPECT_EQ(listeners(story).at(0).births, 1U);
    EXPECT_EQ(listeners(story).at(0).owner.pid, nginx.pid);
}

// The child was born before us: its listener is known by its port alone.
TEST(waits, of_a_child_that_is_known_by_its_accept_alone)
{
    Story story;
    story.tell(2ms, child(1).accept().queue(3, 0, 128).by(nginx));
    ASSERT_EQ(listeners(story).size(), 1U);
    const event::ListenerSummary l = listeners(story).at(0);
    EXPECT_EQ(l.conn, 0U);
    EXPECT_EQ(l.netns, init_netns);
    EXPECT_EQ(l.local, child(1).tuple().local);
    EXPECT_EQ(l.births, 0U);
    EXPECT_EQ(l.accepts, 1U);
    EXPECT_EQ(l.acceptq_max, 0U);
    EXPECT_EQ(l.accept_wait_us.count(), 0U);
}

TEST(waits, of_a_child_whose_birth_was_lost)
{
    Story story;
    story.tell(2ms, child(1).state(State::syn_recv, State::established).srtt(250));
    ASSERT_EQ(listeners(story).size(), 1U);
    EXPECT_EQ(listeners(story).at(0).netns, init_netns);
    EXPECT_EQ(listeners(story).at(0).local, child(1).tuple().local);
    EXPECT_EQ(listeners(story).at(0).handshake_us.max(), 250U);
}

TEST(waits, a_clients_handshake_is_no_listeners)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established).srtt(1000));
    EXPECT_THAT(listeners(story), IsEmpty());
}

TEST(waits, are_counted_once_of_an_accept_told_twice)
{
    Story story;
    story.tell(2ms, child(1).birth())
        .tell(2ms, child(1).state(State::syn_recv, State::established))
        .tell(3ms, child(1).accept().by(nginx))
        .tell(4ms, child(1).accept().by(nginx));
    EXPECT_EQ(listeners(story).at(0).accepts, 1U);
    EXPECT_EQ(listeners(story).at(0).accept_wait_us.max(), 1000U);
}

// ---- births that are inferred ------------------------------------------------------------------

/// Where a child's SYN_RECV comes before its identity.
Correlator::Config inferring()
{
    Correlator::Config c;
    c.infer_births = true;
    return c;
}

TEST(inferred_birth, of_a_child_whose_first_change_is_its_second)
{
    Story story(inferring());
    story.tell(1ms, listener().listen(128).by(nginx));
    story.news();
    story.tell(2ms, child(1).state(State::syn_recv, State::established).srtt(250))
        .tell(3ms, child(1).accept().queue(3, 0, 128).by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("LISTEN>SYN_RECV inferred", "SYN_RECV>ESTABLISHED 0us",
                                          "accept wait=1000us handshake=250us queue=0/128"));
    const event::Summary s = story.correlator.summary();
    EXPECT_EQ(s.births, 1U);
    EXPECT_EQ(story.correlator.seen().at(init_netns).passive_opens, 1U);
    ASSERT_EQ(s.listeners.size(), 1U);
    EXPECT_EQ(s.listeners.at(0).conn, 3U); // found by its address
    EXPECT_EQ(s.listeners.at(0).births, 1U);
    EXPECT_EQ(s.listeners.at(0).accepts, 1U);
    EXPECT_EQ(s.listeners.at(0).acceptq_max, 128U); // as listen() told
    EXPECT_FALSE(s.listeners.at(0).depth_known());
    EXPECT_EQ(s.listeners.at(0).handshake_us.max(), 250U);
    EXPECT_EQ(s.listeners.at(0).accept_wait_us.max(), 1000U);
}

TEST(inferred_birth, is_the_listeners_owners)
{
    Story story(inferring());
    story.tell(1ms, listener().listen(128).by(nginx))
        .tell(2ms, child(1).state(State::syn_recv, State::established));
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::listener);
    EXPECT_TRUE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().conn->role, Role::server);
}

TEST(inferred_birth, is_not_that_of_a_child_whose_birth_was_seen)
{
    Story story(inferring());
    story.tell(2ms, child(1).birth())
        .tell(3ms, child(1).state(State::syn_recv, State::established));
    EXPECT_THAT(story.news(), ElementsAre("LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED 1000us"));
    EXPECT_EQ(story.correlator.summary().births, 1U);
}

TEST(inferred_birth, is_not_that_of_a_connection_from_before_us)
{
    Story story(inferring());
    story.tell(2ms, child(1).state(State::established, State::close_wait))
        .tell(2ms, client().state(State::syn_sent, State::established));
    EXPECT_EQ(story.correlator.summary().births, 0U);
}

TEST(inferred_birth, only_where_it_is_asked_for)
{
    Story story;
    story.tell(2ms, child(1).state(State::syn_recv, State::established));
    EXPECT_THAT(story.news(), ElementsAre("SYN_RECV>ESTABLISHED"));
    EXPECT_EQ(story.correlator.summary().births, 0U);
}

// Simultaneous open: a client's own SYN_RECV, which is no passive open to the kernel.
TEST(inferred_birth, is_not_that_of_a_simultaneous_open)
{
    Story story(inferring());
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::syn_recv))
        .tell(3ms, client().state(State::syn_recv, State::established));
    EXPECT_EQ(story.correlator.summary().births, 0U);
    EXPECT_THAT(listeners(story), IsEmpty());
}

} // namespace
} // namespace tcpsaga::testing
