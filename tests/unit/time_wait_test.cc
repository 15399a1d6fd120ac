// SPDX-License-Identifier: BSD-2-Clause
// How TIME_WAIT is entered, turned and left; and what the tracepoint alone tells of a life.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// ---- how TIME_WAIT is entered, turned and left -------------------------------------------

TEST(time_wait, fin_wait2_held_as_a_small_socket_turns)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::fin_wait2))
        .tell(5ms, client().state(State::fin_wait2, State::close));
    EXPECT_THAT(story.news(), ElementsAre("close fin tx=0 rx=0"));
    story.tell(9ms, client().time_wait_turn());
    EXPECT_THAT(story.news(), ElementsAre("FIN_WAIT2>TIME_WAIT 5000us"));
    story.tell(9ms + 60s, client().time_wait_out());
    EXPECT_THAT(story.news(), ElementsAre("TIME_WAIT>CLOSE 60000000us",
                                          ::testing::StartsWith("time_wait expired")));
}

TEST(time_wait, a_repeated_fin_turns_it_once)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::fin_wait2))
        .tell(5ms, client().state(State::fin_wait2, State::close))
        .tell(9ms, client().time_wait_turn());
    story.news();
    story.tell(10ms, client().time_wait_turn());
    EXPECT_THAT(story.news(), IsEmpty());
}

TEST(time_wait, fin_wait2_that_no_fin_ended_goes_to_close)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::fin_wait2))
        .tell(5ms, client().state(State::fin_wait2, State::close));
    story.news();
    story.tell(25ms, client().time_wait_out(State::fin_wait2));
    EXPECT_THAT(story.news(), ElementsAre("FIN_WAIT2>CLOSE 21000us", "time_wait expired 20ms"));
}

// The turn may be lost, or have no hook: that the small socket ends as TIME_WAIT tells it.
TEST(time_wait, a_turn_that_was_not_seen_is_inferred)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::fin_wait2))
        .tell(5ms, client().state(State::fin_wait2, State::close));
    story.news();
    story.tell(60s, client().time_wait_out(State::time_wait));
    const auto news = story.news();
    ASSERT_EQ(news.size(), 3U) << ::testing::PrintToString(news);
    EXPECT_THAT(news[0], ::testing::MatchesRegex("FIN_WAIT2>TIME_WAIT.* inferred"));
    EXPECT_THAT(news[1], ::testing::StartsWith("TIME_WAIT>CLOSE"));
    EXPECT_THAT(news[2], ::testing::StartsWith("time_wait"));
}

// A turn starts TCP_TIMEWAIT_LEN anew (tcp_timewait_state_process).
TEST(time_wait, is_held_since_its_turn)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::fin_wait2))
        .tell(5ms, client().state(State::fin_wait2, State::close))
        .tell(5ms + 50s, client().time_wait_turn())
        .tell(5ms + 70s, client().time_wait_out().detail(TS_TW_REUSED));
    EXPECT_EQ(story.last().text, "time_wait reused 20000ms");
}

TEST(time_wait, simultaneous_close_enters_from_closing)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established))
        .tell(3ms, client().state(State::established, State::fin_wait1).by(curl))
        .tell(4ms, client().state(State::fin_wait1, State::closing).flag(TS_FIN_SEEN))
        .tell(5ms, client().time_wait_in(State::closing, State::time_wait))
        .tell(5ms, client().state(State::closing, State::close).flag(TS_FIN_SEEN));
    EXPECT_THAT(story.news(),
                ElementsAre("connect", "CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED 1000us",
                            "ESTABLISHED>FIN_WAIT1 1000us", "FIN_WAIT1>CLOSING 1000us",
                            "CLOSING>TIME_WAIT 1000us", "close fin tx=0 rx=0"));
    EXPECT_EQ(story.last("close").conn->closed_by, ClosedBy::both);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

struct Left {
    unsigned why; // ts_tw_end, or one of a later build
    Nanos after;
    std::string_view told;

    friend void PrintTo(const Left& l, std::ostream* to) { *to << l.told; }
};

class time_wait_end : public ::testing::TestWithParam<Left> {};

TEST_P(time_wait_end, is_told_as_the_kernel_did_it)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, client().state(State::fin_wait2, State::close))
        .tell(5ms + GetParam().after, client().time_wait_out().detail(GetParam().why));
    EXPECT_EQ(story.last().text, GetParam().told);
}

