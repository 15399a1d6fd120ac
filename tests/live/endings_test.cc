// SPDX-License-Identifier: BSD-2-Clause
/* How connections end, and those that never came to be. */
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>

#include "saga.h"

namespace live {
namespace {

class Endings : public Live {};

/// Nobody answers: each SYN is told, and the kernel counts as many.
TEST_F(Endings, SynsThatAreLost)
{
    // RFC 5737. What goes there comes in again and is nobody's: dropped without a word.
    ASSERT_EQ(run({"ip", "route", "add", "192.0.2.0/24", "dev", "lo"}).exit_code, 0);
    set_sysctl("net/ipv4/tcp_syn_retries", "1");
    Saga saga;
    Process client({peer_path(), "storm", "192.0.2.7", "80", "1"});
    EXPECT_EQ(client.wait(), 1);
    const json end = saga.wait_for({{"event", "close"}});
    EXPECT_EQ(end["end"], "timeout");
    // How many tcp_syn_retries allows differs by kernel: 6.5 began to count anew.
    const auto sent = read_counters()["TcpExt.TCPSynRetrans"];
    EXPECT_GT(sent, 0U);
    EXPECT_EQ(end["retransmits"], sent);
    EXPECT_GE(end["duration_us"], 2'000'000);
    const auto events = saga.stop();
    const auto again = select(events, {{"event", "retransmit"}});
    ASSERT_EQ(again.size(), sent);
    for (std::size_t i = 0; i < sent; i++) {
        EXPECT_EQ(again[i]["what"], "syn");
        EXPECT_EQ(again[i]["nth"], i + 1);
        EXPECT_EQ(again[i]["conn"], end["conn"]);
        EXPECT_FALSE(again[i].contains("errno"));
    }
    const auto errors = select(events, {{"event", "connect_error"}});
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_EQ(errors[0]["errno"], "ETIMEDOUT");
    EXPECT_EQ(errors[0]["pid"], client.pid());
    expect_audit_exact(events);
}

/// This host itself refuses to send the SYNs.
TEST_F(Endings, SynsThatAreRefusedHere)
{
    if (run({"nft", "add", "table", "inet", "t"}).exit_code != 0)
        GTEST_SKIP() << "SKIPPED: this kernel has no nftables";
    run({"nft", "add", "chain", "inet", "t", "out", "{ type filter hook output priority 0; }"});
    ASSERT_EQ(
        run({"nft", "add", "rule", "inet", "t", "out", "tcp", "dport", "81", "drop"}).exit_code, 0);
    set_sysctl("net/ipv4/tcp_syn_retries", "1");
    Saga saga;
    EXPECT_EQ(run({peer_path(), "storm", "127.0.0.1", "81", "1"}).exit_code, 1);
    const auto events = saga.stop();
    const auto again = select(events, {{"event", "retransmit"}});
    if (has_hook("retransmit")) {
        EXPECT_EQ(again.size(), read_counters()["TcpExt.TCPSynRetrans"]);
        EXPECT_GT(again.size(), 0U);
    }
    for (const json& e : again)
        EXPECT_EQ(e["errno"], "EPERM") << e;
    expect_audit_exact(events);
}

/// The first SYN waits for a neighbor's address, so that it is not sent again: since 6.15 the
/// tracepoint tells of that, too.
TEST_F(Endings, ANeighborThatIsSilent)
{
    ASSERT_EQ(run({"ip", "link", "add", "near", "type", "veth", "peer", "name", "far"}).exit_code,
              0);
    run({"ip", "addr", "add", "192.0.2.1/24", "dev", "near"});
    for (const char* end : {"near", "far"})
        run({"ip", "link", "set", end, "up"});
    Saga saga;
    EXPECT_EQ(run({peer_path(), "storm", "192.0.2.77", "81", "1"}).exit_code, 1);
    const auto events = saga.stop();
    const auto errors = select(events, {{"event", "connect_error"}});
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_EQ(errors[0]["errno"], "EHOSTUNREACH");
    const auto again = select(events, {{"event", "retransmit"}});
    EXPECT_EQ(again.size(), read_counters()["TcpExt.TCPSynRetrans"]) << json(again);
    expect_audit_exact(events);
    for (const json& row : events.back()["audit"])
        if (row["counter"] == "Tcp.RetransSegs") {
            EXPECT_EQ(row["seen"], row["kernel"]) << row;
        }
}

/// Lines of `ss` for this destination.
int count_by_ss(const std::string& state, std::uint16_t port)
{
    const std::string out =
        run({"ss", "-Htn", "state", state, "dst", "127.0.0.1:" + std::to_string(port)}).out;
    return static_cast<int>(std::ranges::count(out, '\n'));
}

/// Twelve ports, seven of which are in TIME_WAIT and five in use: as ss counts them.
TEST_F(Endings, PortsTakenAreCountedAsBySs)
{
    if (!has_hook("connect_error"))
        GTEST_SKIP() << "SKIPPED: " << attach() << " sees no connect that has no port";
    Saga saga;
    Server server("127.0.0.1");
    set_sysctl("net/ipv4/ip_local_port_range", "40000 40011");
    set_sysctl("net/ipv4/tcp_tw_reuse", "0");
    ASSERT_EQ(run({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "7"}).exit_code,
              0);
    Process held({peer_path(), "rush", "127.0.0.1", std::to_string(server.port), "5"});
    held.wait_out([](const std::string& l) { return l == "connected 5 refused 0"; });
    Process refused({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "1"});
    EXPECT_EQ(refused.wait(), 1);
    const json error = saga.wait_for({{"event", "connect_error"}});
    EXPECT_EQ(error["errno"], "EADDRNOTAVAIL");
    EXPECT_EQ(error["raddr"], "127.0.0.1");
    EXPECT_EQ(error["rport"], server.port);
    EXPECT_EQ(error["pid"], refused.pid());
    EXPECT_EQ(error["port_range"], json({40000, 40011}));
    EXPECT_EQ(error["ports_time_wait"], 7);
    EXPECT_EQ(error["ports_live"], 5);
    EXPECT_EQ(error["ports_time_wait"], count_by_ss("time-wait", server.port));
    EXPECT_EQ(error["ports_live"], count_by_ss("established", server.port));
    expect_audit_exact(saga.stop());
}

/// One port, and a TIME_WAIT on it: no port is left, until it may be used again.
TEST_F(Endings, PortsThatAreAllTaken)
{
    const bool why_is_seen = has_hook("connect_error");
    Saga saga;
    Server server("127.0.0.1", {"2"}); // has its own port before there is only one
    set_sysctl("net/ipv4/ip_local_port_range", "40000 40000");
    set_sysctl("net/ipv4/tcp_tw_reuse", "0");
    const std::vector<std::string> connect{peer_path(), "storm", "127.0.0.1",
                                           std::to_string(server.port), "1"};
    ASSERT_EQ(run(connect).exit_code, 0);
    const json first = saga.wait_for({{"event", "close"}, {"role", "client"}});
    Process refused(connect);
    ASSERT_EQ(refused.wait(), 1);
    const json error = saga.wait_for({{"event", "connect_error"}});
    EXPECT_EQ(error["pid"], refused.pid());
    EXPECT_EQ(error["raddr"], "127.0.0.1");
    EXPECT_EQ(error["rport"], server.port);
    EXPECT_FALSE(error.contains("lport"));
    if (why_is_seen) {
        EXPECT_EQ(error["errno"], "EADDRNOTAVAIL");
        EXPECT_EQ(error["port_range"], json({40000, 40000}));
        EXPECT_EQ(error["ports_time_wait"], 1);
        EXPECT_EQ(error["ports_live"], 0);
    }
    // It may after a second (net/ipv4/tcp_ipv4.c, tcp_twsk_unique).
    set_sysctl("net/ipv4/tcp_tw_reuse", "1");
    int errors = 1;
    while (run(connect).exit_code != 0)
        errors++;
    const auto events = saga.stop();
    EXPECT_EQ(select(events, {{"event", "connect_error"}}).size(), errors);
    if (sees_time_wait_exit()) {
        const auto out = select(events, {{"event", "time_wait"}});
        ASSERT_EQ(out.size(), 1U);
        EXPECT_EQ(out[0]["why"], "reused");
        EXPECT_EQ(out[0]["conn"], first["conn"]);
    }
    expect_audit_exact(events);
}

/// No route: there is nothing but the error.
TEST_F(Endings, ConnectWithoutARoute)
{
    if (!has_hook("connect_error"))
        GTEST_SKIP() << "SKIPPED: " << attach() << " sees no connect that has no route";
    Saga saga;
    Process v4({peer_path(), "storm", "192.0.2.7", "80", "1"});
    Process v6({peer_path(), "storm", "2001:db8::7", "80", "1"});
    EXPECT_EQ(v4.wait() + v6.wait(), 2);
    const auto events = saga.stop();
    ASSERT_EQ(events.size(), 3U); // and the summary
    for (const json& e : {events[0], events[1]}) {
        EXPECT_EQ(e["event"], "connect_error") << e;
        EXPECT_EQ(e["errno"], "ENETUNREACH") << e;
        EXPECT_EQ(e["pid"], e["family"] == "ipv4" ? v4.pid() : v6.pid()) << e;
        EXPECT_EQ(e["raddr"], e["family"] == "ipv4" ? "192.0.2.7" : "2001:db8::7") << e;
        EXPECT_EQ(e["rport"], 80) << e;
    }
}

TEST_F(Endings, NoRoomForTimeWait)
{
    if (!has_hook("time_wait"))
        GTEST_SKIP() << "SKIPPED: " << attach() << " does not see tcp_max_tw_buckets overflow";
    set_sysctl("net/ipv4/tcp_max_tw_buckets", "10");
    Saga saga;
    Server server("127.0.0.1", {"50"});
    Process client({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "50"});
    ASSERT_EQ(client.wait(), 0);
    ASSERT_EQ(server.process.wait(), 0);
    const auto events = saga.stop();
    const auto overflows = select(events, {{"event", "time_wait"}, {"why", "overflow"}});
    EXPECT_GT(overflows.size(), 0U);
    EXPECT_EQ(overflows.size(), read_counters()["TcpExt.TCPTimeWaitOverflow"]);
    EXPECT_EQ(select(events, {{"event", "close"}, {"role", "client"}}).size(), 50U);
    expect_audit_exact(events);
}

TEST_F(Endings, AProcessThatDiesIsNoClose)
{
    Saga saga;
    Server server("127.0.0.1", {"1"});
    Process client({peer_path(), "rush", "127.0.0.1", std::to_string(server.port), "1"});
    client.wait_out([](const std::string& l) { return l == "connected 1 refused 0"; });
    client.send(SIGKILL);
    client.wait();
    const json end = saga.wait_for({{"event", "close"}, {"role", "client"}});
    EXPECT_EQ(end["end"], "process_exit");
    EXPECT_EQ(end["closed_by"], "local");
    EXPECT_EQ(end["pid"], client.pid());
    const json other = saga.wait_for({{"event", "close"}, {"role", "server"}});
    EXPECT_EQ(other["closed_by"], "remote");
    EXPECT_EQ(other["end"], "fin");
}

/// A server that never closes: its peer's FIN is in, its own is not out.
TEST_F(Endings, ACloseWaitThatStays)
{
    Saga saga({"trace", "--stuck", "0.3"});
    Listening server({peer_path(), "hold", "127.0.0.1", "0", "5"});
    ASSERT_EQ(
        run({"bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/" + std::to_string(server.port)}).exit_code,
        0);
    const json stuck = saga.wait_for({{"event", "stuck"}, {"role", "server"}});
    EXPECT_EQ(stuck["state"], "CLOSE_WAIT");
    EXPECT_GE(stuck["us"], 300'000);
    EXPECT_EQ(stuck["pid"], server.process.pid());
    EXPECT_EQ(stuck["lport"], server.port);
    const auto events = saga.stop();
    EXPECT_EQ(select(events, {{"event", "stuck"}, {"role", "server"}}).size(), 1U);
}

/// Connections in another namespace than the tracer's, whose end is the namespace's.
class Away : public Live {
protected:
    void SetUp() override
    {
        Live::SetUp();
        if (!sees_time_wait_exit()) {
            GTEST_SKIP() << "SKIPPED: the " << attach()
                         << " mechanism has no hook for the end of TIME_WAIT";
        }
        home_ = keep_netns();
        enter_new_netns();
        set_sysctl("net/ipv4/tcp_max_tw_buckets", "100000");
        set_sysctl("net/ipv4/tcp_tw_reuse", "0"); // on for loopback by default
        away_ = keep_netns();
        inode_ = std::to_string(netns_inode());
        join_netns(home_);
    }
    void go_there() { join_netns(away_); }
    [[nodiscard]] const std::string& inode() const { return inode_; }

    /// Asks for the nth summary.
    static json summary_on_demand(Saga& saga, int nth)
    {
        saga.process().send(SIGUSR1);
        json summary;
        saga.process().wait_out([&](const std::string& line) {
            if (line.find(R"("event":"summary")") == std::string::npos)
                return false;
            summary = parse_event(line);
            return --nth == 0;
        });
        return summary;
    }

    static std::uint16_t close_actively(int count)
    {
        Server server("127.0.0.1", {std::to_string(count)});
        Process client({peer_path(), "storm", "127.0.0.1", std::to_string(server.port),
                        std::to_string(count)});
        EXPECT_EQ(client.wait(), 0);
        EXPECT_EQ(server.process.wait(), 0);
        return server.port;
    }

private:
    int home_ = -1;
    int away_ = -1;
    std::string inode_;
};

TEST_F(Away, EveryTimeWaitIsToldInAndOut)
{
    constexpr std::uint64_t count = 2'000;
    Saga saga({"trace", "--event", "time_wait,state", "--state", "TIME_WAIT", "--netns", inode()});
    go_there();
    const auto port = close_actively(count);
    const json now = summary_on_demand(saga, 1);
    EXPECT_GE(now["time_wait_alive"].get<std::uint64_t>() + now["lost_missed"].get<std::uint64_t>(),
              count);
    EXPECT_EQ(now["time_waits"][0]["n"], now["time_wait_alive"]);
    EXPECT_EQ(now["time_waits"][0]["raddr"], "127.0.0.1");
    EXPECT_EQ(now["time_waits"][0]["rport"], port);
    expect_audit_exact({now});
    enter_new_netns(); // the old one goes, and its TIME_WAIT sockets with it
    for (int i = 2; i < 600; i++) {
        const json then = summary_on_demand(saga, i);
        if (then["time_wait_alive"] <= then["lost_missed"])
            break;
    }
    const auto events = saga.stop();
    for (const json& e : select(events, {{"event", "time_wait"}}))
        EXPECT_EQ(e["why"], "purged") << e;
    if (events.back()["lost"] == 0) {
        EXPECT_EQ(select(events, {{"event", "state"}, {"new", "TIME_WAIT"}}).size(), count);
        EXPECT_EQ(select(events, {{"event", "state"}, {"old", "TIME_WAIT"}}).size(), count);
        if (has_hook("time_wait")) {
            EXPECT_EQ(events.back()["time_wait_in"], count);
        }
        EXPECT_EQ(events.back()["time_wait_out"], count);
    }
}

/// TCP_TIMEWAIT_LEN (include/net/tcp.h).
TEST_F(Away, ATimeWaitLastsAMinute)
{
    if (std::getenv("TCPSAGA_TEST_SLOW") == nullptr)
        GTEST_SKIP() << "SKIPPED: takes a minute; live_5.10_minute and live_7_minute run it";
    constexpr std::uint64_t count = 20;
    Saga saga({"trace", "--event", "time_wait", "--netns", inode()});
    go_there();
    close_actively(count);
    std::uint64_t gone = 0;
    ASSERT_TRUE(saga.process().wait_out([&](const std::string&) { return ++gone == count; }));
    const Counters counters = read_counters();
    const auto events = saga.stop();
    for (const json& e : select(events, {{"event", "time_wait"}})) {
        EXPECT_EQ(e["why"], "expired") << e;
        // At 250 Hz a timer that far away fires up to 512 jiffies late (kernel/time/timer.c).
        EXPECT_GE(e["held_ms"], 59'990) << e;
        EXPECT_LE(e["held_ms"], 60'000 + 2'048 + 400) << e;
    }
    EXPECT_EQ(counters.at("TcpExt.TW"), count);
    expect_audit_exact(events);
}

// ---- every way to end --------------------------------------------------------------------------

struct Way {
    const char* how; ///< of peer's client
    bool silence;    ///< from "ready" on nothing reaches the server
    const char* end; ///< at the client
    const char* why;
    const char* server; ///< its end; "": it hears nothing
};

constexpr Way ways[] = {{"linger", false, "aborted", "linger", "rst_received"},
                        {"unread", false, "aborted", "unread_data", "rst_received"},
                        {"unspec", false, "aborted", "disconnect", "rst_received"},
                        {"killed", false, "aborted", "killed", "rst_received"},
                        {"keepalive", true, "timeout", "keepalive", ""},
                        {"user_timeout", true, "timeout", "user_timeout", ""},
                        {"retries", true, "timeout", "retransmission", ""},
                        {"orphan", true, "timeout", "orphan", ""},
                        {"memory", true, "aborted", "memory", ""},
                        {"linger2", false, "aborted", "linger2", ""}};

bool drop_to(std::uint16_t port)
{
    run({"nft", "add", "table", "inet", "t"});
    run({"nft", "add", "chain", "inet", "t", "in", "{ type filter hook input priority 0; }"});
    return run({"nft", "add", "rule", "inet", "t", "in", "tcp", "dport", std::to_string(port),
                "drop"})
               .exit_code == 0;
}

/// The whole machine's net.ipv4.tcp_max_orphans, for a while.
class FewOrphans {
public:
    FewOrphans() { write("0"); }
    ~FewOrphans() { write(before_); }
    FewOrphans(const FewOrphans&) = delete;
    FewOrphans& operator=(const FewOrphans&) = delete;

private:
    static std::string sysctl(const std::string& command)
    {
        return run({"nsenter", "-t", "1", "-n", "sh", "-c", command}).out;
    }
    static void write(const std::string& n) { sysctl("echo " + n + " >" + path); }

    static constexpr const char* path = "/proc/sys/net/ipv4/tcp_max_orphans";
    static std::string read()
    {
        std::string n = sysctl(std::string("cat ").append(path));
        return n.substr(0, n.find('\n'));
    }
    std::string before_ = read();
};

/// One connection that ends so, as told. False: this machine cannot end one so.
bool end_one(Saga& saga, const Way& way)
{
    const std::string how = way.how;
    std::optional<FewOrphans> few;
    if (how == "memory") {
        if (std::getenv("TCPSAGA_VM") == nullptr)
            return false; // tcp_max_orphans is the whole machine's; the VMs run it
        few.emplace();
    }
    Server server("127.0.0.1");
    const auto port = std::to_string(server.port);
    Process client({peer_path(), "client", "127.0.0.1", port, how});
    EXPECT_TRUE(client.wait_out([](const std::string& l) { return l == "ready"; }));
    if (way.silence) {
        EXPECT_TRUE(drop_to(server.port));
    }
    client.send(SIGUSR1);
    const bool can =
        how != "killed" ||
        run({"ss", "-K", "dport", "=", ":" + port}).out.find("127.0.0.1") != std::string::npos;
    if (!can) // this kernel has no CONFIG_INET_DIAG_DESTROY
        client.send(SIGKILL);
    const json end =
        saga.wait_for({{"event", "close"}, {"role", "client"}, {"rport", server.port}});
    if (!can)
        return false;
    EXPECT_EQ(end["end"], way.end) << end;
    EXPECT_EQ(end["why"], way.why) << end;
    EXPECT_EQ(end["pid"], std::string(way.why) == "killed" ? end["pid"] : json(client.pid()));
    if (*way.server != '\0') {
        const json other =
            saga.wait_for({{"event", "close"}, {"role", "server"}, {"lport", server.port}});
        EXPECT_EQ(other["end"], way.server) << other;
        EXPECT_EQ(other["pid"], server.process.pid());
    }
    client.send(SIGKILL);
    client.wait();
    return true;
}

/// One after the other, before one tracer: to start it takes an emulated kernel some seconds.
TEST_F(Endings, EachWayIsTold)
{
    set_sysctl("net/ipv4/tcp_retries2", "2");
    set_sysctl("net/ipv4/tcp_orphan_retries", "1");
    Saga saga;
    std::size_t ended = 0;
    for (const Way& way : ways) {
        SCOPED_TRACE(way.how);
        if (end_one(saga, way))
            ended++;
        else
            std::printf("SKIPPED: %s cannot be had here\n", way.how);
    }
    const auto events = saga.stop();
    EXPECT_GE(ended + 2, std::size(ways)); // "killed" and "memory" are not everywhere
    EXPECT_EQ(select(events, {{"event", "close"}, {"role", "client"}}).size(),
              read_counters()["Tcp.ActiveOpens"]);
    expect_audit_exact(events);
}

/// The kernel treats its own socket as if a RST had come in, before it sends one.
TEST_F(Endings, DataAfterClose)
{
    Saga saga;
    Listening server({peer_path(), "parting", "127.0.0.1", "0"});
    Process client({peer_path(), "client", "127.0.0.1", std::to_string(server.port), "leave"});
    ASSERT_TRUE(client.wait_out([](const std::string& l) { return l == "ready"; }));
    client.send(SIGUSR1);
    ASSERT_EQ(client.wait(), 0);
    ASSERT_EQ(server.process.wait(), 0);
    const auto events = saga.stop();
    const auto closes = select(events, {{"event", "close"}});
    const auto resets = select(events, {{"event", "reset"}});
    ASSERT_EQ(closes.size(), 2U);
    ASSERT_EQ(resets.size(), 2U);
    for (const json& e : closes) {
        const bool left = e["role"] == "client";
        EXPECT_EQ(e["end"], left ? "rst_sent" : "rst_received") << e;
        EXPECT_EQ(e.value("why", ""), left ? "data_after_close" : "") << e;
        EXPECT_EQ(e["closed_by"], left ? "local" : "remote") << e;
        const auto its = select(resets, {{"conn", e["conn"]}});
        ASSERT_EQ(its.size(), 1U) << e;
        EXPECT_EQ(its[0]["dir"], left ? "sent" : "received") << its[0];
    }
    expect_audit_exact(events);
}

/// A router says no.
TEST_F(Endings, UnreachableByIcmp)
{
    run({"nft", "add", "table", "inet", "t"});
    run({"nft", "add", "chain", "inet", "t", "in", "{ type filter hook input priority 0; }"});
    if (run({"nft", "add", "rule", "inet", "t", "in", "tcp", "dport", "81", "reject", "with",
             "icmp", "type", "host-prohibited"})
            .exit_code != 0)
        GTEST_SKIP() << "SKIPPED: this kernel's nftables cannot reject";
    Saga saga;
    Process client({peer_path(), "storm", "127.0.0.1", "81", "1"});
    EXPECT_EQ(client.wait(), 1);
    const auto events = saga.stop();
    const auto errors = select(events, {{"event", "connect_error"}});
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_EQ(errors[0]["errno"], "EHOSTUNREACH");
    EXPECT_EQ(errors[0]["pid"], client.pid());
    const auto ends = select(events, {{"event", "close"}});
    ASSERT_EQ(ends.size(), 1U);
    EXPECT_EQ(ends[0]["end"], "unreachable");
    expect_audit_exact(events);
}

/// EADDRINUSE, by bind() and by listen().
TEST_F(Endings, AnAddressThatIsTaken)
{
    if (!has_hook("bind_error"))
        GTEST_SKIP() << "SKIPPED: " << attach() << " sees no failed bind() or listen()";
    Saga saga;
    Process peer({peer_path(), "clash", "127.0.0.1"});
    ASSERT_EQ(peer.wait(), 0);
    int bound = 0;
    int listened = 0;
    int port = 0;
    ASSERT_EQ(std::sscanf(peer.out().at(0).c_str(), "bind %d listen %d port %d", &bound, &listened,
                          &port),
              3);
    EXPECT_EQ(bound, EADDRINUSE);
    EXPECT_EQ(listened, EADDRINUSE);
    const auto events = saga.stop();
    for (const char* kind : {"bind_error", "listen_error"}) {
        const auto errors = select(events, {{"event", kind}});
        ASSERT_EQ(errors.size(), 1U) << kind;
        EXPECT_EQ(errors[0]["errno"], "EADDRINUSE");
        EXPECT_EQ(errors[0]["laddr"], "127.0.0.1");
        EXPECT_EQ(errors[0]["lport"], port);
        EXPECT_EQ(errors[0]["pid"], peer.pid());
    }
}

/// A client that ends its connections at random: every one has its end, and the counts agree.
TEST_F(Endings, RandomEndings)
{
    const int count = std::getenv("TCPSAGA_TEST_SLOW") == nullptr ? 2'000 : 10'000;
    set_sysctl("net/ipv4/tcp_max_tw_buckets", "100000");
    Saga saga({"trace", "--event", "close"});
    Server server("127.0.0.1", {std::to_string(count)});
    Process client({peer_path(), "fuzz", "127.0.0.1", std::to_string(server.port),
                    std::to_string(count), "1"});
    ASSERT_EQ(client.wait(), 0);
    ASSERT_EQ(server.process.wait(), 0);
    const auto events = saga.stop();
    expect_audit_exact(events);
    for (const char* role : {"client", "server"}) {
        const auto closes = select(events, {{"event", "close"}, {"role", role}});
        EXPECT_EQ(closes.size(), count) << role << " " << events.back();
        const std::set<std::string> possible{"fin", "aborted", "rst_received", "rst_sent"};
        for (const json& e : closes)
            EXPECT_TRUE(possible.contains(e["end"])) << e;
    }
}

} // namespace
} // namespace live
