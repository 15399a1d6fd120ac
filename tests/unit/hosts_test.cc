// SPDX-License-Identifier: BSD-2-Clause
// Recordings of two hosts, replayed together: who is at the other end, there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "schema.h"
#include "tape.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr unsigned connections = 10;

/// On the host of the client, web.
void client_side(RecordingWriter& tape, unsigned n, Nanos t)
{
    const Socket c = client().id(100U + n).local("10.0.0.1", static_cast<std::uint16_t>(40000 + n));
    put(tape, t, c.connect().by(curl));
    put(tape, t + 2ms, c.state(State::syn_sent, State::established));
    put(tape, t + 500ms, c.state(State::established, State::fin_wait1).by(curl).counts(101, 2000));
    put(tape, t + 502ms, c.state(State::fin_wait1, State::fin_wait2));
    put(tape, t + 502ms, c.time_wait_in(State::fin_wait2, State::time_wait));
    put(tape, t + 502ms, c.state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
}

/// The same as db sees it, under the same cookie and the same number of a namespace.
void server_side(RecordingWriter& tape, unsigned n, Nanos t)
{
    const Socket s =
        server().id(100U + n).remote("10.0.0.1", static_cast<std::uint16_t>(40000 + n));
    put(tape, t + 3ms, s.birth().queue(3, 0, 128).synack(t + 1ms));
    put(tape, t + 3ms, s.state(State::syn_recv, State::established));
    put(tape, t + 4ms, s.accept().queue(3, 1, 128).by(nginx));
    put(tape, t + 501ms, s.state(State::established, State::close_wait));
    put(tape, t + 501ms, s.state(State::close_wait, State::last_ack).by(nginx));
    put(tape, t + 503ms, s.state(State::last_ack, State::close).retransmits(2));
}

/// Recordings of web and db, whose clock is that much ahead; one connection a second.
void record_both(const TempDir& dir, Nanos ahead)
{
    Origin db = a_plain_origin("db");
    db.utc_offset_ns += ahead.count();
    const auto at_web = begun(dir.file("web"), a_plain_origin("web"));
    const auto at_db = begun(dir.file("db"), db);
    for (unsigned n = 0; n < connections; n++) {
        client_side(*at_web, n, 1s + n * 100ms);
        server_side(*at_db, n, 1s + n * 100ms);
    }
    for (RecordingWriter* tape : {at_web.get(), at_db.get()}) {
        tape->write(input::Summarize{20'000'000'000, true, {}});
        tape->end();
    }
}

Replayed replay_both(const Options& options, const TempDir& dir)
{
    return replay(options, {dir.file("web"), dir.file("db")}, dir);
}

Options life(bool in_json, bool pairs)
{
    Options o = as(Command::life, in_json);
    o.pairs = pairs;
    return o;
}

std::vector<json> closes_of(const std::string& text)
{
    std::vector<json> all;
    for (const json& e : events_of(text))
        if (e["event"] == "close") {
            EXPECT_EQ(schema_errors(e), "");
            all.push_back(e);
        }
    return all;
}

class hosts_apart : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(hosts_apart, name_each_others_ends)
{
    const TempDir dir;
    record_both(dir, Nanos(GetParam()));
    const Replayed r = replay_both(life(true, false), dir);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    const auto closes = closes_of(r.out);
    ASSERT_THAT(closes, SizeIs(2 * connections));
    for (const json& e : closes) {
        const bool client = e["host"] == "web";
        EXPECT_EQ(e["role"], client ? "client" : "server");
        EXPECT_EQ(e["peer"], (json{{"conn", e["conn"]},
                                   {"host", client ? "db" : "web"},
                                   {"pid", client ? nginx.pid : curl.pid},
                                   {"comm", client ? "nginx" : "curl"}}))
            << e;
    }
    EXPECT_THAT(r.err, HasSubstr("tcpsaga: 10 connections have both ends here\n"));
    EXPECT_THAT(r.err, HasSubstr("tcpsaga: the clock of db is "));
}

TEST_P(hosts_apart, tell_a_connection_once_in_pairs)
{
    const TempDir dir;
    record_both(dir, Nanos(GetParam()));
    const auto closes = closes_of(replay_both(life(true, true), dir).out);
    ASSERT_THAT(closes, SizeIs(connections));
    for (const json& e : closes) {
        EXPECT_EQ(e["host"], "web");
        EXPECT_EQ(e["peer"]["host"], "db");
        EXPECT_EQ(e["peer"]["netns"], init_netns);
        EXPECT_EQ(e["peer"]["retransmits"], 2);
        EXPECT_EQ(e["peer"]["accept_wait_us"], 1000);
    }
    const auto text = lines_of(replay_both(life(false, true), dir).out);
    ASSERT_THAT(text, SizeIs(1 + connections));
    EXPECT_THAT(text[1], HasSubstr(" pair "));
    EXPECT_THAT(text[1], HasSubstr(" fin -> db: 202/nginx"));
}

INSTANTIATE_TEST_SUITE_P(ahead, hosts_apart,
                         ::testing::Values(0, 40'000, 7'000'000'000, -30'000'000'000));

TEST(hosts, tell_how_far_their_clocks_are_apart)
{
    const TempDir dir;
    record_both(dir, 7s);
    EXPECT_THAT(replay_both(life(false, false), dir).err,
                HasSubstr("the clock of db is 7000.000 ms ahead of that of web, give or take 1.000 "
                          "ms (10 connections)\n"));
    const TempDir behind;
    record_both(behind, -30s);
    EXPECT_THAT(replay_both(life(false, false), behind).err,
                HasSubstr("db is 30000.000 ms behind that of web"));
}

/// An end that is not shown is named, but not waited for.
TEST(hosts, name_an_end_that_the_filter_hides)
{
    const TempDir dir;
    record_both(dir, 7s);
    for (const bool pairs : {false, true}) {
        Options of_curl = life(true, pairs);
        of_curl.filter.comms = {"curl"};
        const auto closes = closes_of(replay_both(of_curl, dir).out);
        ASSERT_THAT(closes, SizeIs(connections));
        EXPECT_EQ(closes[0]["peer"]["host"], "db");
        EXPECT_EQ(closes[0]["peer"]["comm"], "nginx");
        EXPECT_FALSE(closes[0]["peer"].contains("end"));
    }
    Options of_port = life(true, true);
    of_port.filter.lports = {80}; // the server's end alone
    const auto closes = closes_of(replay_both(of_port, dir).out);
    ASSERT_THAT(closes, SizeIs(connections));
    EXPECT_EQ(closes[0]["host"], "db");
}

/// Each view plays them together; one recording needs no look at the others.
TEST(hosts, are_told_of_by_every_view)
{
    const TempDir dir;
    record_both(dir, 7s);
    for (const Command view : {Command::trace, Command::doctor, Command::report}) {
        const Replayed r = replay_both(as(view, true), dir);
        EXPECT_EQ(r.exit_code, 0) << r.err;
        EXPECT_THAT(r.err, HasSubstr("10 connections have both ends here"));
    }
    const Replayed one = replay(life(true, false), {dir.file("web")}, dir);
    EXPECT_THAT(one.err, Not(HasSubstr("both ends")));
    EXPECT_FALSE(closes_of(one.out).at(0).contains("peer"));
}

/// Those that live on when the recordings end, and were there before they began.
TEST(hosts, pair_what_is_older_than_the_recordings)
{
    const TempDir dir;
    const auto at_web = begun(dir.file("web"), a_plain_origin("web"));
    const auto at_db = begun(dir.file("db"), a_plain_origin("db"));
    const Socket c = client().id(100);
    const Socket s = server().id(100);
    at_web->write(input::Present{{row(c, 100, State::established, found(curl))}, 1'000'000});
    at_db->write(input::Present{{row(s, 100, State::established, found(nginx))}, 2'000'000});
    put(*at_web, 3s, c.state(State::established, State::close).by(curl));
    for (RecordingWriter* tape : {at_web.get(), at_db.get()}) {
        tape->write(input::Summarize{20'000'000'000, true, {}});
        tape->end();
    }
    const auto closes = closes_of(replay_both(life(true, false), dir).out);
    ASSERT_THAT(closes, SizeIs(1));
    EXPECT_EQ(closes[0]["peer"]["host"], "db");
    EXPECT_EQ(closes[0]["peer"]["comm"], "nginx");
}

} // namespace
} // namespace tcpsaga::testing