// However long it was held.
INSTANTIATE_TEST_SUITE_P(reasons, time_wait_end,
                         ::testing::Values(Left{TS_TW_EXPIRED, 60s, "time_wait expired 60000ms"},
                                           Left{TS_TW_EXPIRED, 999us, "time_wait expired 0ms"},
                                           Left{TS_TW_REUSED, 1ms, "time_wait reused 1ms"},
                                           Left{TS_TW_REUSED, 61s, "time_wait reused 61000ms"},
                                           Left{TS_TW_RESET, 2ms, "time_wait reset 2ms"},
                                           Left{TS_TW_PURGED, 3ms, "time_wait purged 3ms"},
                                           Left{TS_TW_UNKNOWN, 60s, "time_wait 60000ms"},
                                           Left{TS_TW_PURGED + 1U, 4ms, "time_wait 4ms"},
                                           Left{255, 4ms, "time_wait 4ms"}));

TEST(time_wait, is_counted_in_and_out)
{
    Story story;
    client_life(story.correlator);
    story.tell(61s, client().time_wait_out().detail(TS_TW_REUSED));
    const event::Summary s = story.correlator.summary();
    EXPECT_EQ(s.time_wait_in, 1U);
    EXPECT_EQ(s.time_wait_out, 2U); // one began before us
    EXPECT_EQ(s.time_wait_overflows, 0U);
    const SeenCounts& seen = story.correlator.seen().at(init_netns);
    EXPECT_EQ(seen.time_wait_in, 1U);
    EXPECT_EQ(seen.time_wait_expired, 1U);
}

// tcp_time_wait and inet_twsk_alloc both tell after a migration (bpf/time_wait.bpf.h).
TEST(time_wait, that_is_told_twice_began_once)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(6ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(6ms, client().state(State::fin_wait2, State::close))
        .tell(65s, client().time_wait_out());
    EXPECT_EQ(story.correlator.summary().time_wait_in, 1U);
    EXPECT_EQ(story.correlator.seen().at(init_netns).time_wait_in, 1U);
    EXPECT_EQ(story.last().text, "time_wait expired 64995ms");
}

TEST(time_wait, of_a_socket_that_connected_again_is_another)
{
    Story story;
    for (int twice = 0; twice < 2; twice++) {
        to_fin_wait2(story);
        story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait))
            .tell(5ms, client().state(State::fin_wait2, State::close));
    }
    EXPECT_EQ(story.correlator.summary().time_wait_in, 2U);
    // A third one, of which nothing else arrived.
    story.tell(9ms, client().time_wait_in(State::fin_wait2, State::time_wait));
    EXPECT_EQ(story.correlator.summary().time_wait_in, 3U);
}

// ---- what is in TIME_WAIT now --------------------------------------------------------------

