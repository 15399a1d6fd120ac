// SPDX-License-Identifier: BSD-2-Clause
/* Full queues, and the proof: what is told is what the kernel counted. */
#include <memory>
#include <set>
#include <vector>

#include "saga.h"

namespace live {
namespace {

bool sees_overflows()
{
    return has_hook("overflow_syn");
}

class Queues : public Live {
protected:
    void SetUp() override
    {
        Live::SetUp();
        if (!sees_overflows())
            GTEST_SKIP() << "SKIPPED: the " << attach() << " mechanism sees no full queue";
    }
};

/// A listener that never accepts.
struct Holder : Listening {
    /// Half-open connections go with it: nobody retransmits to it any more.
    void end()
    {
        process.send(SIGKILL);
        process.wait();
    }

    explicit Holder(int backlog, const std::string& addr = "127.0.0.1")
        : Listening({peer_path(), "hold", addr, "0", std::to_string(backlog)})
    {
    }
};

/// Clients that all connect at once; counted by how it went for them.
struct Rush {
    Rush(const Listening& to, int count, const std::string& addr = "127.0.0.1")
        : process({peer_path(), "rush", addr, std::to_string(to.port), std::to_string(count)})
    {
        process.wait_out([this](const std::string& line) {
            return std::sscanf(line.c_str(), "connected %d refused %d", &connected, &refused) == 2;
        });
        process.send(SIGKILL);
        process.wait();
    }
    Process process;
    int connected = 0;
    int refused = 0;
};

std::uint64_t packets(const std::vector<json>& overflows)
{
    std::uint64_t n = 0;
    for (const json& e : overflows)
        n += e["n"].get<std::uint64_t>();
    return n;
}

/// Those at a full accept queue. SYNs that arrive before the ACKs of earlier ones are processed
/// meet a full SYN queue: how many do so is the scheduler's.
std::vector<json> at_accept_queue(const std::vector<json>& events)
{
    return select(events, {{"event", "overflow"}, {"queue", "accept"}});
}

void expect_full_accept_queue(const std::vector<json>& overflows, const Holder& holder)
{
    EXPECT_GT(overflows.size(), 0U);
    for (const json& e : overflows) {
        EXPECT_EQ(e["pid"], holder.process.pid()) << e;
        EXPECT_EQ(e["pid_from"], "listener") << e;
        EXPECT_EQ(e["lport"], holder.port) << e;
        if (!e.contains("raddr"))
            continue; // the rest that the rate limit held back
        EXPECT_EQ(e["acceptq"], 4) << e;
        EXPECT_EQ(e["acceptq_max"], 3) << e;
    }
}

TEST_F(Queues, AFullAcceptQueueDrops)
{
    Saga saga;
    Holder holder(3);
    saga.wait_for({{"event", "listen"}});
    const Counters before = read_counters();
    {
        const Rush clients(holder, 20);
    }
    holder.end();
    const auto events = saga.stop();
    const Counters after = read_counters();
    const auto overflows = at_accept_queue(events);
    EXPECT_EQ(packets(overflows), delta(before, after, "TcpExt.ListenOverflows"));
    expect_full_accept_queue(overflows, holder);
    std::set<int> clients;
    for (const json& e : select(events, {{"event", "connect"}}))
        clients.insert(e["lport"].get<int>());
    EXPECT_EQ(clients.size(), 20U);
    for (const json& e : overflows)
        if (e.contains("rport")) {
            EXPECT_TRUE(clients.contains(e["rport"].get<int>())) << e;
        }
    expect_audit_exact(events);
}

TEST_F(Queues, AbortOnOverflowResets)
{
    set_sysctl("net/ipv4/tcp_abort_on_overflow", "1");
    set_sysctl("net/ipv4/tcp_syncookies", "0"); // a cookie's ACK is never reset
    Saga saga;
    Holder holder(3);
    saga.wait_for({{"event", "listen"}});
    const Rush clients(holder, 20);
    const auto events = saga.stop();
    const auto resets = select(events, {{"event", "overflow"}, {"action", "reset"}});
    EXPECT_EQ(packets(select(resets, {{"stage", "ack"}})), packets(resets));
    EXPECT_EQ(packets(resets), static_cast<std::uint64_t>(clients.refused));
    expect_full_accept_queue(at_accept_queue(events), holder);
    expect_audit_exact(events);
}

TEST_F(Queues, TheSameOnIpv6)
{
    Saga saga;
    Holder holder(3, "::1");
    saga.wait_for({{"event", "listen"}});
    {
        const Rush clients(holder, 20, "::1");
    }
    const auto events = saga.stop();
    const auto overflows = at_accept_queue(events);
    for (const json& e : overflows)
        EXPECT_EQ(e["family"], "ipv6") << e;
    expect_full_accept_queue(overflows, holder);
    expect_audit_exact(events);
}

/// Which of two listeners on one port turned it away.
TEST_F(Queues, EachOfAReuseportGroupIsNamed)
{
    Saga saga;
    const Listening one({peer_path(), "reuse", "127.0.0.1", "0", "3"});
    const Listening two({peer_path(), "reuse", "127.0.0.1", std::to_string(one.port), "3"});
    const Rush rush(one, 60);
    const auto overflows = at_accept_queue(saga.stop());
    std::map<pid_t, std::uint64_t> by_pid;
    for (const json& e : overflows) {
        by_pid[e["pid"].get<pid_t>()] += e["n"].get<std::uint64_t>();
        EXPECT_EQ(e["acceptq_max"], 3) << e;
    }
    EXPECT_GT(by_pid[one.process.pid()], 0U);
    EXPECT_GT(by_pid[two.process.pid()], 0U);
    EXPECT_EQ(by_pid.size(), 2U);
}

/// The child of a Fast Open is born by its SYN.
TEST_F(Queues, FastOpen)
{
    set_sysctl("net/ipv4/tcp_fastopen", "3");
    Saga saga;
    Listening server({peer_path(), "fast", "127.0.0.1", "0"});
    ASSERT_EQ(run({peer_path(), "hurry", "127.0.0.1", std::to_string(server.port)}).exit_code, 0);
    ASSERT_EQ(server.process.wait(), 0);
    const auto events = saga.stop();
    for (const char* role : {"client", "server"}) {
        const auto lives = select(events, {{"event", "close"}, {"role", role}});
        ASSERT_EQ(lives.size(), 2U);
        for (const json& life : lives) {
            EXPECT_EQ(life["tx_bytes"], 1) << life;
            EXPECT_EQ(life["rx_bytes"], 1) << life;
        }
    }
    EXPECT_EQ(select(events, {{"event", "accept"}}).size(), 2U);
    expect_audit_exact(events);
}

/// 20,000 SYNs whose senders nobody can reach.
class Flood : public Queues {
protected:
    static constexpr int syns = 20'000;
    static constexpr const char* here = "192.0.2.1"; // RFC 5737

