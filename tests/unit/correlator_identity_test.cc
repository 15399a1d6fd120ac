// SPDX-License-Identifier: BSD-2-Clause
// Which records belong to one connection; what happens when there are too many of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t first_own_id = std::uint64_t{1} << 52;

Socket numbered(std::uint16_t n)
{
    return Socket().id(n).local("10.0.0.1", static_cast<std::uint16_t>(40000 + n));
}

void open(Story& story, const Socket& s, Nanos t = 1ms)
{
    story.tell(t, s.connect().by(curl)).tell(t, s.state(State::syn_sent, State::established));
}

// ---- sockets that are known by their address ---------------------------------------------

TEST(socket_without_cookie, is_shown_with_an_id_of_our_own)
{
    Story story;
    open(story, client().id(address_a));
    open(story, numbered(7).id(address_b));
    EXPECT_EQ(story.events.seen.front().conn->id, first_own_id);
    EXPECT_EQ(story.events.seen.back().conn->id, first_own_id + 1);
    EXPECT_EQ(story.correlator.summary().alive, 2U);
}

TEST(socket_without_cookie, lives_a_whole_life)
{
    Story story;
    client_life(story.correlator, client().id(address_a));
    EXPECT_EQ(story.news().size(), 9U);
    for (const Seen& s : story.events.seen)
        EXPECT_EQ(s.conn->id, first_own_id) << s.text;
}

