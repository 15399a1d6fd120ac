// SPDX-License-Identifier: BSD-2-Clause
#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "tcpsaga/address.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Arguments = std::vector<std::string>;

struct Answer {
    Parsed parsed;
    std::string out, err;
};

Answer answer(const Arguments& arguments)
{
    std::vector<const char*> argv{"tcpsaga"};
    for (const std::string& a : arguments)
        argv.push_back(a.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Parsed parsed = parse_arguments(static_cast<int>(argv.size()), argv.data());
    std::string err = ::testing::internal::GetCapturedStderr();
    return {std::move(parsed), ::testing::internal::GetCapturedStdout(), std::move(err)};
}

/// The options of arguments that are right.
Options options(const Arguments& arguments)
{
    Answer a = answer(arguments);
    EXPECT_EQ(a.err, "");
    EXPECT_EQ(a.out, "");
    EXPECT_EQ(a.parsed.exit_code, 0);
    EXPECT_TRUE(a.parsed.options) << ::testing::PrintToString(arguments);
    return a.parsed.options.value_or(Options{});
}

// ---- what is right
// --------------------------------------------------------------------------------

TEST(arguments, none_are_needed)
{
    const Options o = options({});
    EXPECT_EQ(o.command, Command::trace);
    EXPECT_EQ(o.filter.family, 0);
    EXPECT_THAT(o.filter.ports, IsEmpty());
    EXPECT_THAT(o.filter.lports, IsEmpty());
    EXPECT_THAT(o.filter.rports, IsEmpty());
    EXPECT_TRUE(o.filter.cidrs.empty());
    EXPECT_THAT(o.filter.netns, IsEmpty());
    EXPECT_FALSE(o.filter.asks_for_process());
    EXPECT_EQ(o.wish.preferred, std::nullopt);
    EXPECT_THAT(o.wish.disabled, IsEmpty());
    EXPECT_FALSE(o.json);
    EXPECT_EQ(o.output, "");
    EXPECT_THAT(o.kinds, IsEmpty());
    EXPECT_THAT(o.states, IsEmpty());
    EXPECT_EQ(o.duration_s, std::nullopt);
    EXPECT_EQ(o.count, std::nullopt);
    EXPECT_EQ(o.ring_bytes, 8U << 20);
    EXPECT_EQ(o.max_connections, 1U << 20);
    EXPECT_EQ(o.overflow_rate, 100U);
    EXPECT_FALSE(o.strict_audit);
    EXPECT_TRUE(o.snapshot);
    EXPECT_EQ(o.summary_s, std::nullopt);
    EXPECT_EQ(o.btf, "");
}

TEST(arguments, name_a_command)
{
    EXPECT_EQ(options({"trace"}).command, Command::trace);
    EXPECT_EQ(options({"life"}).command, Command::life);
    EXPECT_EQ(options({"sockets"}).command, Command::sockets);
    EXPECT_EQ(options({"check"}).command, Command::check);
    EXPECT_TRUE(options({"check", "--json"}).json);
}

TEST(arguments, of_record_name_a_file)
{
    const Options o = options({"record", "--force", "day.tsr", "--port", "80", "--drops"});
    EXPECT_EQ(o.command, Command::record);
    EXPECT_EQ(o.record, "day.tsr");
    EXPECT_TRUE(o.force);
    EXPECT_THAT(o.filter.ports, ElementsAre(80));
    const Options beside = options({"life", "-w", "day.tsr"});
    EXPECT_EQ(beside.command, Command::life);
    EXPECT_EQ(beside.view, Command::life);
    EXPECT_EQ(beside.record, "day.tsr");
    EXPECT_FALSE(beside.force);
}

TEST(arguments, of_top)
{
    Options o = options({"top"});
    EXPECT_EQ(o.command, Command::top);
    EXPECT_EQ(o.view, Command::top);
    EXPECT_FALSE(o.once);
    EXPECT_EQ(o.interval_s, 1);
    o = options({"top", "--once", "--interval", "0.5", "--lport", "80", "--attach", "kprobe"});
    EXPECT_TRUE(o.once);
    EXPECT_EQ(o.interval_s, 0.5);
    EXPECT_THAT(o.filter.lports, ElementsAre(80));
    EXPECT_EQ(o.wish.preferred, Mechanism::kprobe);
    // What would write into the screen, or has no place on it.
    for (const char* other : {"--json", "--summary=1", "-o=x", "--count=1", "--event=close"})
        EXPECT_EQ(answer({"top", other}).parsed.exit_code, 2) << other;
    EXPECT_THAT(answer({"top", "--interval", "0"}).err, HasSubstr("--interval"));
    EXPECT_EQ(answer({"trace", "--once"}).parsed.exit_code, 2);
}

TEST(arguments, of_replay_name_files_and_a_view)
{
    Options o = options({"replay", "a", "b"});
    EXPECT_EQ(o.command, Command::replay);
    EXPECT_EQ(o.view, Command::trace);
    EXPECT_THAT(o.files, ElementsAre("a", "b"));
    o = options({"replay", "--port", "80", "a", "b", "life", "--json", "--count", "3"});
    EXPECT_EQ(o.view, Command::life);
    EXPECT_THAT(o.files, ElementsAre("a", "b"));
    EXPECT_TRUE(o.json);
    EXPECT_EQ(o.count, 3U);
    EXPECT_THAT(o.filter.ports, ElementsAre(80));
    o = options({"report", "a", "b", "--port", "80", "-o", "page"});
    EXPECT_EQ(o.command, Command::replay);
    EXPECT_EQ(o.view, Command::report);
    EXPECT_THAT(o.files, ElementsAre("a", "b"));
    EXPECT_EQ(o.output, "page");
    EXPECT_THAT(o.filter.ports, ElementsAre(80));
    EXPECT_EQ(options({"replay", "a", "report"}).view, Command::report);
    o = options({"replay", "a", "trace", "--event", "drop", "-o", "lines"});
    EXPECT_EQ(o.view, Command::trace);
    EXPECT_THAT(o.kinds, ElementsAre("drop"));
    EXPECT_EQ(o.output, "lines");
}

TEST(arguments, of_trace_come_without_its_name)
{
    const Options o = options({"--json", "--port", "80"});
    EXPECT_EQ(o.command, Command::trace);
    EXPECT_TRUE(o.json);
    EXPECT_THAT(o.filter.ports, ElementsAre(80));
}

class live_arguments : public ::testing::TestWithParam<std::string> {
protected:
    static Options live(Arguments arguments)
    {
        arguments.insert(arguments.begin(), GetParam());
        return options(arguments);
    }
};

TEST_P(live_arguments, choose_connections)
{
    const Options o = live({"--port", "80,443", "--port", "8080", "--lport", "1", "--rport",
                            "65535,80", "--addr", "10.0.0.0/8,::1", "--addr", "fe80::/10", "--pid",
                            "1,2", "--comm", "nginx,curl", "--netns", "4026531840"});
    EXPECT_THAT(o.filter.ports, ElementsAre(80, 443, 8080));
    EXPECT_THAT(o.filter.lports, ElementsAre(1));
    EXPECT_THAT(o.filter.rports, ElementsAre(65535, 80));
    ASSERT_EQ(o.filter.cidrs.size(), 3U);
    EXPECT_EQ(to_string(o.filter.cidrs[0].addr), "10.0.0.0");
    EXPECT_EQ(to_string(o.filter.cidrs[1].addr), "::1");
    EXPECT_EQ(to_string(o.filter.cidrs[2].addr), "fe80::");
    EXPECT_THAT(o.filter.pids, ElementsAre(1, 2));
    EXPECT_THAT(o.filter.comms, ElementsAre("nginx", "curl"));
    EXPECT_THAT(o.filter.netns, ElementsAre(4026531840));
}

TEST_P(live_arguments, choose_a_family)
{
    EXPECT_EQ(live({"-4"}).filter.family, 4);
    EXPECT_EQ(live({"-6"}).filter.family, 6);
    EXPECT_EQ(live({"-4", "--addr", "10.0.0.0/8"}).filter.cidrs.size(), 1U);
    EXPECT_EQ(live({"-6", "--addr", "fe80::/10"}).filter.cidrs.size(), 1U);
}

TEST_P(live_arguments, choose_output)
{
    const Options o = live({"--json", "-o", "/tmp/x", "--duration", "1.5", "--count", "100"});
    EXPECT_TRUE(o.json);
    EXPECT_EQ(o.output, "/tmp/x");
    EXPECT_EQ(o.duration_s, 1.5);
    EXPECT_EQ(o.count, 100U);
}

TEST_P(live_arguments, choose_where_metrics_are)
{
    EXPECT_EQ(live({}).metrics, "");
    EXPECT_EQ(live({"--metrics", "9435"}).metrics, "127.0.0.1:9435");
    EXPECT_EQ(live({"--metrics", "0.0.0.0:9435"}).metrics, "0.0.0.0:9435");
    EXPECT_EQ(live({"--metrics", "[::1]:9435"}).metrics, "[::1]:9435");
}

TEST_P(live_arguments, choose_a_socket)
{
    EXPECT_EQ(live({"-o", "unix:/run/x"}).output, "unix:/run/x");
    EXPECT_EQ(live({"-o", "tcp:[::1]:514"}).output, "tcp:[::1]:514");
}

TEST_P(live_arguments, choose_memory)
{
    EXPECT_EQ(live({"--ring", "65536"}).ring_bytes, 65536U);
    EXPECT_EQ(live({"--ring", "64K"}).ring_bytes, 65536U);
    EXPECT_EQ(live({"--ring", "16M"}).ring_bytes, 16U << 20);
    EXPECT_EQ(live({"--ring", "1G"}).ring_bytes, 1U << 30);
    EXPECT_EQ(live({"--max-connections", "1"}).max_connections, 1U);
}

TEST_P(live_arguments, choose_how_much_is_told_of_overflows)
{
    EXPECT_EQ(live({"--overflow-rate", "1"}).overflow_rate, 1U);
    EXPECT_EQ(live({"--overflow-rate", "1000000"}).overflow_rate, 1'000'000U);
}

TEST_P(live_arguments, choose_an_audit)
{
    EXPECT_FALSE(live({"--audit", "report"}).strict_audit);
    EXPECT_TRUE(live({"--audit", "strict"}).strict_audit);
    EXPECT_FALSE(live({"--audit=report"}).strict_audit);
}

TEST_P(live_arguments, choose_summaries_and_the_start)
{
    EXPECT_EQ(live({"--summary", "0.5"}).summary_s, 0.5);
    EXPECT_FALSE(live({"--no-snapshot"}).snapshot);
}

TEST_P(live_arguments, choose_hooks)
{
    EXPECT_EQ(live({"--attach", "auto"}).wish.preferred, std::nullopt);
    EXPECT_EQ(live({"--attach", "trampoline"}).wish.preferred, Mechanism::trampoline);
    EXPECT_EQ(live({"--attach", "kprobe"}).wish.preferred, Mechanism::kprobe);
    EXPECT_EQ(live({"--attach", "tracepoint"}).wish.preferred, Mechanism::tracepoint);
    EXPECT_THAT(live({"--disable-hook", "accept,time_wait"}).wish.disabled,
                ElementsAre("accept", "time_wait"));
    EXPECT_EQ(live({"--btf", "/proc/self/status"}).btf, "/proc/self/status");
}

TEST_P(live_arguments, ask_for_drops)
{
    EXPECT_THAT(live({}).wish.asked, ::testing::IsEmpty());
    EXPECT_THAT(live({"--drops"}).wish.asked, ElementsAre("drop"));
}

INSTANTIATE_TEST_SUITE_P(of, live_arguments, ::testing::Values("trace", "life"),
                         [](const auto& info) { return info.param; });

TEST(arguments, of_check_choose_hooks)
{
    const Options o = options({"check", "--attach", "kprobe", "--disable-hook", "accept"});
    EXPECT_EQ(o.wish.preferred, Mechanism::kprobe);
    EXPECT_THAT(o.wish.disabled, ElementsAre("accept"));
}

TEST(arguments, of_sockets_choose_them)
{
    const Options o = options({"sockets", "--port", "80", "--pid", "1", "--comm", "nginx", "-4",
                               "--addr", "10.0.0.0/8", "--netns", "7", "--state", "established",
                               "--json", "-i", "-o", "/tmp/x"});
    EXPECT_THAT(o.filter.ports, ElementsAre(80));
    EXPECT_THAT(o.filter.pids, ElementsAre(1));
    EXPECT_THAT(o.filter.comms, ElementsAre("nginx"));
    EXPECT_THAT(o.filter.netns, ElementsAre(7));
    EXPECT_EQ(o.filter.family, 4);
    EXPECT_EQ(o.filter.cidrs.size(), 1U);
    EXPECT_THAT(o.states, ElementsAre("ESTABLISHED"));
    EXPECT_TRUE(o.json);
    EXPECT_TRUE(o.info);
    EXPECT_EQ(o.output, "/tmp/x");
    EXPECT_THAT(o.by, IsEmpty());
    EXPECT_THAT(options({"sockets", "--listening"}).states, ElementsAre("LISTEN"));
    EXPECT_THAT(options({"sockets", "-l"}).states, ElementsAre("LISTEN"));
}

TEST(arguments, of_sockets_count_them)
{
    EXPECT_THAT(options({"sockets", "--by", "state"}).by, ElementsAre(SocketKey::state));
    EXPECT_THAT(options({"sockets", "--by", "remote,state"}).by,
                ElementsAre(SocketKey::remote, SocketKey::state));
    EXPECT_THAT(options({"sockets", "--by", "raddr:rport"}).by,
                ElementsAre(SocketKey::remote, SocketKey::rport));
}

TEST(arguments, choose_events)
{
    const Options o = options({"--event", "close,state", "--state", "TIME_WAIT"});
    EXPECT_THAT(o.kinds, ElementsAre("close", "state"));
    EXPECT_THAT(o.states, ElementsAre("TIME_WAIT"));
}

TEST(arguments, every_kind_and_state_can_be_chosen)
{
    for (const char* kind : {"listen", "unlisten", "connect", "connect_error", "state", "accept",
                             "time_wait", "reset", "close", "overflow", "accept_error",
                             "retransmit", "bind_error", "listen_error", "synack_timeout"})
        EXPECT_THAT(options({"--event", kind}).kinds, ElementsAre(kind));
    EXPECT_THAT(options({"--drops", "--event", "drop"}).kinds, ElementsAre("drop"));
    for (const char* state : {"ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",
                              "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"})
        EXPECT_THAT(options({"--state", state}).states, ElementsAre(state));
}

// The presenters compare with the kernel's spelling.
TEST(arguments, states_may_be_in_lower_case)
{
    EXPECT_THAT(options({"--state", "established,Time_Wait"}).states,
                ElementsAre("ESTABLISHED", "TIME_WAIT"));
}

TEST(arguments, name_a_namespace_by_inode_path_or_self)
{
    struct stat st {};
    ASSERT_EQ(::stat("/proc/self/ns/net", &st), 0);
    const auto own = static_cast<std::uint32_t>(st.st_ino);
    EXPECT_THAT(options({"--netns", "self"}).filter.netns, ElementsAre(own));
    EXPECT_THAT(options({"--netns", "/proc/self/ns/net"}).filter.netns, ElementsAre(own));
    EXPECT_THAT(options({"--netns", "self,7"}).filter.netns, ElementsAre(own, 7U));
    EXPECT_THAT(options({"--netns", "4294967295"}).filter.netns, ElementsAre(4294967295U));
}

// ---- what is answered at once -----------------------------------------------------------------

TEST(arguments, ask_for_help)
{
    for (const Arguments& a : {Arguments{"--help"}, {"-h"}, {"trace", "--help"}, {"life", "-h"}}) {
        const Answer help = answer(a);
        EXPECT_FALSE(help.parsed.options);
        EXPECT_EQ(help.parsed.exit_code, 0);
        EXPECT_THAT(help.out, HasSubstr("Usage: tcpsaga"));
        EXPECT_EQ(help.err, "");
    }
}

/// In words of ours; what CLI11 calls types and checks is not in it.
TEST(arguments, help_names_values_and_choices)
{
    const std::string all = answer({"--help"}).out;
    EXPECT_THAT(all, HasSubstr("Usage: tcpsaga [COMMAND] [OPTION...]\n"));
    EXPECT_THAT(all, HasSubstr("\nCommands:\n"));
    EXPECT_THAT(all, HasSubstr("Without a command, trace is meant"));
    const std::string trace = answer({"trace", "--help"}).out;
    EXPECT_THAT(trace, HasSubstr("  --count N  "));
    EXPECT_THAT(trace, HasSubstr("only these kinds of event: listen, unlisten, "));
    EXPECT_THAT(trace, HasSubstr("  --metrics [ADDR:]PORT  "));
    EXPECT_THAT(trace, HasSubstr("  --audit report|strict  "));
    EXPECT_THAT(trace, HasSubstr("; not with -6\n"));
    EXPECT_THAT(trace, HasSubstr("; only with --record\n"));
    EXPECT_THAT(answer({"replay", "--help"}).out,
                HasSubstr("Usage: tcpsaga replay FILE... [COMMAND] [OPTION...]\n"));
    for (const char* command :
         {"trace", "life", "doctor", "top", "record", "replay", "report", "sockets", "check"})
        for (const char* theirs : {":{", "INT", "FLOAT", "TEXT", "POSITIVE", "REQUIRED"})
            EXPECT_THAT(answer({command, "--help"}).out, ::testing::Not(HasSubstr(theirs)))
                << command;
}

TEST(arguments, ask_for_the_version)
{
    const Answer version = answer({"--version"});
    EXPECT_FALSE(version.parsed.options);
    EXPECT_EQ(version.parsed.exit_code, 0);
    EXPECT_THAT(version.out, ::testing::MatchesRegex("tcpsaga [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

// ---- what is wrong ------------------------------------------------------------------------------

struct Wrong {
    Arguments arguments;
    std::string_view says;

    friend void PrintTo(const Wrong& w, std::ostream* to)
    {
        for (const std::string& a : w.arguments)
            *to << a << ' ';
    }
};

class wrong_argument : public ::testing::TestWithParam<Wrong> {};

TEST_P(wrong_argument, is_one_line_and_exit_2)
{
    const Answer a = answer(GetParam().arguments);
    EXPECT_FALSE(a.parsed.options);
    EXPECT_EQ(a.parsed.exit_code, 2);
    EXPECT_EQ(a.out, "");
    EXPECT_THAT(a.err, StartsWith("tcpsaga: "));
    EXPECT_THAT(a.err, HasSubstr(std::string(GetParam().says)));
    EXPECT_EQ(std::ranges::count(a.err, '\n'), 1);
    EXPECT_THAT(a.err, ::testing::EndsWith("--help)\n"));
}

INSTANTIATE_TEST_SUITE_P(
    filters, wrong_argument,
    ::testing::Values(
        Wrong{{"--port", "0"}, "--port"}, Wrong{{"--port", "65536"}, "--port"},
        Wrong{{"--port", "-1"}, "--port"}, Wrong{{"--port", "http"}, "--port"},
        Wrong{{"--port", "80,x"}, "--port"}, Wrong{{"--port"}, "--port wants a value"},
        Wrong{{"--lport", "65536"}, "--lport"}, Wrong{{"--rport", "0"}, "--rport"},
        Wrong{{"--port", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"}, "at most 16"},
        Wrong{{"--port", "80", "--lport", "81", "--rport", "82"}, "--lport"},
        Wrong{{"--addr", "10.0.0.0/33"}, "10.0.0.0/33"}, Wrong{{"--addr", "web"}, "'web'"},
        Wrong{{"--addr", "10.0.0.0/8,::1/129"}, "::1/129"}, Wrong{{"--addr"}, "--addr"},
        Wrong{{"-4", "-6"}, "-6"}, Wrong{{"-6", "-4"}, "-4"},
        Wrong{{"-4", "--addr", "fe80::/10"}, "-4 with an IPv6"},
        Wrong{{"-6", "--addr", "10.0.0.0/8"}, "-6 with an IPv4"}, Wrong{{"--netns", "0"}, "'0'"},
        Wrong{{"--netns", "4294967296"}, "'4294967296'"},
        Wrong{{"--netns", "no-such-netns"}, "'no-such-netns'"},
        Wrong{{"--netns", "/no/such/path"}, "'/no/such/path'"}, Wrong{{"--pid", "0"}, "--pid"},
        Wrong{{"--pid", "init"}, "--pid: want a whole number above 0, not 'init' (see"},
        Wrong{{"--pid", "-1"}, "--pid"}, Wrong{{"--pid", "4294967296"}, "--pid"},
        Wrong{{"--comm", "sixteen bytes!!!"}, "--comm"}));

INSTANTIATE_TEST_SUITE_P(
    others, wrong_argument,
    ::testing::Values(
        Wrong{{"--frobnicate"}, "trace has no option '--frobnicate'"},
        Wrong{{"trace", "--frobnicate"}, "--frobnicate"}, Wrong{{"frobnicate"}, "frobnicate"},
        Wrong{{""}, ""}, Wrong{{"trace", "life"}, ""}, Wrong{{"trace", "extra"}, "extra"},
        Wrong{{"--json", "extra"}, "'extra' is one argument too many"},
        Wrong{{"check", "--port", "80"}, "--port"}, Wrong{{"life", "--event", "close"}, "--event"},
        Wrong{{"life", "--state", "CLOSE"}, "life has no option '--state'"},
        Wrong{{"--event", "close", "--state", "CLOSE"}, "add state to --event"},
        Wrong{{"--event", "closed"}, "closed"}, Wrong{{"--event", "summary"}, "summary"},
        Wrong{{"--state", "TIMEWAIT"}, "TIMEWAIT"}, Wrong{{"--attach", "magic"}, "magic"},
        Wrong{{"--disable-hook", "nope"}, "'nope'"},
        Wrong{{"check", "--disable-hook", "nope"}, "time_wait_turn"},
        Wrong{{"--btf", "/no/such/file"}, "/no/such/file"},
        Wrong{{"--ring", "100000"}, "power of two"}, Wrong{{"--ring", "32K"}, "64K"},
        Wrong{{"--ring", "2G"}, "1G"}, Wrong{{"--ring", "0"}, "power of two"},
        Wrong{{"--ring", "much"}, "--ring"}, Wrong{{"--ring", "-65536"}, "--ring"},
        Wrong{{"--duration", "0"}, "--duration"}, Wrong{{"--duration", "-1"}, "--duration"},
        Wrong{{"--duration", "nan"}, "--duration"}, Wrong{{"--duration", "soon"}, "--duration"},
        Wrong{{"--count", "0"}, "--count"},
        Wrong{{"--count", "1.5"}, "--count: want a whole number"},
        Wrong{{"--count", "-3"}, "--count"}, Wrong{{"--max-connections", "0"}, "--max-connections"},
        Wrong{{"--overflow-rate", "0"}, "--overflow-rate"},
        Wrong{{"--overflow-rate", "1000001"}, "--overflow-rate"},
        Wrong{{"--overflow-rate", "-1"}, "--overflow-rate"},
        Wrong{{"check", "--overflow-rate", "1"}, "--overflow-rate"},
        Wrong{{"--summary", "0"}, "--summary"}, Wrong{{"--summary", "nan"}, "--summary"},
        Wrong{{"check", "--summary", "1"}, "--summary"},
        Wrong{{"check", "--no-snapshot"}, "--no-snapshot"}, Wrong{{"--audit", "lax"}, "lax"},
        Wrong{{"--event", "drop"}, "add --drops"}, Wrong{{"--audit"}, "--audit"},
        Wrong{{"check", "--audit", "strict"}, "--audit"}, Wrong{{"-o"}, "-o"},
        Wrong{{"--by", "state"}, "--by"}, Wrong{{"trace", "--listening"}, "--listening"},
        Wrong{{"sockets", "--by", "colour"}, "'colour'; there are state, remote"},
        Wrong{{"sockets", "--by", "state,"}, "''"}, Wrong{{"sockets", "--by"}, "--by"},
        Wrong{{"sockets", "--state", "OPEN"}, "OPEN"},
        Wrong{{"sockets", "--listening", "--state", "CLOSE"}, "--state"},
        Wrong{{"sockets", "--event", "close"}, "--event"},
        Wrong{{"sockets", "--duration", "1"}, "--duration"},
        Wrong{{"sockets", "--attach", "auto"}, "--attach"},
        Wrong{{"sockets", "--pairs", "--by", "state"}, "--pairs"},
        Wrong{{"trace", "--pairs"}, "--pairs"},
        Wrong{{"replay", "a", "--pairs"}, "is for replay FILE life"},
        Wrong{{"sockets", "--port", "0"}, "--port"}, Wrong{{"record"}, "FILE"},
        Wrong{{"record", "a", "b"}, "b"}, Wrong{{"record", "a", "--json"}, "--json"},
        Wrong{{"record", "a", "--count", "1"}, "record has no option '--count'"},
        Wrong{{"trace", "--force"}, "--record"}, Wrong{{"trace", "-w"}, "--record"},
        Wrong{{"replay"}, "FILE"}, Wrong{{"replay", "a", "--drops"}, "--drops"},
        Wrong{{"replay", "a", "--duration", "1"}, "--duration"},
        Wrong{{"replay", "a", "--cgroup", "/"}, "--cgroup"},
        Wrong{{"replay", "a", "--port", "0"}, "--port"},
        Wrong{{"replay", "a", "life", "--event", "close"}, "--event"},
        Wrong{{"replay", "a", "life", "--state", "CLOSE"}, "--state"},
        Wrong{{"replay", "a", "report", "--event", "close"}, "--event"},
        Wrong{{"replay", "a", "report", "--count", "1"}, "--count"}, Wrong{{"report"}, "FILE"},
        Wrong{{"report", "a", "--count", "1"}, "--count"},
        Wrong{{"report", "a", "--cgroup", "/"}, "--cgroup"},
        Wrong{{"-o", "tcp:host"}, "'tcp:host'"}, Wrong{{"-o", "unix:"}, "'unix:'"},
        Wrong{{"--metrics", "99999"}, "'99999'"},
        Wrong{{"--metrics", "localhost:80"}, "[::1]:9435"},
        Wrong{{"--metrics", "::1:80"}, "'::1:80'"}, Wrong{{"--metrics", ":80"}, "':80'"},
        Wrong{{"--metrics", "1.2.3.4:"}, "'1.2.3.4:'"},
        Wrong{{"check", "--metrics", "1"}, "--metrics"}));

TEST(wrong_argument, points_to_the_help_of_its_command)
{
    EXPECT_THAT(answer({"life", "--port", "0"}).err, HasSubstr("(see tcpsaga life --help)"));
    EXPECT_THAT(answer({"--port", "0"}).err, HasSubstr("(see tcpsaga trace --help)"));
    EXPECT_THAT(answer({"--addr", "x"}).err, HasSubstr("(see tcpsaga trace --help)"));
    EXPECT_THAT(answer({"sockets", "--by", "x"}).err, HasSubstr("(see tcpsaga sockets --help)"));
    EXPECT_THAT(answer({"frobnicate"}).err, HasSubstr("(see tcpsaga --help)"));
}

} // namespace
} // namespace tcpsaga::testing