    void SetUp() override
    {
        Queues::SetUp();
        if (IsSkipped())
            return;
        run({"ip", "link", "add", "nowhere", "type", "dummy"});
        run({"ip", "addr", "add", "192.0.2.1/24", "dev", "nowhere"});
        ASSERT_EQ(run({"ip", "link", "set", "nowhere", "up"}).exit_code, 0);
    }

    static std::vector<json> flood(Saga& saga, const Holder& holder)
    {
        const long before = saga.resident_kb();
        EXPECT_EQ(run({peer_path(), "flood", here, std::to_string(holder.port),
                       std::to_string(syns)})
                      .exit_code,
                  0);
        EXPECT_LT(saga.resident_kb() - before, 2048);
        auto events = saga.stop();
        EXPECT_EQ(events.back()["lost_ring"], 0);
        expect_audit_exact(events);
        // Not a line per packet.
        EXPECT_LT(select(events, {{"event", "overflow"}}).size(), 5000U);
        return events;
    }
};

TEST_F(Flood, CookiesAreCounted)
{
    set_sysctl("net/ipv4/tcp_syncookies", "1");
    Saga saga;
    Holder holder(128, here);
    saga.wait_for({{"event", "listen"}});
    const Counters before = read_counters();
    const auto events = flood(saga, holder);
    const Counters after = read_counters();
    const auto cookies = select(events, {{"event", "overflow"}, {"action", "cookie"}});
    EXPECT_EQ(packets(cookies), delta(before, after, "TcpExt.TCPReqQFullDoCookies"));
    EXPECT_GT(packets(cookies), syns / 2U);
    for (const json& e : cookies)
        EXPECT_EQ(e["queue"], "syn") << e;
}

TEST_F(Flood, DropsWithoutCookiesAreCounted)
{
    set_sysctl("net/ipv4/tcp_syncookies", "0");
    set_sysctl("net/ipv4/tcp_max_syn_backlog", "100000");
    Saga saga;
    Holder holder(128, here);
    saga.wait_for({{"event", "listen"}});
    const Counters before = read_counters();
    const auto events = flood(saga, holder);
    const Counters after = read_counters();
    const auto drops = select(events, {{"event", "overflow"}, {"action", "drop"}});
    EXPECT_EQ(packets(drops), delta(before, after, "TcpExt.TCPReqQFullDrop"));
    EXPECT_GT(packets(drops), syns / 2U);
}

TEST_F(Flood, MaxSynBacklogIsToldApart)
{
    set_sysctl("net/ipv4/tcp_syncookies", "0");
    set_sysctl("net/ipv4/tcp_max_syn_backlog", "64");
    Saga saga;
    Holder holder(1024, here);
    saga.wait_for({{"event", "listen"}});
    const Counters before = read_counters();
    const auto events = flood(saga, holder);
    const Counters after = read_counters();
    const auto drops = select(events, {{"event", "overflow"}, {"max_syn_backlog", true}});
    EXPECT_EQ(delta(before, after, "TcpExt.TCPReqQFullDrop"), 0U);
    EXPECT_EQ(packets(drops), delta(before, after, "TcpExt.ListenDrops"));
    EXPECT_GT(packets(drops), syns / 2U);
}

/// Half-open connections whose SYN-ACKs arrive nowhere.
TEST_F(Flood, HalfOpenConnectionsAreGivenUp)
{
    set_sysctl("net/ipv4/tcp_synack_retries", "1");
    Saga saga;
    Holder holder(128, here);
    saga.wait_for({{"event", "listen"}});
    ASSERT_EQ(run({peer_path(), "flood", here, std::to_string(holder.port), "3"}).exit_code, 0);
    int given_up = 0;
    ASSERT_TRUE(saga.process().wait_out([&](const std::string& line) {
        return (given_up += line.find("\"synack_timeout\"") != std::string::npos ? 1 : 0) == 3;
    }));
    const auto events = saga.stop();
    const auto ends = select(events, {{"event", "synack_timeout"}});
    EXPECT_EQ(ends.size(), 3U);
    for (const json& end : ends) {
        EXPECT_EQ(end["retransmits"], 1) << end;
        EXPECT_EQ(end["lport"], holder.port) << end;
        EXPECT_EQ(end["pid"], holder.process.pid()) << end;
        EXPECT_EQ(end["pid_from"], "listener") << end;
    }
    const auto again = select(events, {{"event", "retransmit"}});
    EXPECT_EQ(again.size(), 3U);
    for (const json& e : again)
        EXPECT_EQ(e["what"], "synack") << e;
    expect_audit_exact(events);
}

/// Without function hooks: by looking, and it says so.
TEST_F(Live, OverflowsArePolledWithoutHooks)
{
    if (sees_overflows())
        GTEST_SKIP() << "SKIPPED: " << attach() << " sees overflows as they happen";
    Saga saga;
    Holder holder(3);
    saga.wait_for({{"event", "listen"}});
    {
        const Rush clients(holder, 20);
    }
    const auto events = saga.stop();
    const auto overflows = select(events, {{"event", "overflow"}});
    EXPECT_GT(packets(overflows), 0U);
    const auto drops = select(events.back()["audit"], {{"counter", "TcpExt.ListenDrops"}});
    ASSERT_EQ(drops.size(), 1U);
    EXPECT_EQ(drops[0]["kernel"], drops[0]["seen"]);
    EXPECT_EQ(packets(overflows), drops[0]["kernel"]);
    for (const json& e : overflows) {
        EXPECT_EQ(e["polled"], true) << e;
        EXPECT_TRUE(e.contains("poll_ms")) << e;
        EXPECT_EQ(e["pid"], holder.process.pid()) << e;
        EXPECT_EQ(e["lport"], holder.port) << e;
        EXPECT_EQ(e["queue"], "accept") << e;
        EXPECT_EQ(e["acceptq"], 4) << e;
        EXPECT_EQ(e["acceptq_max"], 3) << e;
    }
}

/// The wait in the accept queue, against what the server itself reads from tcp_info.
TEST_F(Live, AcceptWaitIsWhatTheServerMeasures)
{
    Saga saga;
    Listening server({peer_path(), "slow", "127.0.0.1", "0", "40", "50"});
    Process clients({peer_path(), "rush", "127.0.0.1", std::to_string(server.port), "40"});
    ASSERT_EQ(server.process.wait(), 0);
    unsigned p50 = 0;
    for (const auto& line : server.process.out())
        std::sscanf(line.c_str(), "p50 %u", &p50);
    ASSERT_GT(p50, 0U);
    const auto events = saga.stop();
    ASSERT_EQ(select(events, {{"event", "accept"}}).size(), 40U);
    const json& listener = events.back()["listeners"][0];
    EXPECT_EQ(listener["lport"], server.port);
    EXPECT_EQ(listener["accepts"], 40);
    EXPECT_NEAR(listener["accept_wait_us"]["p50"].get<double>(), p50, p50 * 0.1);
    // The handshake is not in it.
    EXPECT_LT(listener["handshake_us"]["p50"], listener["accept_wait_us"]["p50"]);
}

void expect_starved(const char* how)
{
    Saga saga;
    Listening server({peer_path(), how, "127.0.0.1", "0", "16"});
    Process clients({peer_path(), "rush", "127.0.0.1", std::to_string(server.port), "30"});
    ASSERT_TRUE(clients.wait_out([](const std::string& l) {
        return l == "connected 30 refused 0";
    }));
    server.process.wait_stopped();
    server.process.send(SIGCONT);
    ASSERT_TRUE(server.process.wait_out([](const std::string& l) { return l == "failed 5"; }));
    const auto events = saga.stop();
    const auto errors = select(events, {{"event", "accept_error"}});
    EXPECT_EQ(packets(errors), 5U);
    for (const json& e : errors) {
        EXPECT_EQ(e["errno"], "EMFILE") << e;
        EXPECT_EQ(e["fd_limit"], 16) << e;
        EXPECT_EQ(e["pid"], server.process.pid()) << e;
        EXPECT_EQ(e["pid_from"], "task") << e;
        EXPECT_EQ(e["lport"], server.port) << e;
        EXPECT_GE(e["acceptq"], 30 - 16) << e;
        EXPECT_EQ(e["acceptq_max"], 1024) << e;
    }
}

TEST_F(Live, DescriptorLimitOnAccept)
{
    expect_starved("starve");
}

TEST_F(Live, DescriptorLimitOnIoUring)
{
    if (!has_hook("accept_error"))
        GTEST_SKIP() << "SKIPPED: " << attach() << " sees no io_uring accept on this kernel";
    expect_starved("uring");
}

/// Connections that come to be, that are refused and that overflow, in two namespaces at once.
TEST_F(Queues, TheAuditIsExactInTwoNamespaces)
{
    // At each of two servers, in each of two namespaces.
    const unsigned count = std::getenv("TCPSAGA_TEST_FEW") == nullptr ? 2'500 : 250;
    const int home = keep_netns();
    std::vector<std::string> inodes;
    std::vector<std::unique_ptr<Holder>> holders; // keep the namespaces, too
    std::vector<int> namespaces;
    for (int i = 0; i < 2; i++) {
        enter_new_netns();
        set_sysctl("net/ipv4/tcp_max_tw_buckets", "100000");
        namespaces.push_back(keep_netns());
        inodes.push_back(std::to_string(netns_inode()));
        holders.push_back(std::make_unique<Holder>(3));
    }
    join_netns(home);
    Saga saga({"trace", "--event", "overflow", "--netns", inodes[0] + "," + inodes[1]});
    std::vector<std::unique_ptr<Process>> storms;
    std::vector<std::unique_ptr<Server>> servers;
    for (std::size_t i = 0; i < 2; i++) {
        join_netns(namespaces[i]);
        for (const char* addr : {"127.0.0.1", "::1"}) {
            servers.push_back(std::make_unique<Server>(addr));
            storms.push_back(std::make_unique<Process>(std::vector<std::string>{
                peer_path(), "storm", addr, std::to_string(servers.back()->port),
                std::to_string(count)}));
        }
        const Rush rush(*holders[i], 20);
    }
    for (const auto& storm : storms)
        ASSERT_EQ(storm->wait(), 0);
    const auto events = saga.stop();
    expect_audit_exact(events);
    std::uint64_t opened = 0;
    std::uint64_t overflowed = 0;
    for (const json& row : events.back()["audit"]) {
        if (row["counter"] == "Tcp.ActiveOpens")
            opened += row["kernel"].get<std::uint64_t>();
        if (row["counter"] == "TcpExt.ListenOverflows")
            overflowed += row["seen"].get<std::uint64_t>();
    }
    EXPECT_EQ(opened, 4U * count + 40);
    EXPECT_EQ(packets(at_accept_queue(events)), overflowed);
    EXPECT_GT(overflowed, 0U);
}

/// Records lost on purpose: the counts stay exact, and the difference has its reason.
TEST_F(Queues, LossExplainsTheAudit)
{
    Server server("127.0.0.1");
    Saga saga({"trace", "--ring", "64K", "--audit", "strict"});
    saga.process().send(SIGSTOP);
    ASSERT_EQ(
        run({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "600"}).exit_code, 0);
    saga.process().send(SIGCONT);
    saga.wait_for({{"event", "lost"}, {"where", "ring"}});
    const auto events = saga.stop();
    bool differs = false;
    for (const json& row : events.back()["audit"])
        if (row["kernel"] != row["seen"]) {
            differs = true;
            EXPECT_NE(row["why"].get<std::string>().find("records lost"), std::string::npos) << row;
        }
    EXPECT_TRUE(differs);
}

} // namespace
} // namespace live
