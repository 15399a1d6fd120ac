// SPDX-License-Identifier: BSD-2-Clause
/* Real connections, from bind to TIME_WAIT, as the kernel and the peers report them. */
#include <sys/utsname.h>

#include <cstdlib>
#include <set>

#include "nginx.h"
#include "saga.h"

namespace live {
namespace {

/// What curl says of one download: its pid, bytes sent, bytes received.
struct Curl {
    pid_t pid;
    std::uint64_t sent, received;
};

Curl curl(const std::string& url)
{
    Process p({"curl", "-s", "-o", "/dev/null", "-w",
               "%{size_request} %{size_header} %{size_download}\n", url});
    EXPECT_EQ(p.wait(), 0) << url;
    Curl c{p.pid(), 0, 0};
    std::uint64_t header = 0;
    std::uint64_t body = 0;
    EXPECT_EQ(std::sscanf(p.out().at(0).c_str(), "%lu %lu %lu", &c.sent, &header, &body), 3);
    c.received = header + body;
    return c;
}

void expect_own_process(const json& e, pid_t pid, const std::string& comm)
{
    EXPECT_EQ(e.value("pid", 0), pid) << e;
    EXPECT_EQ(e.value("comm", ""), comm) << e;
}

/// The states of an active closer behind ESTABLISHED, and of a passive one.
void expect_endings(const std::string& client, const std::string& server)
{
    const std::string active = "FIN_WAIT1>FIN_WAIT2>TIME_WAIT";
    const std::string passive = "CLOSE_WAIT>LAST_ACK>CLOSE";
    const auto ends = [](const std::string& s, const std::string& with) {
        return s.find(">ESTABLISHED>" + with) != std::string::npos;
    };
    const bool client_first = ends(client, active) && ends(server, passive);
    const bool server_first = ends(server, active) && ends(client, passive);
    const bool both = ends(client, "FIN_WAIT1>CLOSING") || ends(server, "FIN_WAIT1>CLOSING");
    EXPECT_TRUE(client_first || server_first || both) << client << "\n" << server;
}

class Web : public Live, public testing::WithParamInterface<const char*> {
protected:
    [[nodiscard]] static bool v6() { return std::string(GetParam()) == "::1"; }
    [[nodiscard]] static std::string url(std::uint16_t port, const std::string& path)
    {
        const std::string host = v6() ? "[::1]" : GetParam();
        return "http://" + host + ":" + std::to_string(port) + path;
    }