void enters(Story& story, const Socket& s)
{
    to_fin_wait2(story, s);
    story.tell(5ms, s.time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, s.state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
}

/// A server's that closes first.
void enters_as_server(Story& story, const Socket& s)
{
    story.tell(1ms, s.birth())
        .tell(2ms, s.state(State::syn_recv, State::established))
        .tell(3ms, s.state(State::established, State::fin_wait1))
        .tell(4ms, s.state(State::fin_wait1, State::fin_wait2))
        .tell(5ms, s.time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, s.state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
}

Socket one_of(std::uint16_t n)
{
    return client().id(n).local("10.0.0.1", n);
}

/// "4026531840 client 10.0.0.2:80 3"
std::vector<std::string> groups(const Story& story)
{
    std::vector<std::string> lines;
    for (const auto& g : story.correlator.summary().time_waits)
        lines.push_back(fmt::format("{} {} {}:{} {}", g.netns, name_of(g.role),
                                    to_string(g.end.addr), g.end.port, g.n));
    return lines;
}

TEST(time_waits, are_grouped_by_the_end_that_they_share)
{
    Story story;
    for (const std::uint16_t n : {1, 2, 3})
        enters(story, one_of(n));
    enters(story, one_of(4).remote("10.0.0.2", 443));
    enters(story, one_of(5).remote("10.0.0.3", 80));
    for (const std::uint16_t n : {6, 7}) // of one port, whatever its address
        enters_as_server(story, server()
                                    .id(n)
                                    .local(n == 6 ? "10.0.0.1" : "::1", 80)
                                    .remote(n == 6 ? "10.0.0.9" : "::1", n));
    enters(story, one_of(1).netns(7));
    EXPECT_THAT(groups(story),
                ElementsAre("4026531840 client 10.0.0.2:80 3", "4026531840 server :::80 2",
                            "7 client 10.0.0.2:80 1", "4026531840 client 10.0.0.2:443 1",
                            "4026531840 client 10.0.0.3:80 1"));
    EXPECT_EQ(story.correlator.summary().time_wait_alive, 8U);
}

// Nobody knows who connected.
TEST(time_waits, of_a_connection_from_before_us_are_by_its_remote_end)
{
    Story story;
    story.tell(5ms, server().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, server().state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
    EXPECT_THAT(groups(story), ElementsAre("4026531840  10.0.0.1:40000 1"));
}

TEST(time_waits, tells_the_ten_largest)
{
    Story story;
    for (std::uint16_t port = 1; port <= 12; port++)
        for (std::uint16_t n = 0; n < port; n++)
            enters(story,
                   one_of(static_cast<std::uint16_t>(port * 100 + n)).remote("10.0.0.2", port));
    const auto all = story.correlator.summary().time_waits;
    ASSERT_EQ(all.size(), 10U);
    for (std::uint16_t i = 0; i < 10; i++) {
        EXPECT_EQ(all[i].end.port, 12 - i);
        EXPECT_EQ(all[i].n, 12U - i);
    }
    EXPECT_EQ(story.correlator.summary().time_wait_alive, 78U);
}

TEST(time_waits, go_when_they_end)
{
    Story story;
    enters(story, one_of(1));
    enters(story, one_of(2));
    story.tell(65s, one_of(1).time_wait_out());
    EXPECT_THAT(groups(story), ElementsAre("4026531840 client 10.0.0.2:80 1"));
    story.tell(65s, one_of(2).time_wait_out());
    EXPECT_THAT(groups(story), IsEmpty());
    EXPECT_EQ(story.correlator.summary().time_wait_alive, 0U);
}

TEST(time_waits, are_none_before_they_turn)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::fin_wait2))
        .tell(5ms, client().state(State::fin_wait2, State::close));
    EXPECT_THAT(groups(story), IsEmpty());
    story.tell(9ms, client().time_wait_turn());
    EXPECT_EQ(groups(story).size(), 1U);
}

// ---- no room for it: net.ipv4.tcp_max_tw_buckets -------------------------------------------

TEST(time_wait_overflow, goes_to_close_at_once)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, client().time_wait_full())
        .tell(5ms, client().state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
    EXPECT_THAT(story.news(),
                ElementsAre("time_wait overflow", "FIN_WAIT2>CLOSE 1000us", "close fin tx=0 rx=0"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
    EXPECT_EQ(story.last("time_wait").conn->id, 1U);
    EXPECT_EQ(story.last("time_wait").actor.pid, curl.pid);
}

TEST(time_wait_overflow, is_not_counted_as_one_that_began)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, client().time_wait_full())
        .tell(6ms, server().time_wait_full()); // nothing else is known of this one
    const event::Summary s = story.correlator.summary();
    EXPECT_EQ(s.time_wait_in, 0U);
    EXPECT_EQ(s.time_wait_out, 0U);
    EXPECT_EQ(s.time_wait_overflows, 2U);
    const SeenCounts& seen = story.correlator.seen().at(init_netns);
    EXPECT_EQ(seen.time_wait_in, 0U);
    EXPECT_EQ(seen.time_wait_overflows, 2U);
}

// Its socket may connect again and have a TIME_WAIT then.
TEST(time_wait_overflow, is_of_one_connection)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_full())
        .tell(5ms, client().state(State::fin_wait2, State::close));
    client_life(story.correlator);
    EXPECT_EQ(story.last().text, "time_wait expired 60000ms");
    EXPECT_EQ(story.correlator.summary().time_wait_in, 1U);
}

// ---- where no hook tells -------------------------------------------------------------------

