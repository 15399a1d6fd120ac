// SPDX-License-Identifier: BSD-2-Clause
// Whose connection it is, the filter by process, and the counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Task master{200, "nginx", 0};
constexpr Task worker{201, "nginx-worker", 33};

void expect_actor(const Seen& s, const Task& who, PidFrom from)
{
    EXPECT_EQ(s.actor.pid, who.pid) << s.text;
    EXPECT_EQ(s.actor.uid, who.uid) << s.text;
    EXPECT_EQ(s.actor.name(), who.comm) << s.text;
    EXPECT_EQ(s.actor.from, from) << s.text;
}

// ---- attribution --------------------------------------------------------------------------

TEST(attribution, of_a_client)
{
    Story story;
    client_life(story.correlator);
    const auto& seen = story.events.seen;
    expect_actor(seen[0], curl, PidFrom::task);    // connect
    expect_actor(seen[1], curl, PidFrom::task);    // CLOSE>SYN_SENT
    expect_actor(seen[2], curl, PidFrom::connect); // in softirq: the owner
    expect_actor(seen[3], curl, PidFrom::task);    // close()
    expect_actor(seen[4], curl, PidFrom::connect);
    expect_actor(story.last("close"), curl, PidFrom::connect);
    expect_actor(story.last("time_wait"), curl, PidFrom::connect);
}

TEST(attribution, of_a_server)
{
    Story story;
    story.tell(1us, listener().listen(128).by(master));
    story.news();
    server_life(story.correlator, server(), worker);
    const auto& seen = story.events.seen;
    expect_actor(seen[2], master, PidFrom::listener); // LISTEN>SYN_RECV
    expect_actor(seen[3], master, PidFrom::listener);
    expect_actor(seen[4], worker, PidFrom::task);   // accept
    expect_actor(seen[5], worker, PidFrom::accept); // ESTABLISHED>CLOSE_WAIT
    expect_actor(seen[6], worker, PidFrom::task);   // close()
    expect_actor(story.last("close"), worker, PidFrom::accept);
}

TEST(attribution, a_bystander_is_never_named)
{
    Story story;
    story.tell(1ms, server().birth())
        .tell(2ms, server().state(State::syn_recv, State::established));
    for (const Seen& s : story.events.seen)
        EXPECT_FALSE(s.actor.known()) << s.text;
}

TEST(attribution, of_a_connection_from_before_us_to_the_first_that_acts_on_it)
{
    Story story;
    story.tell(1ms, client().state(State::established, State::close_wait));
    EXPECT_FALSE(story.last().actor.known());
    story.tell(2ms, client().state(State::close_wait, State::last_ack).by(curl));
    expect_actor(story.last(), curl, PidFrom::task);
    story.tell(3ms, client().state(State::last_ack, State::close));
    expect_actor(story.last("close"), curl, PidFrom::task);
}

TEST(attribution, another_process_may_act_and_does_not_own)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established))
        .tell(3ms, client().state(State::established, State::fin_wait1).by(worker));
    expect_actor(story.last(), worker, PidFrom::task);
    story.tell(4ms, client().state(State::fin_wait1, State::fin_wait2));
    expect_actor(story.last(), curl, PidFrom::connect);
}

struct ListenerCase {
    const char* name;
    std::uint64_t id_in_birth;
    Socket listener;
    Socket child;
    bool found;

    friend void PrintTo(const ListenerCase& c, std::ostream* to) { *to << c.name; }
};

class listener_of_child : public ::testing::TestWithParam<ListenerCase> {};

TEST_P(listener_of_child, is_found)
{
    const ListenerCase& c = GetParam();
    Story story;
    story.tell(1ms, c.listener.listen(128).by(master))
        .tell(2ms, c.child.birth().queue(c.id_in_birth, 0, 128));
    EXPECT_EQ(story.last().text, "LISTEN>SYN_RECV");
    EXPECT_EQ(story.last().actor.from, c.found ? PidFrom::listener : PidFrom::nobody);
    EXPECT_EQ(story.last().actor.pid, c.found ? master.pid : 0);
}

Socket v6_listener(std::string_view addr)
{
    return Socket().id(3).local(addr, 80).remote("::", 0);
}

Socket v6_child()
{
    return Socket().id(2).local("2001:db8::1", 80).remote("2001:db8::2", 40000);
}

INSTANTIATE_TEST_SUITE_P(
    ways, listener_of_child,
    ::testing::Values(
        ListenerCase{"by_id", 3, listener().local("9.9.9.9", 9), server(), true},
        ListenerCase{"any_v4", 0, listener(), server(), true},
        ListenerCase{"own_address", 0, listener().local("10.0.0.2", 80), server(), true},
        ListenerCase{"dual_stack", 0, v6_listener("::"), server(), true},
        ListenerCase{"any_v6", 0, v6_listener("::"), v6_child(), true},
        ListenerCase{"own_v6_address", 0, v6_listener("2001:db8::1"), v6_child(), true},
        ListenerCase{"has_a_cookie_now", 99, listener().id(address_a), server(), true},
        ListenerCase{"other_port", 0, listener().local("0.0.0.0", 81), server(), false},
        ListenerCase{"other_address", 0, listener().local("10.0.0.3", 80), server(), false},
        ListenerCase{"other_namespace", 3, listener().netns(7), server(), false},
        ListenerCase{"v6_listener_by_v4_any", 0, listener(), v6_child(), false}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(attribution, a_listener_that_ended_owns_no_child)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(master))
        .tell(2ms, listener().state(State::listen, State::close).by(master))
        .tell(3ms, server().birth().queue(3, 0, 128));
    EXPECT_FALSE(story.last().actor.known());
}

