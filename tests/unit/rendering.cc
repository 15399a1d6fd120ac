// SPDX-License-Identifier: BSD-2-Clause
#include "rendering.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

namespace tcpsaga::testing {
namespace {

constexpr Task escape{303, "\x1b[2J\n\"\\\xff\xc2\x9b", 0};
constexpr Task cafe{304, "caf\xc3\xa9", 0};

void a_listener(Correlator& to)
{
    Socket v6 = Socket().id(31).local("::", 8080).remote("::", 0);
    tell(to, 500us, listener().listen(4096).asked(65535).by(nginx));
    tell(to, 600us, v6.listen(128).by(cafe));
    tell(to, 700us, v6.listen(64, State::listen).asked(64).by(cafe));
    tell(to, 61s, v6.state(State::listen, State::close).by(cafe));
    tell(to, 61s, v6.id(35).bind_error(EADDRINUSE).by(cafe));
    tell(to, 61s, listener().id(36).listen_error(EADDRINUSE).by(curl));
}

/// With one connection open and one that it never accepted.
void a_process_that_exits(Correlator& to)
{
    const Socket own = Socket().id(32).local("0.0.0.0", 8081).remote("0.0.0.0", 0);
    const Socket waits = server().id(33).local("10.0.0.2", 8081);
    const Socket open = client().id(34).local("10.0.0.1", 40034);
    tell(to, 700us, own.listen(1).by(cafe));
    tell(to, 800us, open.connect().by(cafe));
    tell(to, 850us, open.state(State::syn_sent, State::established));
    tell(to, 900us, waits.birth().queue(32, 0, 1));
    tell(to, 910us, waits.state(State::syn_recv, State::established));
    tell(to, 950us, own.state(State::listen, State::close).by(cafe).flag(TS_EXITING));
    tell(to, 960us, waits.state(State::established, State::close));
    tell(to, 970us,
         open.state(State::established, State::close).by(cafe).flag(TS_EXITING).detail(TS_UNREAD));
}

void an_ipv6_life(Correlator& to)
{
    const Socket s = Socket().id(41).local("2001:db8::1", 50001).remote("2001:db8::2", 443);
    tell(to, 2ms, s.connect().by(escape));
    tell(to, 2050us, s.state(State::syn_sent, State::established).counts(1, 0));
    tell(to, 3s, s.reset(State::established, false));
    tell(to, 3s, s.state(State::established, State::close).counts(1025, 1).error(ECONNRESET));
}

/// A client that the peer's IPv6 socket sees as ::ffff:127.0.0.1.
void a_mapped_life(Correlator& to)
{
    const Socket s = Socket().id(51).local("::ffff:127.0.0.1", 80).remote("::ffff:127.0.0.1", 5555);
    tell(to, 3ms, s.birth().synack(2999us));
    tell(to, 3001us, s.state(State::syn_recv, State::established));
    tell(to, 4ms, s.reset(State::established, true, 1).by(nginx));
    tell(to, 4ms,
         s.state(State::established, State::close).counts(0, 0).by(nginx).detail(TS_LINGER_0));
}

/// One connection for each reason of an abort and a time-out that the others do not have.
void aborts_and_timeouts(Correlator& to)
{
    const auto gone = [](std::uint16_t n) {
        const Socket s = client().id(n).local("10.0.0.1", static_cast<std::uint16_t>(40000 + n));
        return s.state(State::established, State::close);
    };
    tell(to, 4ms, gone(52).by(nginx).detail(TS_UNREAD));
    tell(to, 4ms, gone(53).by(nginx));
    tell(to, 4ms, gone(54).by({7, "ss", 0}).error(ECONNABORTED));
    tell(to, 4ms, gone(55).error(ETIMEDOUT).flag(TS_ALL_ACKED).detail(TS_KEEPALIVE));
    tell(to, 4ms, gone(56).error(ETIMEDOUT).detail(TS_USER_TIMEOUT));
    tell(to, 4ms, gone(57).error(ETIMEDOUT).detail(TS_ORPHAN));
}

void connects_that_fail(Correlator& to)
{
    refused_life(to, client().id(61).local("10.0.0.1", 40061).netns(4026532001));
    const Socket no_port = client().id(62).local("0.0.0.0", 0);
    tell(to, 5ms, no_port.state(State::syn_sent, State::close).by(curl));
    tell(to, 5ms, no_port.connect_error(EADDRNOTAVAIL).by(curl));
    const Socket slow = client().id(63).local("10.0.0.1", 40063).remote("192.0.2.1", 65535);
    tell(to, 5ms, slow.connect().by(curl));
    tell(to, 1005ms, slow.retransmit(TS_RE_SYN, 1, State::syn_sent));
    tell(to, 3005ms, slow.retransmit(TS_RE_SYN, 2, State::syn_sent).error(EPERM));
    tell(to, 127s, slow.state(State::syn_sent, State::close).error(ETIMEDOUT).retransmits(6));
}

void from_before_us(Correlator& to)
{
    tell(to, 6ms, server().id(71).accept(State::close).queue(0, 0, 0).by(nginx));
    tell(to, 7ms, client().id(72).state(State::established, State::close));
    tell(to, 8ms, client().id(73).time_wait_out());
    auto sent_again = client().id(74).retransmit(TS_RE_DATA, 5);
    sent_again.raw.segments = 3;
    tell(to, 8ms, sent_again);
    tell(to, 8ms, client().id(74).state(State::established, State::fin_wait1).by(curl));
    tell(to, 9ms, client().id(74).retransmit(TS_RE_FIN, 6, State::fin_wait1));
}

void ends_of_time_wait(Correlator& to)
{
    for (const ts_tw_end why : {TS_TW_UNKNOWN, TS_TW_REUSED, TS_TW_RESET, TS_TW_PURGED})
        tell(to, 8ms, client().id(75U + why).time_wait_out().detail(why));
    const Socket full = client().id(80).local("10.0.0.1", 40080);
    tell(to, 8ms, full.time_wait_in(State::fin_wait2, State::time_wait));
    tell(to, 8ms, full.time_wait_full());
    tell(to, 8ms, full.state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
}

void an_inferred_time_wait(Correlator& to)
{
    const Socket s = client().id(81).local("10.0.0.1", 40081);
    tell(to, 9ms, s.state(State::close, State::syn_sent).by(cafe).port(0));
    tell(to, 10ms, s.state(State::syn_sent, State::established));
    tell(to, 11ms, s.state(State::established, State::fin_wait1).by(cafe));
    tell(to, 12ms, s.state(State::fin_wait1, State::fin_wait2));
    tell(to, 13ms, s.state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
}

/// Its queues are full in every way; two of the packets are told of when it is settled.
void an_overload(Correlator& to)
{
    const Socket packet = Socket().id(3).local("10.0.0.2", 80).remote("10.0.0.9", 40009);
    for (std::uint32_t kind = 0; kind < TS_OVERFLOW_KINDS; kind++)
        tell(to, 13ms, packet.overflow(kind, kind + 1));
    tell(to, 13ms, packet.retransmit(TS_RE_SYNACK, 1, State::listen));
    tell(to, 13ms, packet.synack_timeout(1));
    tell(to, 13ms, listener().accept_error(EMFILE, 1).by(nginx));
    tell(to, 13ms, listener().accept_error(EMFILE, 4).by(nginx));
    ListenerTotals totals{};
    totals.key = {3, init_netns, 0};
    for (std::uint32_t kind = 0; kind < TS_OVERFLOW_KINDS; kind++)
        totals.counts.total[kind] = kind + 1;
    totals.counts.total[TS_ACK_DROP] += 2;
    totals.counts.total[TS_ACCEPT_FAILED] = 6;
    to.settle({&totals, 1}, 14'000'000);
}

/// A client's and a server's, which stay.
void time_waits_that_last(Correlator& to)
{
    const Socket ours = Socket().id(82).local("2001:db8::1", 40082).remote("2001:db8::2", 443);
    const Socket served = server().id(83).remote("10.0.0.1", 40083);
    tell(to, 9ms, ours.connect().by(curl));
    tell(to, 9ms, served.birth());
    tell(to, 10ms, ours.state(State::syn_sent, State::established));
    tell(to, 10ms, served.state(State::syn_recv, State::established));
    for (const Socket& s : {ours, served}) {
        tell(to, 11ms, s.state(State::established, State::fin_wait1));
        tell(to, 12ms, s.state(State::fin_wait1, State::fin_wait2));
        tell(to, 13ms, s.time_wait_in(State::fin_wait2, State::time_wait));
        tell(to, 13ms, s.state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
    }
}

/// The live tracer adds what the ports are used for.
void a_connect_without_port(Sink& to)
{
    Connection c;
    c.id = 84;
    c.tuple = client().local("10.0.0.1", 0).tuple();
    c.role = Role::client;
    const event::PortUse use{32768, 60999, 28232, 0};
    to.on_event({14'000'000, &c, {}, event::ConnectError{EADDRNOTAVAIL, use}});
}

/// Where no hook tells of full queues: the listener of cookie 3 is looked at.
void a_listener_that_is_polled(Correlator& to)
{
    for (const std::uint32_t drops : {1, 6}) {
        const PolledListener found{3, listener().tuple(), 129, 128, 0, drops};
        to.on_polled({&found, 1}, 14'000'000, 200);
    }
}

/// One of a connection, some of nobody's, and what no record told.
void drops(Correlator& to)
{
    tell(to, 13ms, Socket().id(72).connect().by(curl));
    tell(to, 13ms, Socket().drop(1, 1));
    tell(to, 13ms, Socket().local("2001:db8::2", 81).remote("2001:db8::9", 40009).drop(2, 3));
    tell(to, 13ms, Socket().drop(TS_NO_REASON, 1, place_b));
    const DropTotals totals{{place_a, init_netns, 2}, {9, 0, 0}};
    to.settle({&totals, 1}, 14'000'000);
}

} // namespace

std::string read_file(const std::string& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> lines_of(const std::string& text)
{
    std::istringstream in(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

PresentOptions plain()
{
    PresentOptions o;
    o.host = "web1";
    o.utc_offset_ns = 1'700'000'000'000'000'000;
    return o;
}

std::string render(MakeSink make, const PresentOptions& options,
                   const std::function<void(Sink&)>& run)
{
    const TempDir dir;
    const std::string path = dir.file("out");
    {
        auto out = Output::open(path);
        const auto sink = make(**out, options);
        run(*sink);
    }
    return read_file(path);
}

std::string render_records(MakeSink make, const PresentOptions& options,
                           const std::function<void(Correlator&)>& run)
{
    return render(make, options, [&](Sink& sink) {
        Correlator correlator({}, sink);
        run(correlator);
    });
}

namespace {

void one_that_is_stuck(Correlator& to)
{
    const Socket s = client().id(90);
    tell(to, 10ms, s.connect().by(curl));
    tell(to, 11ms, s.state(State::syn_sent, State::established));
    tell(to, 12ms, s.state(State::established, State::close_wait));
    to.tell_stuck(2'000'000, 14'500'000);
}

void both_ends_here(Correlator& to)
{
    const Socket c = client().id(91);
    const Socket s = server().id(92);
    tell(to, 10ms, c.connect().by(curl));
    tell(to, 11ms, c.state(State::syn_sent, State::established));
    tell(to, 11ms, s.birth().queue(3, 0, 128));
    tell(to, 11ms, s.state(State::syn_recv, State::established));
    tell(to, 12ms, s.accept().by(nginx));
    tell(to, 13ms, c.state(State::established, State::close).error(ECONNRESET));
}

} // namespace

void tell_everything(Sink& to)
{
    Correlator::Config config;
    config.reset_reasons = {"NOT_SPECIFIED", "TCP_ABORT_ON_CLOSE"};
    config.drop_reasons = {"SKB_NOT_DROPPED_YET", "SOCKET_BACKLOG", "NO_SOCKET"};
    config.place_of = [](std::uint64_t at) { return at == place_a ? "tcp_v4_rcv+0x1a0" : ""; };
    Correlator full(config, to);
    a_listener(full);
    a_process_that_exits(full);
    client_life(full);
    server_life(full);
    an_ipv6_life(full);
    a_mapped_life(full);
    aborts_and_timeouts(full);
    connects_that_fail(full);
    from_before_us(full);
    ends_of_time_wait(full);
    an_overload(full);
    drops(full);
    time_waits_that_last(full);
    a_connect_without_port(to);
    full.lost(3, event::LostWhere::ring, 14'000'000);
    Correlator limited(on_tracepoint(), to);
    an_inferred_time_wait(limited);
    a_listener_that_is_polled(limited);
    Correlator patient({}, to);
    one_that_is_stuck(patient);
    Correlator alone({}, to);
    both_ends_here(alone);
    event::Summary summary = full.summary();
    summary.final = true;
    set_interval(summary, {}, 2'000'000);
    summary.audit = {{init_netns, "Tcp.ActiveOpens", 4, 4, ""},
                     {init_netns, "Tcp.PassiveOpens", 3, 2, "3 records lost"}};
    to.on_event({15'000'000, nullptr, {}, summary});
}

void expect_golden(const std::string& name, const std::string& text)
{
    const std::string path = std::string(TCPSAGA_GOLDEN_DIR) + "/" + name;
    if (const char* update = std::getenv("TCPSAGA_UPDATE_GOLDENS");
        update != nullptr && std::string_view(update) == "1") {
        std::ofstream(path, std::ios::binary) << text;
        return;
    }
    const auto want = lines_of(read_file(path));
    const auto have = lines_of(text);
    ASSERT_FALSE(want.empty()) << path << " is missing or empty";
    for (std::size_t i = 0; i < std::min(want.size(), have.size()); i++)
        EXPECT_EQ(have[i], want[i]) << name << ":" << i + 1;
    EXPECT_EQ(have.size(), want.size()) << name;
    EXPECT_TRUE(text == read_file(path)) << name << ": line ends differ";
}

} // namespace tcpsaga::testing
