// SPDX-License-Identifier: BSD-2-Clause
// What trace and life print for a person.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "rendering.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> words(const std::string& line)
{
    std::istringstream in(line);
    return {std::istream_iterator<std::string>(in), {}};
}

std::vector<std::string> lines(MakeSink make, const std::function<void(Correlator&)>& run,
                               const PresentOptions& options = plain())
{
    return lines_of(render_records(make, options, run));
}

// ---- both -----------------------------------------------------------------------------------

TEST(text, trace_is_as_it_was)
{
    expect_golden("trace.txt", render(make_trace, plain(), tell_everything));
}

TEST(text, life_is_as_it_was)
{
    expect_golden("life.txt", render(make_life, plain(), tell_everything));
}

TEST(text, colored_trace_is_as_it_was)
{
    PresentOptions o = plain();
    o.color = true;
    expect_golden("trace_color.txt", render(make_trace, o, tell_everything));
}

class presenter : public ::testing::TestWithParam<MakeSink> {};

TEST_P(presenter, ends_no_line_with_a_space)
{
    for (const std::string& line : lines_of(render(GetParam(), plain(), tell_everything)))
        EXPECT_THAT(line, Not(EndsWith(" ")));
}

TEST_P(presenter, lets_no_name_steer_the_terminal)
{
    const auto text = render(GetParam(), plain(), tell_everything);
    EXPECT_THAT(text, HasSubstr("\\x1b[2J\\x0a\"\\x5c\\xff\\xc2\\x9b"));
    for (const char c : text)
        EXPECT_FALSE((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f);
    EXPECT_THAT(text, Not(HasSubstr("\xc2\x9b")));
    EXPECT_THAT(text, HasSubstr("caf\xc3\xa9"));
}

TEST_P(presenter, counts_lines_without_the_header)
{
    const TempDir dir;
    auto out = Output::open(dir.file("out"));
    const auto sink = GetParam()(**out, plain());
    EXPECT_EQ((*out)->lines(), 0U);
    Correlator c({}, *sink);
    refused_life(c);
    const auto printed = (*out)->lines();
    (*out)->flush();
    EXPECT_EQ(lines_of(read_file(dir.file("out"))).size(), printed + 1);
    EXPECT_GE(printed, 1U);
}

INSTANTIATE_TEST_SUITE_P(both, presenter, ::testing::Values(&make_trace, &make_life),
                         [](const auto& info) {
                             return std::string(info.param == &make_trace ? "trace" : "life");
                         });

// ---- trace ----------------------------------------------------------------------------------

TEST(trace, has_a_header_and_a_line_per_event)
{
    const auto text = lines(make_trace, [](Correlator& c) { client_life(c); });
    ASSERT_EQ(text.size(), 10U);
    EXPECT_THAT(words(text[0]),
                ElementsAre("TIME", "PID", "COMM", "EVENT", "LOCAL", "REMOTE", "DETAIL"));
    EXPECT_THAT(words(text[1]), ElementsAre("22:13:20.001000", "101", "curl", "connect",
                                            "10.0.0.1:40000", "->", "10.0.0.2:80"));
    EXPECT_THAT(text[3], EndsWith("SYN_SENT -> ESTABLISHED after 250us"));
    EXPECT_THAT(text[7], EndsWith("fin, tx 100 rx 2000 bytes, 4.200ms"));
    EXPECT_THAT(text[9], EndsWith("expired, held 60.000s"));
}

TEST(trace, points_a_servers_arrow_the_other_way)
{
    const auto text = lines(make_trace, [](Correlator& c) { server_life(c); });
    EXPECT_THAT(text[1], HasSubstr("10.0.0.2:80           <- 10.0.0.1:40000"));
    EXPECT_THAT(text[3], EndsWith("waited 40us, handshake 200us, queue 1/128"));
    EXPECT_THAT(text[7], EndsWith("fin, tx 2000 rx 100 bytes, 4.050ms, 2 retransmits"));
}

TEST(trace, marks_a_guessed_owner)
{
    const auto text = lines(make_trace, [](Correlator& c) {
        tell(c, 1ms, listener().listen(128).by(nginx));
        tell(c, 2ms, server().birth().queue(3, 0, 128));
    });
    EXPECT_THAT(words(text.back()), ::testing::Contains("nginx?"));
    EXPECT_THAT(words(text[1]), ::testing::Contains("nginx"));
}

TEST(trace, shows_a_dash_for_an_unknown_process)
{
    const auto text = lines(make_trace, [](Correlator& c) { tell(c, 1ms, server().birth()); });
    EXPECT_EQ(words(text.back()).at(1), "-");
    EXPECT_EQ(words(text.back()).at(2), "-");
}

TEST(trace, shows_a_star_for_a_port_that_never_was)
{
    const auto text = lines(make_trace, [](Correlator& c) {
        const Socket s = client().local("0.0.0.0", 0);
        tell(c, 1ms, s.connect_error(EADDRNOTAVAIL).by(curl));
    });
    EXPECT_THAT(text.back(), HasSubstr("0.0.0.0:*             -> 10.0.0.2:80"));
    EXPECT_THAT(text.back(), EndsWith("EADDRNOTAVAIL"));
}

TEST(trace, puts_ipv6_in_brackets)
{
    const auto text = lines(make_trace, [](Correlator& c) {
        client_life(c, Socket().local("::1", 50001).remote("::1", 443));
    });
    EXPECT_THAT(text[1], HasSubstr("[::1]:50001           -> [::1]:443"));
}

TEST(trace, tells_a_reset)
{
    const auto text = lines_of(render(make_trace, plain(), [](Sink& sink) {
        Correlator::Config config;
        config.reset_reasons = {"NOT_SPECIFIED", "TCP_TIMEOUT"};
        Correlator c(config, sink);
        tell(c, 1ms, client().reset(State::established, true, 1));
        tell(c, 1ms, client().reset(State::established, false));
    }));
    EXPECT_THAT(text[1], EndsWith("sent, TCP_TIMEOUT"));
    EXPECT_THAT(text[2], EndsWith(" received"));
}

/// The last column.
std::string detail_of(event::Payload what)
{
    const auto text = render(make_trace, plain(), [&](Sink& sink) {
        const Connection c;
        sink.on_event({0, &c, {}, std::move(what)});
    });
    const std::string line = lines_of(text).at(1);
    const std::size_t column = lines_of(text).at(0).find("DETAIL");
    return line.size() > column ? line.substr(column) : "";
}

TEST(trace, tells_a_full_queue)
{
    using namespace event;
    EXPECT_EQ(detail_of(Overflow{Queue::accept, Stage::ack, Action::drop, false, 7, 129, 128, 1}),
              "accept queue full at ack: drop, accept queue 129/128, SYN queue 7");
    // The accept queue need not be full for the SYN queue to be.
    EXPECT_EQ(detail_of(Overflow{Queue::syn, Stage::syn, Action::cookie, false, 128, 0, 128, 3}),
              "syn queue full at syn: cookie, accept queue 0/128, SYN queue 128, 3 packets");
    EXPECT_EQ(detail_of(Overflow{Queue::syn, Stage::syn, Action::drop, true, {}, {}, {}, 2}),
              "syn queue full at syn: drop (max_syn_backlog), 2 packets");
}

TEST(trace, tells_a_drop)
{
    EXPECT_EQ(detail_of(event::Drop{"NO_SOCKET", "tcp_v4_rcv+0x91", 1}),
              "NO_SOCKET at tcp_v4_rcv+0x91");
    EXPECT_EQ(detail_of(event::Drop{"", "tcp_v4_rcv+0x91", 2}), "at tcp_v4_rcv+0x91, 2 packets");
    EXPECT_EQ(detail_of(event::Drop{"NO_SOCKET", "", 3}), "NO_SOCKET, 3 packets");
    EXPECT_EQ(detail_of(event::Drop{"", "", 4}), "4 packets");
}

TEST(trace, a_drop_that_stands_for_several_has_no_ends)
{
    const DropTotals totals{{place_a, init_netns, TS_NO_REASON}, {9, 0, 0}};
    const auto text = lines(make_trace, [&](Correlator& c) { c.settle({&totals, 1}, 1'000'000); });
    EXPECT_THAT(words(text.back()),
                ElementsAre("22:13:20.001000", "-", "-", "drop", "9", "packets"));
}

TEST(trace, tells_an_accept_that_failed)
{
    EXPECT_EQ(detail_of(event::AcceptError{EMFILE, 1024, 5, 128, 1}),
              "EMFILE, descriptor limit 1024, accept queue 5/128");
    EXPECT_EQ(detail_of(event::AcceptError{ENFILE, {}, {}, {}, 2}), "ENFILE, 2 times");
    EXPECT_EQ(detail_of(event::AcceptError{0, {}, {}, {}, 3}), "3 times");
    EXPECT_EQ(detail_of(event::AcceptError{0, {}, {}, {}, 1}), "");
}

TEST(trace, tells_a_connect_that_failed)
{
    EXPECT_EQ(detail_of(event::ConnectError{ENETUNREACH}), "ENETUNREACH");
    EXPECT_EQ(detail_of(event::ConnectError{0}), "no local port or no route");
    EXPECT_EQ(detail_of(event::ConnectError{EADDRNOTAVAIL, event::PortUse{1, 9, 6, 3}}),
              "EADDRNOTAVAIL: of ports 1-9 6 in TIME_WAIT, 3 in use");
}

TEST(trace, tells_a_bind_that_failed)
{
    EXPECT_EQ(detail_of(event::BindError{false, EADDRINUSE}), "EADDRINUSE");
    EXPECT_EQ(detail_of(event::BindError{true, EACCES}), "EACCES");
}

// The longest name of a kind: all columns hold.
TEST(trace, tells_synacks_in_vain)
{
    EXPECT_EQ(detail_of(event::SynackTimeout{5}), "given up after 5 retransmitted SYN-ACKs");
}

TEST(trace, tells_why_it_ended_so)
{
    event::Close life{};
    life.end = event::End::aborted;
    EXPECT_EQ(detail_of(life), "aborted, tx 0 rx 0 bytes");
    life.why = "unread_data";
    EXPECT_EQ(detail_of(life), "aborted (unread_data), tx 0 rx 0 bytes");
}

TEST(trace, tells_a_backlog_and_what_was_asked_when_it_differs)
{
    EXPECT_EQ(detail_of(event::Listen{128}), "backlog 128");
    EXPECT_EQ(detail_of(event::Listen{128, 128}), "backlog 128");
    EXPECT_EQ(detail_of(event::Listen{4096, 65535}), "backlog 4096 (asked 65535)");
}

TEST(trace, tells_why_a_listener_ended)
{
    EXPECT_EQ(detail_of(event::Unlisten{event::UnlistenWhy::closed}), "closed");
    EXPECT_EQ(detail_of(event::Unlisten{event::UnlistenWhy::process_exit}), "process exit");
}

TEST(trace, tells_why_time_wait_ended)
{
    using event::TimeWaitEnd;
    EXPECT_EQ(detail_of(event::TimeWait{TimeWaitEnd::reused, 1500}), "reused, held 1.500s");
    EXPECT_EQ(detail_of(event::TimeWait{TimeWaitEnd::unknown, 1500}), "held 1.500s");
    EXPECT_EQ(detail_of(event::TimeWait{TimeWaitEnd::expired, {}}), "expired");
    EXPECT_EQ(detail_of(event::TimeWait{TimeWaitEnd::overflow, {}}), "overflow");
    EXPECT_EQ(detail_of(event::TimeWait{TimeWaitEnd::unknown, {}}), "");
}

TEST(trace, tells_a_retransmit)
{
    using event::Retransmit;
    using event::Retransmitted;
    EXPECT_EQ(detail_of(Retransmit{Retransmitted::syn, 1, 1, 0}), "SYN #1");
    EXPECT_EQ(detail_of(Retransmit{Retransmitted::synack, 2, 1, 0}), "SYN-ACK #2");
    EXPECT_EQ(detail_of(Retransmit{Retransmitted::data, 5, 3, 0}), "data #5, 3 segments");
    EXPECT_EQ(detail_of(Retransmit{Retransmitted::fin, 1, 1, EPERM}), "FIN #1, not sent: EPERM");
}

TEST(trace, is_in_local_time)
{
    PresentOptions o = plain();
    const auto first = [&] {
        const auto text = lines(
            make_trace, [](Correlator& c) { refused_life(c); }, o);
        return words(text.at(1)).at(0);
    };
    o.zone_offset_s = 2 * 3600;
    EXPECT_EQ(first(), "00:13:20.001000");
    o.zone_offset_s = -5 * 3600 - 1800;
    EXPECT_EQ(first(), "16:43:20.001000");
}

TEST(trace, tells_what_is_lost_and_no_summary)
{
    const auto text = lines_of(render(make_trace, plain(), [](Sink& sink) {
        sink.on_event({0, nullptr, {}, event::Lost{12, event::LostWhere::table}});
        sink.on_event({0, nullptr, {}, event::Summary{}});
    }));
    ASSERT_EQ(text.size(), 2U);
    EXPECT_THAT(text[1], EndsWith("12 lost (table)"));
}

TEST(trace, shows_the_wanted_kinds_only)
{
    PresentOptions o = plain();
    o.kinds = {"close"};
    const auto text = lines(
        make_trace, [](Correlator& c) { client_life(c); }, o);
    ASSERT_EQ(text.size(), 2U);
    EXPECT_EQ(words(text[1]).at(3), "close");
}

TEST(trace, colors_only_when_asked_to)
{
    PresentOptions o = plain();
    o.color = true;
    const auto text = lines(
        make_trace, [](Correlator& c) { refused_life(c); }, o);
    EXPECT_THAT(text[0], StartsWith("\x1b[1mTIME"));
    EXPECT_THAT(text[0], EndsWith("\x1b[0m"));
    EXPECT_THAT(text[1], Not(HasSubstr("\x1b")));
    EXPECT_THAT(text[3], HasSubstr("\x1b[31mconnect_error"));
    const auto again = lines(
        make_trace, [](Correlator& c) { tell(c, 1s, client().retransmit(TS_RE_DATA, 1)); }, o);
    EXPECT_THAT(again[1], HasSubstr("\x1b[31mretransmit"));
    const auto errors = lines(
        make_trace,
        [](Correlator& c) {
            tell(c, 1s, listener().bind_error(EADDRINUSE));
            tell(c, 1s, listener().listen_error(EADDRINUSE));
            tell(c, 1s, listener().synack_timeout(5));
        },
        o);
    EXPECT_THAT(errors[1], HasSubstr("\x1b[31mbind_error"));
    EXPECT_THAT(errors[2], HasSubstr("\x1b[31mlisten_error"));
    EXPECT_THAT(errors[3], HasSubstr("\x1b[31msynack_timeout"));
    EXPECT_THAT(render_records(make_trace, plain(), [](Correlator& c) { refused_life(c); }),
                Not(HasSubstr("\x1b")));
}

// ---- durations ------------------------------------------------------------------------------

struct Length {
    Nanos length;
    std::string_view in_trace, in_life;

    friend void PrintTo(const Length& l, std::ostream* to) { *to << l.in_trace; }
};

class duration : public ::testing::TestWithParam<Length> {
protected:
    static void live(Correlator& c)
    {
        tell(c, 1s, client().connect().by(curl));
        tell(c, 1s + GetParam().length, client().state(State::syn_sent, State::close).by(curl));
    }
};

TEST_P(duration, of_a_life_is_never_nothing)
{
    EXPECT_THAT(lines(make_trace, live).back(),
                EndsWith("bytes, " + std::string(GetParam().in_trace)));
    EXPECT_EQ(words(lines(make_life, live).back()).at(8), GetParam().in_life);
}

INSTANTIATE_TEST_SUITE_P(
    lengths, duration,
    ::testing::Values(Length{1us, "1us", "0.001"}, Length{999us, "999us", "0.999"},
                      Length{1ms, "1.000ms", "1.000"}, Length{12'340us, "12.340ms", "12.340"},
                      Length{999'999us, "999.999ms", "999.999"}, Length{1s, "1.000s", "1000.000"},
                      Length{3005ms, "3.005s", "3005.000"}, Length{2h, "7200.000s", "7200000.000"}),
    [](const auto& info) { return std::to_string(info.param.length / 1us) + "us"; });

// ---- life -----------------------------------------------------------------------------------

TEST(life, has_the_columns_of_tcplife_first)
{
    const auto text = lines(make_life, [](Correlator& c) { server_life(c); });
    ASSERT_EQ(text.size(), 2U);
    EXPECT_THAT(words(text[0]),
                ElementsAre("PID", "COMM", "LADDR", "LPORT", "RADDR", "RPORT", "TX_KB", "RX_KB",
                            "MS", "ROLE", "ACCEPT_MS", "RETRANS", "BY", "END"));
    EXPECT_THAT(words(text[1]),
                ElementsAre("202", "nginx", "10.0.0.2", "80", "10.0.0.1", "40000", "2.0", "0.1",
                            "4.050", "server", "0.040", "2", "remote", "fin"));
}

TEST(life, shows_dashes_for_what_is_unknown)
{
    const auto text = lines(make_life, [](Correlator& c) {
        tell(c, 1ms, client().state(State::established, State::close));
    });
    EXPECT_THAT(words(text.back()), ElementsAre("-", "-", "10.0.0.1", "40000", "10.0.0.2", "80",
                                                "0", "0", "-", "-", "-", "0", "-", "rst_sent"));
}

TEST(life, every_line_has_every_column)
{
    for (const std::string& line : lines_of(render(make_life, plain(), tell_everything)))
        EXPECT_TRUE(words(line).size() == 14 || line.find(" lost (") != line.npos) << line;
}

TEST(life, is_of_the_owner_whoever_closes)
{
    const auto text = lines(make_life, [](Correlator& c) {
        tell(c, 1ms, client().connect().by(curl));
        tell(c, 2ms, client().state(State::syn_sent, State::close).by(nginx));
    });
    EXPECT_EQ(words(text.back()).at(0), "101");
}

TEST(life, marks_a_guessed_owner)
{
    const auto text = lines(make_life, [](Correlator& c) {
        tell(c, 1ms, listener().listen(128).by(nginx));
        tell(c, 2ms, server().birth().queue(3, 0, 128));
        tell(c, 3ms, server().state(State::syn_recv, State::close).error(ECONNRESET));
    });
    EXPECT_EQ(words(text.back()).at(1), "nginx?");
}

TEST(life, tells_what_is_lost)
{
    const auto text =
        lines(make_life, [](Correlator& c) { c.lost(12, event::LostWhere::ring, 0); });
    EXPECT_EQ(text.back(), "22:13:20.000000 12 lost (ring)");
}

struct Bytes {
    std::uint64_t bytes;
    std::string_view kb;

    friend void PrintTo(const Bytes& b, std::ostream* to) { *to << b.bytes; }
};

class kilobytes : public ::testing::TestWithParam<Bytes> {};

TEST_P(kilobytes, of_anything_are_more_than_0)
{
    const auto text = lines(make_life, [](Correlator& c) {
        tell(c, 1ms, server().state(State::established, State::close).counts(GetParam().bytes, 0));
    });
    EXPECT_EQ(words(text.back()).at(6), GetParam().kb);
}

INSTANTIATE_TEST_SUITE_P(sizes, kilobytes,
                         ::testing::Values(Bytes{0, "0"}, Bytes{1, "0.1"}, Bytes{1023, "1.0"},
                                           Bytes{1024, "1"}, Bytes{1536, "1.5"},
                                           Bytes{10ULL << 30, "10485760"}),
                         [](const auto& info) { return std::to_string(info.param.bytes); });

// ---- what is made visible -------------------------------------------------------------------

TEST(visible, shows_what_could_steer_a_terminal)
{
    const auto shown = [](std::string_view text) {
        fmt::memory_buffer b;
        append_visible(b, text);
        return fmt::to_string(b);
    };
    EXPECT_EQ(shown("nginx: worker"), "nginx: worker");
    EXPECT_EQ(shown("a\nb\tc"), "a\\x0ab\\x09c");
    EXPECT_EQ(shown("\x1b[31m"), "\\x1b[31m");
    EXPECT_EQ(shown("a\\b"), "a\\x5cb");
    EXPECT_EQ(shown("\x7f"), "\\x7f");
    EXPECT_EQ(shown("\xff\xc3"), "\\xff\\xc3");
    EXPECT_EQ(shown("\xc2\x9b"), "\\xc2\\x9b");
    EXPECT_EQ(shown("caf\xc3\xa9 \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xf0\x9f\x98\x80");
    EXPECT_EQ(shown(std::string_view("\0", 1)), "\\x00");
}

} // namespace
} // namespace tcpsaga::testing