// A TIME_WAIT socket has an address of its own: the 4-tuple finds it.
TEST(socket_without_cookie, is_found_by_its_tuple_in_time_wait)
{
    Story story;
    const Socket full = client().id(address_a);
    const Socket small = client().id(address_b);
    open(story, full);
    story.tell(2ms, full.state(State::established, State::fin_wait1).by(curl))
        .tell(3ms, full.state(State::fin_wait1, State::fin_wait2))
        .tell(4ms, full.time_wait_in(State::fin_wait2, State::fin_wait2))
        .tell(4ms, full.state(State::fin_wait2, State::close));
    story.news();
    story.tell(5ms, small.time_wait_turn()).tell(60'005ms, small.time_wait_out());
    EXPECT_THAT(story.news(),
                ElementsAre("FIN_WAIT2>TIME_WAIT 2000us", "TIME_WAIT>CLOSE 60000000us",
                            ::testing::StartsWith("time_wait expired")));
    for (const Seen& s : story.events.seen)
        EXPECT_EQ(s.conn->id, first_own_id) << s.text;
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(socket_without_cookie, keeps_its_id_when_it_gets_a_cookie)
{
    Story story;
    open(story, client().id(address_a));
    const Socket known = client().id(77);
    story.tell(2ms, known.state(State::established, State::close_wait))
        .tell(3ms, known.state(State::close_wait, State::last_ack).by(curl))
        .tell(4ms, known.state(State::last_ack, State::close));
    EXPECT_EQ(story.news().size(), 7U);
    for (const Seen& s : story.events.seen) {
        EXPECT_EQ(s.conn->id, first_own_id) << s.text;
        EXPECT_TRUE(s.conn->seen_start) << s.text;
    }
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(socket_without_cookie, leaves_its_address_when_it_gets_a_cookie)
{
    Story story;
    open(story, client().id(address_a), 1ms);
    story.tell(2ms, client().id(77).state(State::established, State::close_wait));
    open(story, numbered(9).id(address_a), 3ms);
    story.tell(4ms, client().id(77).state(State::close_wait, State::last_ack).by(curl));
    EXPECT_EQ(story.last().text, "CLOSE_WAIT>LAST_ACK 2000us");
    EXPECT_EQ(story.last().conn->id, first_own_id);
    EXPECT_EQ(story.correlator.summary().alive, 2U);
}

TEST(socket_without_cookie, is_the_same_for_a_hook_that_reads_no_cookie)
{
    Story story;
    open(story, client().id(77));
    story.tell(2ms, client().id(address_a).state(State::established, State::close_wait));
    EXPECT_EQ(story.last().conn->id, 77U);
    story.tell(3ms, client().id(77).state(State::close_wait, State::last_ack));
    EXPECT_EQ(story.last().text, "CLOSE_WAIT>LAST_ACK 1000us");
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

// It gets its cookie from whoever asks for it first, also between SYN_SENT and its port.
TEST(socket_without_cookie, may_get_a_cookie_before_its_port)
{
    Story story;
    story.tell(1ms, client().id(address_a).state(State::close, State::syn_sent).by(curl).port(0))
        .tell(2ms, client().id(77).state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(),
                ElementsAre("connect", "CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED 1000us"));
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

TEST(socket_without_cookie, at_a_used_address_is_another_one)
{
    Story story;
    open(story, client().id(address_a));
    const Socket other = numbered(9).id(address_a);
    story.tell(5ms, other.state(State::established, State::close_wait));
    EXPECT_EQ(story.last().conn->id, first_own_id + 1);
    EXPECT_EQ(story.last().conn->tuple, other.tuple());
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().text, "ESTABLISHED>CLOSE_WAIT");
}

TEST(socket_without_cookie, at_a_used_address_may_connect)
{
    Story story;
    open(story, client().id(address_a), 1ms);
    open(story, numbered(9).id(address_a), 2ms);
    EXPECT_EQ(story.last().conn->id, first_own_id + 1);
    EXPECT_EQ(story.last().conn->tuple.local.port, 40009);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

// The full socket is freed when TIME_WAIT begins, and its address is the next to be given
// out. `conn` is the same over the whole life, TIME_WAIT included.
TEST(socket_without_cookie, stays_known_in_time_wait_when_its_address_is_used_again)
{
    Story story;
    const Socket first = client().id(address_a);
    open(story, first);
    story.tell(2ms, first.state(State::established, State::fin_wait1).by(curl))
        .tell(3ms, first.state(State::fin_wait1, State::fin_wait2))
        .tell(4ms, first.time_wait_in(State::fin_wait2, State::time_wait))
        .tell(4ms, first.state(State::fin_wait2, State::close));
    open(story, numbered(9).id(address_a), 5ms);
    story.news();
    story.tell(4ms + 60s, client().id(address_b).time_wait_out());
    EXPECT_THAT(story.news(),
                ElementsAre("TIME_WAIT>CLOSE 60000000us", "time_wait expired 60000ms"));
    EXPECT_EQ(story.last().conn->id, first_own_id);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

// ---- cookies --------------------------------------------------------------------------------

TEST(cookie, is_one_per_namespace)
{
    Story story;
    open(story, client().netns(100));
    open(story, client().netns(200));
    story.tell(2ms, client().netns(100).state(State::established, State::close_wait));
    EXPECT_EQ(story.last().conn->tuple.netns, 100U);
    EXPECT_EQ(story.last().text, "ESTABLISHED>CLOSE_WAIT 1000us");
    EXPECT_EQ(story.correlator.summary().alive, 2U);
}

// A client may use a 4-tuple in TIME_WAIT again (tcp_tw_reuse).
TEST(cookie, tells_two_connections_of_one_tuple_apart)
{
    Story story;
    open(story, client().id(1));
    story.tell(2ms, client().state(State::established, State::fin_wait1).by(curl))
        .tell(3ms, client().state(State::fin_wait1, State::fin_wait2))
        .tell(4ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(4ms, client().state(State::fin_wait2, State::close));
    open(story, client().id(2), 2s);
    story.news();
    story.tell(2004ms, client().id(1).time_wait_out().detail(TS_TW_REUSED));
    EXPECT_THAT(story.news(), ElementsAre("TIME_WAIT>CLOSE 2000000us", "time_wait reused 2000ms"));
    EXPECT_EQ(story.last().conn->id, 1U);
    story.tell(3s, client().id(2).state(State::established, State::close_wait));
    EXPECT_EQ(story.last().conn->id, 2U);
    EXPECT_TRUE(story.last().conn->seen_start);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

TEST(cookie, is_the_same_connection_whatever_its_address)
{
    Story story;
    open(story, client());
    story.tell(2ms, client().local("10.0.0.9", 40000).state(State::established, State::close_wait));
    EXPECT_EQ(story.last().text, "ESTABLISHED>CLOSE_WAIT 1000us");
    EXPECT_TRUE(story.last().conn->seen_start);
}

TEST(cookie, of_another_is_another_connection_also_when_its_start_was_lost)
{
    Story story;
    open(story, client().id(1));
    story.tell(2s, client().id(2).state(State::established, State::close_wait));
    EXPECT_EQ(story.last().conn->id, 2U);
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().text, "ESTABLISHED>CLOSE_WAIT");
}

// connect(AF_UNSPEC) frees a socket for another connection, with the same cookie, while
// the TIME_WAIT of its first goes on.
TEST(cookie, of_a_socket_that_connects_again_is_not_ended_by_its_old_time_wait)
{
    Story story;
    open(story, client());
    story.tell(2ms, client().state(State::established, State::fin_wait1).by(curl))
        .tell(3ms, client().state(State::fin_wait1, State::fin_wait2))
        .tell(4ms, client().time_wait_in(State::fin_wait2, State::time_wait))
        .tell(4ms, client().state(State::fin_wait2, State::close));
    const Socket again = client().local("10.0.0.1", 40001);
    open(story, again, 1s);
    story.tell(61s, client().time_wait_out());
    story.news();
    story.tell(62s, again.state(State::established, State::close_wait));
    EXPECT_THAT(story.news(), ElementsAre("ESTABLISHED>CLOSE_WAIT 61000000us"));
    EXPECT_TRUE(story.last().conn->seen_start);
}

TEST(cookie, of_an_adopted_connection_is_shown)
{
    Story story;
    story.tell(1s, client().id(4711).state(State::established, State::close_wait));
    EXPECT_EQ(story.last().conn->id, 4711U);
}

TEST(reconnect, of_a_refused_socket_is_a_new_connection)
{
    Story story;
    refused_life(story.correlator);
    story.news();
    story.tell(2s, client().connect().by(curl))
        .tell(3s, client().state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(),
                ElementsAre("connect", "CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED 1000000us"));
}

// ---- the table is bounded -----------------------------------------------------------------

Correlator::Config at_most(std::size_t n)
{
    Correlator::Config c;
    c.capacity = n;
    return c;
}

TEST(eviction, takes_the_stalest_and_is_told_once)
{
    Story story(at_most(2));
    open(story, numbered(1));
    open(story, numbered(2));
    story.tell(2ms, numbered(1).state(State::established, State::close_wait));
    open(story, numbered(3));
    story.news();
    story.correlator.tell_evictions(5);
    EXPECT_THAT(story.news(), ElementsAre("lost 1 table"));
    EXPECT_EQ(story.last().ts_ns, 5U);
    story.correlator.tell_evictions(6);
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().lost_table, 1U);
    EXPECT_EQ(story.correlator.summary().alive, 2U);

    story.tell(3ms, numbered(1).state(State::close_wait, State::last_ack));
    EXPECT_TRUE(story.last().conn->seen_start);
    story.tell(3ms, numbered(2).state(State::established, State::close_wait));
    EXPECT_FALSE(story.last().conn->seen_start);
}

TEST(eviction, counts_on)
{
    Story story(at_most(1));
    open(story, numbered(1));
    open(story, numbered(2));
    story.correlator.tell_evictions(5);
    open(story, numbered(3));
    open(story, numbered(4));
    story.correlator.tell_evictions(6);
    EXPECT_EQ(story.last().text, "lost 2 table");
    EXPECT_EQ(story.correlator.summary().lost_table, 3U);
}

// A listener tells nothing between start and end, and is used at each birth.
TEST(eviction, spares_a_listener_in_use)
{
    Story story(at_most(3));
    story.tell(1ms, listener().listen(128).by(nginx));
    for (std::uint16_t n = 1; n <= 5; n++)
        story.tell(2ms, server().id(10U + n).remote("10.0.0.9", n).birth().queue(3, 0, 128));
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
}

// ---- what is broken or strange is counted or told, and never fatal ----------------------------

TEST(malformed, records_are_counted_and_ignored)
{
    Story story;
    auto r = client().connect();
    story.correlator.consume(r.bytes().first(sizeof(ts_head) - 1));
    story.correlator.consume({});
    r.head().kind = TS_KINDS;
    story.tell(r);
    EXPECT_EQ(story.correlator.malformed(), 3U);
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(malformed, none_in_a_good_life)
{
    Story story;
    client_life(story.correlator);
    server_life(story.correlator);
    EXPECT_EQ(story.correlator.malformed(), 0U);
}

/// Every kind and pair of states about one socket of which nothing is known.
template <class Say>
void everything(const Socket& s, const Say& say)
{
    for (int from = 0; from <= 12; from++)
        for (int to = 0; to <= 12; to++)
            say(s.state(static_cast<State>(from), static_cast<State>(to)).bytes());
    for (int to = 0; to <= 12; to++) {
        const auto state = static_cast<State>(to);
        say(s.accept(state).queue(3, 1, 1).bytes());
        say(s.time_wait_in(state, state).bytes());
        say(s.time_wait_out(state).bytes());
    }
    say(s.connect().bytes());
    say(s.connect_error(ENETUNREACH).bytes());
    say(s.birth().bytes());
    say(s.listen(1).bytes());
    say(s.listen(1, State::listen).asked(2).bytes());
    say(s.time_wait_full().bytes());
    for (int now = 0; now <= 12; now++)
        say(s.retransmit(TS_RE_SYNACK, 1, static_cast<State>(now)).bytes());
    say(s.time_wait_turn().bytes());
    for (int now = 0; now <= 12; now++)
        say(s.reset(static_cast<State>(now), now % 2 == 0, 3).bytes());
}

class strange_record : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(strange_record, as_the_first_of_its_connection)
{
    everything(client().id(GetParam()), [](std::span<const std::byte> bytes) {
        Story story;
        story.correlator.consume(bytes);
        story.correlator.tell_held_back(UINT64_MAX);
        EXPECT_EQ(story.correlator.malformed(), 0U);
        EXPECT_LE(story.correlator.summary().alive, 1U);
        EXPECT_EQ(story.correlator.summary().events, story.events.seen.size());
    });
}

TEST_P(strange_record, after_any_other)
{
    everything(client().id(GetParam()), [](std::span<const std::byte> first) {
        everything(client().id(GetParam()), [first](std::span<const std::byte> second) {
            Story story;
            story.correlator.consume(first);
            story.correlator.consume(second);
            story.correlator.tell_held_back(UINT64_MAX);
            ASSERT_LE(story.correlator.summary().alive, 2U);
            ASSERT_EQ(story.correlator.summary().events, story.events.seen.size());
        });
    });
}

TEST_P(strange_record, in_a_table_that_is_too_small)
{
    Story story(at_most(1));
    for (std::uint16_t n = 0; n < 3; n++)
        everything(numbered(n).id(GetParam() + n), [&](std::span<const std::byte> bytes) {
            story.correlator.consume(bytes);
            ASSERT_LE(story.correlator.summary().alive, 1U);
        });
}

INSTANTIATE_TEST_SUITE_P(ids, strange_record, ::testing::Values(5U, address_a));

// ---- expected records ---------------------------------------------------------------------

TEST(expecting, makes_no_difference)
{
    constexpr std::uint64_t many = 6000; // more than are in a cache anyway
    Story plain;
    Story told;
    const auto tell = [&](Nanos t, std::uint64_t id, auto record) {
        record.head().id = id;
        record.head().lport = static_cast<__u16>(10'000 + id);
        record.at(t);
        plain.tell(record);
        told.correlator.expect(record.bytes());
        told.correlator.expect(record.bytes().first(7));
        told.tell(record);
    };
    for (std::uint64_t id = 1; id <= many; id++)
        tell(Nanos(id), id, client().connect());
    for (std::uint64_t id = 1; id <= many; id++)
        tell(Nanos(many + id), id, client().state(State::syn_sent, State::close));
    const auto news = plain.news();
    EXPECT_THAT(news, ::testing::SizeIs(::testing::Ge(2 * many)));
    EXPECT_EQ(told.news(), news);
    EXPECT_EQ(told.correlator.summary().alive, 0U);
}

} // namespace
} // namespace tcpsaga::testing