// ---- the process filter ---------------------------------------------------------------------

Correlator::Config only_pid(std::uint32_t pid)
{
    Correlator::Config c;
    c.filter.pids = {pid};
    return c;
}

TEST(process_filter, hides_the_connections_of_others)
{
    Story story(only_pid(999));
    client_life(story.correlator);
    server_life(story.correlator);
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().events, 0U);
}

TEST(process_filter, shows_all_of_a_life_of_its_own)
{
    Story story(only_pid(curl.pid));
    client_life(story.correlator);
    server_life(story.correlator);
    EXPECT_EQ(story.news().size(), 9U);
    EXPECT_EQ(story.correlator.summary().events, 9U);
}

TEST(process_filter, shows_a_server_from_its_accept_on)
{
    Story story(only_pid(nginx.pid));
    server_life(story.correlator);
    EXPECT_THAT(story.news(),
                ElementsAre("accept wait=40us handshake=200us queue=1/128",
                            "ESTABLISHED>CLOSE_WAIT 3849us", "CLOSE_WAIT>LAST_ACK 100us",
                            "LAST_ACK>CLOSE 100us", "close fin tx=2000 rx=100"));
}

TEST(process_filter, once_shown_stays_shown)
{
    Story story(only_pid(worker.pid));
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(), IsEmpty());
    story.tell(3ms, client().state(State::established, State::fin_wait1).by(worker))
        .tell(4ms, client().state(State::fin_wait1, State::fin_wait2));
    EXPECT_THAT(story.news(),
                ElementsAre("ESTABLISHED>FIN_WAIT1 1000us", "FIN_WAIT1>FIN_WAIT2 1000us"));
}

TEST(process_filter, by_name)
{
    Correlator::Config config;
    config.filter.comms = {"nginx"};
    Story story(config);
    client_life(story.correlator);
    EXPECT_THAT(story.news(), IsEmpty());
    server_life(story.correlator);
    EXPECT_EQ(story.news().size(), 5U);
}

TEST(process_filter, an_unknown_process_is_not_pid_0)
{
    Story story(only_pid(0));
    story.tell(1ms, server().birth());
    EXPECT_THAT(story.news(), IsEmpty());
}

TEST(process_filter, does_not_change_the_counts_of_connections)
{
    Story story(only_pid(999));
    client_life(story.correlator);
    server_life(story.correlator);
    const event::Summary s = story.correlator.summary();
    EXPECT_EQ(s.opens, 1U);
    EXPECT_EQ(s.births, 1U);
    EXPECT_EQ(s.accepts, 1U);
    EXPECT_EQ(s.closes, 2U);
}

// ---- counts ---------------------------------------------------------------------------------

TEST(summary, counts_each_kind)
{
    Story story;
    client_life(story.correlator);
    client_life(story.correlator);
    refused_life(story.correlator);
    server_life(story.correlator);
    story.tell(1h, listener().listen(128).by(nginx));
    story.tell(1h, server().birth());
    const event::Summary s = story.correlator.summary();
    EXPECT_EQ(s.opens, 3U);
    EXPECT_EQ(s.births, 2U);
    EXPECT_EQ(s.accepts, 1U);
    EXPECT_EQ(s.closes, 4U);
    EXPECT_EQ(s.alive, 2U);
    EXPECT_EQ(s.events, story.events.seen.size());
    EXPECT_EQ(s.lost(), 0U);
}

TEST(lost, is_told_and_counted_by_place)
{
    Story story;
    story.correlator.lost(1, event::LostWhere::ring, 11);
    story.correlator.lost(20, event::LostWhere::output, 12);
    story.correlator.lost(300, event::LostWhere::missed, 13);
    story.correlator.lost(4, event::LostWhere::ring, 14);
    EXPECT_THAT(story.news(),
                ElementsAre("lost 1 ring", "lost 20 output", "lost 300 missed", "lost 4 ring"));
    EXPECT_EQ(story.last().ts_ns, 14U);
    EXPECT_FALSE(story.last().conn.has_value());
    const event::Summary s = story.correlator.summary();
    EXPECT_EQ(s.lost_ring, 5U);
    EXPECT_EQ(s.lost_output, 20U);
    EXPECT_EQ(s.lost_missed, 300U);
    EXPECT_EQ(s.lost_table, 0U);
    EXPECT_EQ(s.lost(), 325U);
    EXPECT_EQ(s.events, 0U);
}

TEST(lost, nothing_is_not_told)
{
    Story story;
    story.correlator.lost(0, event::LostWhere::ring, 11);
    EXPECT_THAT(story.news(), IsEmpty());
}

TEST(lost, is_told_whatever_the_process_filter)
{
    Story story(only_pid(999));
    story.correlator.lost(1, event::LostWhere::ring, 11);
    EXPECT_THAT(story.news(), ElementsAre("lost 1 ring"));
}

} // namespace
} // namespace tcpsaga::testing
