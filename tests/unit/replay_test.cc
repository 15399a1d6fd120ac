// SPDX-License-Identifier: BSD-2-Clause
// What was printed when a recording was made is printed again; and what can be asked of it later.
#include "cli/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/doctor.h"
#include "cli/player.h"
#include "rendering.h"
#include "tape.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A live run without a kernel: inputs go to the player and to the recording.
class Live {
public:
    Live(const std::string& path, const Options& options, const Origin& origin = a_plain_origin())
        : origin_(origin), out_(std::move(*Output::open(path + ".out"))),
          tape_(begun(path, origin_)),
          presenter_(make_presenter(options, origin_, *out_, &whereabouts_)),
          player_(origin_, *presenter_, *out_, options.count, look_ups(), &whereabouts_)
    {
    }
    void tell(const Input& i)
    {
        const auto* wish = std::get_if<input::Summarize>(&i);
        if (player_.full() && (wish == nullptr || !wish->final))
            return; // --count ends a live run
        if (player_.play(i))
            tape_->write(i);
    }
    template <class R>
    void tell(Nanos t, Record<R> r)
    {
        tell(input::Record{r.at(t).bytes()});
    }
    void end(Nanos t, const CounterReading& counters = {})
    {
        tell(input::Summarize{static_cast<std::uint64_t>(t.count()), true, counters});
        tape_->end();
    }
    RecordingWriter& tape() { return *tape_; }

private:
    LookUps look_ups()
    {
        return {[this](std::uint64_t address) {
                    const std::string name = "place_" + std::to_string(address % 1000);
                    tape_->write(input::Place{address, name});
                    return name;
                },
                [this](std::uint32_t netns, const Endpoint& to) {
                    const event::PortUse use{1, 2, 3, ++ports_};
                    tape_->write(input::Ports{netns, to, use});
                    return std::optional(use);
                },
                [this](const Process& p, std::uint64_t ts_ns) {
                    const std::string n = std::to_string(++homes_); // another at every look
                    const Home home{"/" + n, p.pid == nginx.pid ? std::string(64, 'c') : "", "", 0};
                    tape_->write(input::ProcessHome{p, home, ts_ns});
                    return home;
                },
                [this](std::uint32_t netns, std::uint64_t ts_ns) {
                    const std::string name = "name" + std::to_string(++homes_);
                    tape_->write(input::NetnsName{netns, name, ts_ns});
                    return name;
                }};
    }

    Origin origin_;
    std::unique_ptr<Output> out_;
    std::unique_ptr<RecordingWriter> tape_;
    Whereabouts whereabouts_;
    std::unique_ptr<Sink> presenter_;
    Player player_;
    std::uint32_t ports_ = 0;
    std::uint32_t homes_ = 0;
};