    /// The whole story of one download, at both ends.
    static void expect_story(Saga& saga, std::uint16_t port, const Curl& c, pid_t listener_pid,
                             const std::string& listener_comm, const std::string& server_comm)
    {
        const json client_close =
            saga.wait_for({{"event", "close"}, {"role", "client"}, {"rport", port}});
        const json server_close =
            saga.wait_for({{"event", "close"}, {"role", "server"}, {"lport", port}});
        const auto events = saga.all();

        const auto listens = select(events, {{"event", "listen"}, {"lport", port}});
        ASSERT_EQ(listens.size(), 1U);
        expect_own_process(listens[0], listener_pid, listener_comm);
        EXPECT_EQ(listens[0]["pid_from"], "task");

        const auto connects = select(events, {{"event", "connect"}, {"rport", port}});
        ASSERT_EQ(connects.size(), 1U);
        expect_own_process(connects[0], c.pid, "curl");
        EXPECT_EQ(connects[0]["family"], v6() ? "ipv6" : "ipv4");
        EXPECT_EQ(connects[0]["raddr"], GetParam());
        EXPECT_GT(connects[0]["lport"], 0);

        const auto accepts = select(events, {{"event", "accept"}, {"lport", port}});
        ASSERT_EQ(accepts.size(), 1U);
        EXPECT_EQ(accepts[0]["comm"], server_comm);
        EXPECT_EQ(accepts[0]["rport"], connects[0]["lport"]);
        EXPECT_TRUE(accepts[0].contains("accept_wait_us"));
        EXPECT_TRUE(accepts[0].contains("handshake_us"));

        EXPECT_EQ(client_close["conn"], connects[0]["conn"]);
        EXPECT_EQ(server_close["conn"], accepts[0]["conn"]);
        expect_own_process(client_close, c.pid, "curl");
        expect_own_process(server_close, accepts[0]["pid"], server_comm);
        EXPECT_EQ(client_close["community_id"], server_close["community_id"]);
        EXPECT_EQ(client_close["tx_bytes"], c.sent);
        EXPECT_EQ(client_close["rx_bytes"], c.received);
        EXPECT_EQ(server_close["tx_bytes"], c.received);
        EXPECT_EQ(server_close["rx_bytes"], c.sent);
        for (const json& close : {client_close, server_close}) {
            EXPECT_EQ(close["end"], "fin");
            EXPECT_EQ(close["seen_start"], true);
        }
        // None as a rule, but a slow machine may run into the retransmission timer.
        EXPECT_EQ(client_close["retransmits"].get<std::uint64_t>() +
                      server_close["retransmits"].get<std::uint64_t>(),
                  read_counters()["Tcp.RetransSegs"]);
        expect_endings(story(events, client_close["conn"]), story(events, server_close["conn"]));
    }
};

TEST_P(Web, CurlAgainstPython)
{
    Saga saga;
    const auto port = free_port();
    Process server({"python3", "-m", "http.server", "-b", GetParam(), std::to_string(port)});
    saga.wait_for({{"event", "listen"}, {"lport", port}});
    const Curl c = curl(url(port, "/"));
    expect_story(saga, port, c, server.pid(), "python3", "python3");
    server.send(SIGKILL);
    server.wait();
    const json gone = saga.wait_for({{"event", "unlisten"}, {"lport", port}});
    EXPECT_EQ(gone["comm"], "python3");
    const auto events = saga.stop();
    EXPECT_EQ(select(events, {{"event", "lost"}}).size(), 0U);
    EXPECT_EQ(events.back()["event"], "summary");
    EXPECT_EQ(events.back()["lost"], 0);
}

TEST_P(Web, CurlAgainstNginx)
{
    Saga saga;
    Nginx server(v6() ? "[::1]" : GetParam());
    saga.wait_for({{"event", "listen"}, {"lport", server.port()}});
    const Curl c = curl(server.url());
    expect_story(saga, server.port(), c, server.pid(), "nginx", "nginx");
    // The worker accepts, not the master that listens.
    EXPECT_EQ(saga.wait_for({{"event", "accept"}, {"lport", server.port()}})["pid"],
              server.worker());
    saga.stop();
    EXPECT_EQ(server.stop(), std::to_string(c.sent) + " " + std::to_string(c.received) + "\n");
}

INSTANTIATE_TEST_SUITE_P(Family, Web, testing::Values("127.0.0.1", "::1"),
                         [](const auto& i) { return std::string(i.param) == "::1" ? "v6" : "v4"; });

/// Ten thousand short connections: every one is told, once, and the kernel agrees. On kernels in
/// between (tests/live/CMakeLists.txt) it is a thousand.
TEST_F(Live, CountsEqualTheKernels)
{
    const std::uint64_t count = std::getenv("TCPSAGA_TEST_FEW") == nullptr ? 10'000 : 1'000;
    // Past the limit the kernel forgets a FIN_WAIT2 and answers the peer's FIN with a RST.
    set_sysctl("net/ipv4/tcp_max_tw_buckets", "100000");
    Saga saga({"trace", "--event", "close"});
    Server server("127.0.0.1", {std::to_string(count)});
    const Counters before = read_counters();
    Process storm({peer_path(), "storm", "127.0.0.1", std::to_string(server.port),
                   std::to_string(count)});
    ASSERT_EQ(storm.wait(), 0);
    ASSERT_EQ(server.process.wait(), 0);
    const Counters after = read_counters();
    const auto events = saga.stop();

    const auto clients = select(events, {{"event", "close"}, {"role", "client"}});
    const auto servers = select(events, {{"event", "close"}, {"role", "server"}});
    EXPECT_EQ(clients.size(), delta(before, after, "Tcp.ActiveOpens"));
    EXPECT_EQ(servers.size(), delta(before, after, "Tcp.PassiveOpens"));
    EXPECT_EQ(clients.size(), count);
    // The kernel runs no kprobe program for what interrupts another one; it counts them.
    const auto told = events.back()["lost"].get<std::uint64_t>();
    EXPECT_EQ(told, attach() == "kprobe" ? events.back()["lost_missed"].get<std::uint64_t>() : 0);

    std::set<std::uint64_t> conns;
    for (const auto* side : {&clients, &servers})
        for (const json& e : *side) {
            conns.insert(e["conn"].get<std::uint64_t>());
            EXPECT_EQ(e["tx_bytes"], 1) << e;
            EXPECT_EQ(e["rx_bytes"], 1) << e;
            EXPECT_EQ(e["end"], "fin") << e;
            if (told == 0) {
                EXPECT_EQ(e["pid"], side == &clients ? storm.pid() : server.process.pid()) << e;
            }
        }
    EXPECT_EQ(conns.size(), 2 * count);
}

/// An IPv4 client of a dual-stack listener: IPv4 at both ends, told once.
TEST_F(Live, V4MappedIsIpv4)
{
    Saga saga;
    Server server("::", {"1"});
    Process client({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "1"});
    ASSERT_EQ(client.wait(), 0);
    ASSERT_EQ(server.process.wait(), 0);
    const auto events = saga.stop();
    const auto closes = select(events, {{"event", "close"}});
    ASSERT_EQ(closes.size(), 2U);
    for (const json& e : closes) {
        EXPECT_EQ(e["family"], "ipv4");
        EXPECT_EQ(e["laddr"], "127.0.0.1");
        EXPECT_EQ(e["raddr"], "127.0.0.1");
        EXPECT_EQ(e["netns"], netns_inode());
    }
    EXPECT_EQ(select(events, {{"event", "accept"}}).size(), 1U);
    EXPECT_EQ(select(events, {{"old", "LISTEN"}, {"new", "SYN_RECV"}}).size(), 1U);
}

bool kernel_has_reset_reasons()
{
    utsname u{};
    uname(&u);
    int major = 0;
    int minor = 0;
    std::sscanf(u.release, "%d.%d", &major, &minor);
    return major > 6 || (major == 6 && minor >= 12);
}

TEST_F(Live, RefusedConnect)
{
    Saga saga;
    const auto port = free_port();
    Process client({peer_path(), "storm", "127.0.0.1", std::to_string(port), "1"});
    ASSERT_EQ(client.wait(), 1);
    const auto events = saga.stop();
    const auto errors = select(events, {{"event", "connect_error"}});
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_EQ(errors[0]["errno"], "ECONNREFUSED");
    EXPECT_EQ(errors[0]["rport"], port);
    EXPECT_EQ(errors[0]["pid"], client.pid());
    const auto closes = select(events, {{"event", "close"}});
    ASSERT_EQ(closes.size(), 1U);
    EXPECT_EQ(closes[0]["end"], "refused");
    for (const json& e : events)
        EXPECT_NE(e.value("lport", 1), 0) << e;
}

/// close() with unread data resets the peer; the reason is the running kernel's own word.
TEST_F(Live, ResetWithItsReason)
{
    Saga saga;
    Server server("127.0.0.1", {"1"});
    Process client({peer_path(), "abort", "127.0.0.1", std::to_string(server.port)});
    ASSERT_EQ(client.wait(), 0);
    saga.wait_for({{"event", "close"}, {"role", "server"}});
    const auto events = saga.stop();
    const auto sent = select(events, {{"event", "reset"}, {"dir", "sent"}});
    const auto received = select(events, {{"event", "reset"}, {"dir", "received"}});
    ASSERT_EQ(sent.size(), 1U);
    ASSERT_EQ(received.size(), 1U);
    EXPECT_EQ(sent[0]["pid"], client.pid());
    EXPECT_EQ(sent[0]["rport"], server.port);
    EXPECT_EQ(received[0]["lport"], server.port);
    EXPECT_EQ(received[0]["role"], "server");
    // struct sk_rst_reason came with the tracepoint's third argument, in Linux 6.12.
    if (kernel_has_reset_reasons()) {
        EXPECT_EQ(sent[0]["reason"], "TCP_ABORT_ON_CLOSE");
    } else {
        EXPECT_FALSE(sent[0].contains("reason"));
    }
    const auto ends = select(events, {{"event", "close"}});
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_EQ(ends[ends[0]["role"] == "client" ? 0 : 1]["end"], "aborted");
    EXPECT_EQ(ends[ends[0]["role"] == "client" ? 1 : 0]["end"], "rst_received");
}

/// TIME_WAIT keeps the connection's id until a new SYN takes the 4-tuple over.
TEST_F(Live, TimeWaitEndsUnderTheSameId)
{
    if (!sees_time_wait_exit())
        GTEST_SKIP() << "SKIPPED: the " << attach()
                     << " mechanism has no hook for the end of TIME_WAIT";
    // The tracer lives in another namespace than the traffic, which can then be removed.
    const int home = keep_netns();
    enter_new_netns();
    const int away = keep_netns();
    const std::string inode = std::to_string(netns_inode());
    join_netns(home);
    Saga saga({"trace", "--netns", inode});
    join_netns(away);

    Server server("127.0.0.1", {"1"});
    Process client({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "1"});
    ASSERT_EQ(client.wait(), 0);
    ASSERT_EQ(server.process.wait(), 0);
    const json close = saga.wait_for({{"event", "close"}, {"role", "client"}});
    saga.wait_for({{"event", "state"}, {"new", "TIME_WAIT"}, {"conn", close["conn"]}});
    enter_new_netns(); // the old one goes, and its TIME_WAIT sockets with it
    const json out = saga.wait_for({{"event", "time_wait"}});
    EXPECT_EQ(out["conn"], close["conn"]);
    EXPECT_EQ(out["why"], "purged");
    EXPECT_TRUE(out.contains("held_ms"));
    const auto events = saga.stop();
    EXPECT_EQ(story(events, close["conn"]),
              "CLOSE>SYN_SENT>ESTABLISHED>FIN_WAIT1>FIN_WAIT2>TIME_WAIT>CLOSE");
}

} // namespace
} // namespace live