TEST(time_wait, is_over_at_once_when_no_hook_sees_its_end)
{
    Story story(on_tracepoint());
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, client().state(State::fin_wait2, State::close));
    EXPECT_THAT(story.news(), ElementsAre("FIN_WAIT2>TIME_WAIT 1000us", "close fin tx=0 rx=0"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(time_wait, one_that_began_before_us_ends_without_a_length)
{
    Story story;
    story.tell(5ms, client().time_wait_out());
    EXPECT_THAT(story.news(), ElementsAre("TIME_WAIT>CLOSE", "time_wait expired"));
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// Events of one connection come from several CPUs: their times may disagree a little.
TEST(time_wait, that_ends_before_it_began_was_held_no_time)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(5ms, client().state(State::fin_wait2, State::close))
        .tell(4999us, client().time_wait_out());
    EXPECT_EQ(story.last().text, "time_wait expired 0ms");
}

TEST(time_wait, a_turn_of_a_stranger_is_not_told)
{
    Story story;
    story.tell(5ms, client().time_wait_turn());
    EXPECT_THAT(story.news(), IsEmpty());
}

// ---- the tracepoint alone ------------------------------------------------------------------

TEST(tracepoint_life, connect_is_held_back_until_its_port_is_known)
{
    Story story(on_tracepoint());
    story.tell(1ms, syn_sent_without_port(client()));
    EXPECT_THAT(story.news(), IsEmpty());
    story.tell(2ms, client().state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(),
                ElementsAre("connect", "CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED 1000us"));
    EXPECT_EQ(story.events.seen[0].ts_ns, 1'000'000U);
    EXPECT_EQ(story.events.seen[1].ts_ns, 1'000'000U);
    EXPECT_EQ(story.events.seen[2].ts_ns, 2'000'000U);
    EXPECT_EQ(story.events.seen[0].actor.pid, curl.pid);
}

TEST(tracepoint_life, port_0_is_never_shown)
{
    Story story(on_tracepoint());
    story.tell(1ms, syn_sent_without_port(client()))
        .tell(2ms, client().state(State::syn_sent, State::established));
    ASSERT_EQ(story.events.seen.size(), 3U);
    for (const Seen& s : story.events.seen)
        EXPECT_EQ(s.conn->tuple.local.port, 40000) << s.text;
}

TEST(tracepoint_life, time_wait_is_inferred_from_fin_wait2_with_a_fin)
{
    Story story(on_tracepoint());
    to_fin_wait2(story);
    story.tell(5ms, client().state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
    EXPECT_THAT(story.news(),
                ElementsAre("FIN_WAIT2>TIME_WAIT 1000us inferred", "close fin tx=0 rx=0"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(tracepoint_life, fin_wait2_without_a_fin_is_held_as_such)
{
    Story story(on_tracepoint());
    to_fin_wait2(story);
    story.tell(5ms, client().state(State::fin_wait2, State::close));
    EXPECT_THAT(story.news(), ElementsAre("close fin tx=0 rx=0"));
}

TEST(tracepoint_life, a_reset_in_fin_wait2_is_no_time_wait)
{
    Story story(on_tracepoint());
    to_fin_wait2(story);
    story.tell(5ms,
               client().state(State::fin_wait2, State::close).flag(TS_FIN_SEEN).error(ECONNRESET));
    EXPECT_THAT(story.news(),
                ElementsAre("FIN_WAIT2>CLOSE 1000us", "close rst_received tx=0 rx=0"));
}

TEST(tracepoint_life, closing_ends_in_time_wait)
{
    Story story(on_tracepoint());
    to_fin_wait2(story);
    story.tell(5ms, client().state(State::closing, State::close));
    EXPECT_THAT(story.news(), ElementsAre(::testing::EndsWith(">TIME_WAIT 1000us inferred"),
                                          "close fin tx=0 rx=0"));
}

TEST(time_wait, the_end_of_an_inferred_one_has_its_length)
{
    Story story;
    to_fin_wait2(story);
    story.tell(5ms, client().state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
    story.news();
    story.tell(5ms + 60s, client().time_wait_out());
    EXPECT_THAT(story.news(),
                ElementsAre("TIME_WAIT>CLOSE 60000000us", "time_wait expired 60000ms"));
}

TEST(tracepoint_life, a_servers_handshake_is_its_first_rtt_sample)
{
    Story story(on_tracepoint());
    story.tell(1ms, server().birth())
        .tell(2ms, server().state(State::syn_recv, State::established).srtt(321))
        .tell(3ms, server().accept().by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED 1000us",
                                          "accept wait=1000us handshake=321us"));
}

TEST(tracepoint_life, a_handshake_that_was_measured_stays)
{
    Story story;
    story.tell(2ms, server().birth().synack(1ms))
        .tell(3ms, server().state(State::syn_recv, State::established).srtt(321))
        .tell(4ms, server().accept().by(nginx));
    EXPECT_EQ(story.last("accept").as<event::Accept>().handshake_us, 1000U);
}

} // namespace
} // namespace tcpsaga::testing