/// Several lives, one of them long; a queue, drops, port look-ups, losses, and an eviction.
void a_day(Live& live)
{
    const CounterReading zero{{{init_netns, {{"Tcp.ActiveOpens", 5}}}},
                              {{init_netns, {{"Tcp.ActiveOpens", 5}}}}};
    live.tell(input::Start{zero});
    live.tell(a_present_socket());
    for (std::uint16_t n = 0; n < 20; n++) {
        const Nanos t = 1ms * n;
        const Socket c =
            client().id(100U + n).local("10.0.0.1", static_cast<std::uint16_t>(40000 + n));
        const Socket s =
            server().id(200U + n).remote("10.0.0.1", static_cast<std::uint16_t>(40000 + n));
        live.tell(t, c.connect().by(curl));
        live.tell(t + 10us, s.birth().queue(3, 0, 128).synack(t));
        live.tell(t + 11us, s.state(State::syn_recv, State::established));
        live.tell(t + 12us, c.state(State::syn_sent, State::established));
        live.tell(t + 13us, s.accept().queue(3, 1, 128).by(nginx));
        live.tell(t + 20us, c.state(State::established, State::fin_wait1).by(curl));
        live.tell(t + 21us, s.state(State::established, State::close_wait));
        if (n == 7)
            continue; // stays in CLOSE_WAIT
        live.tell(t + 30us, s.state(State::close_wait, State::last_ack).by(nginx));
        live.tell(t + 31us, c.state(State::fin_wait1, State::fin_wait2));
        live.tell(t + 32us, c.time_wait_in(State::fin_wait2, State::time_wait));
        live.tell(t + 32us, c.state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
        live.tell(t + 33us, s.state(State::last_ack, State::close));
    }
    const Socket packet = Socket().id(3).local("10.0.0.2", 80).remote("10.0.0.9", 40009);
    live.tell(30ms, packet.overflow(TS_ACK_DROP, 4));
    live.tell(30ms, client().drop(1, 2, place_a));
    live.tell(31ms, client().drop(1, 3, place_a));
    live.tell(31ms, client().id(5).local("0.0.0.0", 0).connect_error(EADDRNOTAVAIL).by(curl));
    live.tell(32ms, client().id(6).local("0.0.0.0", 0).connect_error(EADDRNOTAVAIL).by(curl));
    live.tell(3s, client().id(7).local("0.0.0.0", 0).connect_error(EADDRNOTAVAIL).by(curl));
    live.tell(31ms, client().id(8).local("10.0.0.1", 41000).connect().by(curl));
    live.tell(31ms, client().id(8).local("10.0.0.1", 41000).reset(State::fin_wait2, false));
    live.tell(input::HeldBack{40'000'000});
    live.tell(input::Lost{9, event::LostWhere::ring, 3'000'000'000});
    live.tell(input::Polled{{{3, listener().tuple(), 2, 1, 0, 0}}, 3'100'000'000, 200});
    live.tell(input::Polled{{{3, listener().tuple(), 2, 1, 0, 6}}, 3'300'000'000, 200});
    live.tell(input::Stuck{60'000'000'000, 4'000'000'000}); // nothing
    live.tell(input::Summarize{5'000'000'000, false, zero});
    live.tell(input::Stuck{60'000'000'000, 70'000'000'000});
    live.tell(input::Evictions{70'000'000'000});
    Settings settings;
    settings.own_netns = init_netns;
    settings.sysctls[init_netns]["net.ipv4.ip_local_port_range"] = "1\t3";
    live.tell(input::System{settings});
    live.tell(some_totals());
    live.end(71s, {{{init_netns, {{"Tcp.ActiveOpens", 25}}}},
                   {{init_netns, {{"Tcp.ActiveOpens", 26}}}}});
}

std::string change(std::string bytes, std::size_t at)
{
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
    return bytes;
}

// ---- the same again -----------------------------------------------------------------------------

struct How {
    const char* name;
    Options options;
};

class same_again : public ::testing::TestWithParam<How> {};

TEST_P(same_again, byte_by_byte)
{
    const TempDir dir;
    Origin origin = a_plain_origin();
    origin.config.capacity = 30; // some are evicted
    origin.zone_offset_s = 3600;
    origin.config.filter = GetParam().options.filter;
    {
        Live live(dir.file("r"), GetParam().options, origin);
        a_day(live);
    }
    const std::string then = read_file(dir.file("r.out"));
    EXPECT_GT(then.size(), 80U);
    const Replayed now = replay(GetParam().options, {dir.file("r")}, dir);
    EXPECT_EQ(now.exit_code, GetParam().options.view == Command::doctor ? found_code : 0)
        << now.err;
    EXPECT_EQ(now.out, then);
}

Options with(Options o, const std::function<void(Options&)>& change_it)
{
    change_it(o);
    return o;
}

INSTANTIATE_TEST_SUITE_P(
    all, same_again,
    ::testing::Values(
        How{"trace", as(Command::trace, false)}, How{"trace_json", as(Command::trace, true)},
        How{"pairs", with(as(Command::life, false), [](Options& o) { o.pairs = true; })},
        How{"pairs_json", with(as(Command::life, true), [](Options& o) { o.pairs = true; })},
        How{"life", as(Command::life, false)}, How{"life_json", as(Command::life, true)},
        How{"doctor", as(Command::doctor, false)}, How{"doctor_json", as(Command::doctor, true)},
        How{"pid", with(as(Command::trace, true), [](Options& o) { o.filter.pids = {202}; })},
        How{"port", with(as(Command::trace, true), [](Options& o) { o.filter.ports = {80}; })},
        How{"kinds", with(as(Command::trace, true), [](Options& o) { o.kinds = {"accept"}; })},
        How{"count", with(as(Command::trace, true), [](Options& o) { o.count = 5; })},
        How{"count_text", with(as(Command::life, false), [](Options& o) { o.count = 5; })}),
    [](const auto& i) { return std::string(i.param.name); });

TEST(replay, tells_where_it_comes_from_and_how_it_ended)
{
    const TempDir dir;
    Live live(dir.file("r"), as(Command::trace, true));
    a_day(live);
    const Replayed now = replay(as(Command::trace, true), {dir.file("r")}, dir);
    EXPECT_THAT(now.err, StartsWith("tcpsaga: " + dir.file("r") +
                                    ": web1 (6.12.41 x86_64, trampoline, 36 hooks)\n"
                                    "tcpsaga: 21 opened, 20 accepted, 38 closed, "));
    EXPECT_THAT(now.err, HasSubstr("audit: netns 4026531840"));
}

/// Ten seconds are long for a doctor, whoever recorded.
TEST(replay, finds_what_was_too_short_for_the_recorder)
{
    const TempDir dir;
    {
        Live live(dir.file("r"), as(Command::trace, true));
        for (std::uint16_t n = 0; n < 3; n++) {
            const Socket s =
                server().id(200U + n).remote("10.0.0.1", static_cast<std::uint16_t>(40000 + n));
            live.tell(1ms, s.birth());
            live.tell(2ms, s.state(State::syn_recv, State::established));
            live.tell(3ms, s.accept().by(nginx));
            live.tell(4ms, s.state(State::established, State::close_wait));
        }
        live.tell(input::Stuck{60'000'000'000, 20'000'000'000});
        live.end(20s);
    }
    const auto findings = events_of(replay(as(Command::doctor, true), {dir.file("r")}, dir).out);
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0]["finding"], "close_wait_leak");
    EXPECT_EQ(findings[0]["pid"], 202);
    Options trace = as(Command::trace, true);
    trace.kinds = {"stuck"};
    EXPECT_THAT(replay(trace, {dir.file("r")}, dir).out, Not(HasSubstr(R"("event":"stuck")")));
}

/// What is asked of a recording of everything is what would have been told had it been asked then.
TEST(replay, filters_as_the_kernel_side_does)
{
    const TempDir dir;
    {
        Live everything(dir.file("all"), as(Command::trace, true));
        for (const std::uint16_t port : {80, 81}) {
            const Socket c = client().id(port).remote("10.0.0.2", port);
            const Socket l = listener().id(1000U + port).local("0.0.0.0", port);
            const Socket packet = Socket().id(1000U + port).local("10.0.0.2", port);
            everything.tell(1ms, l.listen(1).by(nginx));
            everything.tell(1ms, c.state(State::close, State::syn_sent).by(curl).port(0));
            everything.tell(2ms, c.state(State::syn_sent, State::established));
            everything.tell(3ms, c.state(State::established, State::close));
            everything.tell(4ms, packet.overflow(TS_ACK_DROP, 1));
            // The same place and reason count together.
            everything.tell(5ms, c.drop(1, port - 79, place_a));
        }
        input::Totals totals;
        for (const std::uint64_t id : {1080, 1081}) {
            totals.listeners.push_back({{id, init_netns, 0}, {}});
            totals.listeners.back().counts.total[TS_ACK_DROP] = id;
        }
        totals.drops.push_back({{place_a, init_netns, 1}, {5, 0, 0}});
        totals.ts_ns = 9'000'000;
        everything.tell(totals);
        everything.end(10ms);
    }
    Options of_81 = as(Command::trace, true);
    of_81.filter.ports = {81};
    const auto events = events_of(replay(of_81, {dir.file("all")}, dir).out);
    std::vector<std::string> kinds;
    for (const json& e : events) {
        kinds.push_back(e["event"]);
        if (e.contains("raddr")) {
            EXPECT_TRUE(e["lport"] == 81 || e["rport"] == 81) << e;
        }
    }
    EXPECT_THAT(kinds, ElementsAre("listen", "state", "connect", "state", "state", "state", "close",
                                   "overflow", "drop", "overflow", "summary"));
    EXPECT_EQ(events[8]["n"], 1); // of two in all
    EXPECT_EQ(events[9]["n"], 1080);
    EXPECT_EQ(events.back()["opens"], 1);
    EXPECT_EQ(events.back()["overflows"], 1081);
    EXPECT_EQ(events.back()["drops"], 1);
}

TEST(replay, adds_its_filter_to_that_of_the_recording)
{
    const TempDir dir;
    Origin origin = a_plain_origin();
    origin.config.filter.ports = {80};
    {
        Live live(dir.file("r"), as(Command::trace, true), origin);
        live.tell(1ms, client().connect().by(curl));
        live.tell(1ms, client().id(2).local("10.0.0.1", 40001).connect().by(curl));
        live.tell(2ms, client().id(3).remote("10.0.0.2", 81).state(State::syn_sent, State::close));
        live.end(10ms);
    }
    Options of_client = as(Command::trace, true);
    of_client.filter.ports = {40001};
    const auto events = events_of(replay(of_client, {dir.file("r")}, dir).out);
    ASSERT_EQ(events.size(), 3U); // connect, state, summary
    EXPECT_EQ(events[0]["lport"], 40001);
}

// ---- several ------------------------------------------------------------------------------------

/// Of two hosts whose clocks began at different times: the second's records come between.
void two_hosts(const TempDir& dir)
{
    Origin web2 = a_plain_origin("web2");
    web2.utc_offset_ns += 1'000'000'000;
    Live a(dir.file("a"), as(Command::trace, true));
    Live b(dir.file("b"), as(Command::trace, true), web2);
    a.tell(2s, client().connect().by(curl));
    a.tell(4s, client().state(State::syn_sent, State::established));
    a.end(5s);
    b.tell(2s, server().birth());
    b.tell(3500ms, server().state(State::syn_recv, State::established));
    b.end(3600ms);
}

TEST(replay, of_several_recordings_is_ordered_by_time)
{
    const TempDir dir;
    two_hosts(dir);
    const Replayed r = replay(as(Command::trace, true), {dir.file("b"), dir.file("a")}, dir);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    std::string hosts;
    std::string last;
    for (const json& e : events_of(r.out)) {
        hosts += e["host"].get<std::string>().back();
        EXPECT_LE(last, e["ts"].get<std::string>());
        last = e["ts"];
    }
    EXPECT_EQ(hosts, "11212"
                     "21"); // connect, CLOSE>SYN_SENT; birth; SYN_SENT>…; SYN_RECV>…; summaries
}

TEST(replay, of_several_recordings_has_a_column_for_the_host)
{
    const TempDir dir;
    two_hosts(dir);
    const auto lines =
        lines_of(replay(as(Command::trace, false), {dir.file("a"), dir.file("b")}, dir).out);
    ASSERT_EQ(lines.size(), 6U);
    EXPECT_THAT(lines[0], StartsWith("HOST TIME            PID"));
    EXPECT_THAT(lines[1], StartsWith("web1 22:13:22.000000 101     curl            connect"));
    EXPECT_THAT(lines[3], StartsWith("web2 22:13:23.000000 -       -               state"));
}

TEST(replay, of_several_recordings_counts_their_lines_together)
{
    const TempDir dir;
    two_hosts(dir);
    Options three = as(Command::trace, false);
    three.count = 3;
    EXPECT_EQ(lines_of(replay(three, {dir.file("a"), dir.file("b")}, dir).out).size(), 4U);
}

// ---- what is broken -----------------------------------------------------------------------------

TEST(replay, prints_what_can_be_recovered_and_tells_what_cannot)
{
    const TempDir dir;
    {
        Live live(dir.file("r"), as(Command::trace, true));
        live.tell(1ms, client().connect().by(curl));
        live.tape().flush();
        live.tell(2ms, client().state(State::syn_sent, State::established));
        live.tape().flush();
        live.tell(3ms, client().state(State::established, State::close));
        live.end(4ms);
    }
    const std::string bytes = read_file(dir.file("r"));
    const auto find = [&](int nth) {
        std::size_t at = 0;
        for (int i = 0; i <= nth; i++)
            at = bytes.find("TSBK", at + 1);
        return at;
    };
    std::ofstream(dir.file("flipped")) << change(bytes, find(3) + 70);
    const Replayed flipped = replay(as(Command::trace, true), {dir.file("flipped")}, dir);
    EXPECT_EQ(flipped.exit_code, 1);
    EXPECT_THAT(flipped.err,
                HasSubstr("tcpsaga: " + dir.file("flipped") + ": block 3 at byte " +
                          std::to_string(find(3)) + " is damaged: 1 input is missing\n"));
    EXPECT_THAT(flipped.err,
                HasSubstr("1 lost (ring 0, table 0, output 0, missed 0, recording 1)"));
    const auto events = events_of(flipped.out);
    ASSERT_EQ(events.size(), 6U); // connect, state, lost, state, close, summary
    EXPECT_EQ(events[2]["event"], "lost");
    EXPECT_EQ(events[2]["where"], "recording");
    EXPECT_EQ(events[2]["n"], 1);
    EXPECT_EQ(events[4]["event"], "close");
    EXPECT_EQ(events.back()["lost_recording"], 1);

    std::ofstream(dir.file("cut")) << bytes.substr(0, find(4));
    const Replayed cut = replay(as(Command::trace, true), {dir.file("cut")}, dir);
    EXPECT_EQ(cut.exit_code, 1);
    EXPECT_THAT(cut.err, HasSubstr("cut: it was not closed: the recorder was killed"));
    const auto left = events_of(cut.out);
    ASSERT_EQ(left.size(), 4U);
    EXPECT_EQ(left.back()["event"], "summary");
    EXPECT_EQ(left.back()["final"], true);
    EXPECT_EQ(left.back()["ts"], left[2]["ts"]);
}

TEST(replay, of_a_foreign_file_is_one_line_and_the_others_are_played)
{
    const TempDir dir;
    two_hosts(dir);
    std::ofstream(dir.file("text")) << "hello";
    const Replayed alone = replay(as(Command::trace, true), {dir.file("text")}, dir);
    EXPECT_EQ(alone.exit_code, 1);
    EXPECT_EQ(alone.err,
              "tcpsaga: cannot replay " + dir.file("text") + "; it is no recording of tcpsaga's\n");
    const Replayed with_others =
        replay(as(Command::trace, true), {dir.file("text"), dir.file("a")}, dir);
    EXPECT_EQ(with_others.exit_code, 1);
    EXPECT_EQ(events_of(with_others.out).size(), 4U);
}

// ---- of an older build --------------------------------------------------------------------------

/// A recording that an earlier build made. A change of the ABI that this test notices needs a new
/// version of the format, or reading both.
TEST(replay, of_a_recording_from_before_is_as_it_was)
{
    const TempDir dir;
    const std::string file = std::string(TCPSAGA_GOLDEN_DIR) + "/day.tsr";
    if (std::getenv("TCPSAGA_UPDATE_RECORDINGS") != nullptr) {
        std::remove(file.c_str());
        Live live(dir.file("r"), as(Command::trace, true));
        a_day(live);
        std::ofstream(file, std::ios::binary) << read_file(dir.file("r"));
    }
    const Replayed r = replay(as(Command::trace, true), {file}, dir);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    expect_golden("day.jsonl", r.out);
}

} // namespace
} // namespace tcpsaga::testing
