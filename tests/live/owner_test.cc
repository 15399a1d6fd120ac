// SPDX-License-Identifier: BSD-2-Clause
/* Whose a connection is when it goes from one process to another. */
#include <map>

#include "nginx.h"
#include "saga.h"

namespace live {
namespace {

class Owners : public Live {};

/// Each is the worker's that nginx itself says has served it.
TEST_F(Owners, WorkersOfAPreforkedServer)
{
    Saga saga({"trace", "--event", "accept,close"});
    Nginx server("127.0.0.1", "", "", 3);
    wait_listening(server.port());
    Process wrk({"wrk", "-t1", "-c8", "-d1s", server.url()});
    ASSERT_EQ(wrk.wait(), 0);
    server.stop();
    const auto workers = server.workers_by_client();
    EXPECT_GE(workers.size(), 8U);
    const auto events = saga.stop();
    std::size_t compared = 0;
    for (const json& e : select(events, {{"role", "server"}})) {
        const auto worker = workers.find(e["rport"].get<std::uint16_t>());
        if (worker == workers.end())
            continue; // wrk's first one asks nothing
        EXPECT_EQ(e["pid"], worker->second) << e;
        EXPECT_NE(e["pid"], server.pid());
        EXPECT_EQ(e["comm"], "nginx") << e;
        compared++;
    }
    EXPECT_GE(compared, 16U); // accept and close of each
}

/// Of two with one port each accepts its own.
TEST_F(Owners, APairThatSharesAPort)
{
    Saga saga({"trace", "--event", "accept,close"});
    const Listening one({peer_path(), "share", "127.0.0.1", "0"});
    const Listening two({peer_path(), "share", "127.0.0.1", std::to_string(one.port)});
    const auto accepts_of = [&](const Listening& server) {
        return saga.all({{"event", "accept"}, {"pid", server.process.pid()}}).size();
    };
    int clients = 0;
    for (; clients < 200 && (accepts_of(one) == 0 || accepts_of(two) == 0); clients++) {
        Process client({peer_path(), "storm", "127.0.0.1", std::to_string(one.port), "1"});
        ASSERT_EQ(client.wait(), 0);
        saga.wait_for({{"event", "close"}, {"pid", client.pid()}});
    }
    const auto events = saga.stop();
    const auto accepts = select(events, {{"event", "accept"}});
    EXPECT_EQ(accepts.size(), clients);
    std::map<int, int> by_pid;
    for (const json& accept : accepts) {
        EXPECT_EQ(accept["pid_from"], "task") << accept;
        by_pid[accept["pid"]]++;
        const auto close = select(events, {{"event", "close"}, {"conn", accept["conn"]}});
        ASSERT_EQ(close.size(), 1U);
        EXPECT_EQ(close[0]["pid"], accept["pid"]);
        const auto peers = select(events, {{"event", "close"}, {"conn", close[0]["peer"]["conn"]}});
        ASSERT_EQ(peers.size(), 1U);
        EXPECT_EQ(peers[0]["peer"]["pid"], accept["pid"]);
    }
    EXPECT_GT(by_pid[one.process.pid()], 0);
    EXPECT_GT(by_pid[two.process.pid()], 0);
    EXPECT_EQ(by_pid.size(), 2U);
}

/// What goes on is told of the process that does it; whose the connection is, of the one that
/// accepted it.
void expect_handed_on(const std::vector<json>& events, const Listening& server, int child,
                      const std::string& comm, const std::string& last_act)
{
    const auto accepts = select(events, {{"event", "accept"}, {"lport", server.port}});
    ASSERT_EQ(accepts.size(), 1U);
    EXPECT_EQ(accepts[0]["pid"], server.process.pid());
    EXPECT_EQ(accepts[0]["pid_from"], "task");
    // Before that the child may have taken a FIN from the socket's backlog, too.
    const json last{
        {"event", "state"}, {"conn", accepts[0]["conn"]}, {"pid", child}, {"new", last_act}};
    const auto ends = select(events, last);
    ASSERT_EQ(ends.size(), 1U) << json(select(events, {{"conn", accepts[0]["conn"]}}));
    EXPECT_EQ(ends[0]["comm"], comm);
    EXPECT_EQ(ends[0]["pid_from"], "task");
    const auto closes = select(events, {{"event", "close"}, {"conn", accepts[0]["conn"]}});
    ASSERT_EQ(closes.size(), 1U);
    // The last ACK may come while the child is in the kernel yet, or not.
    const bool by_child = closes[0]["pid_from"] == "task";
    EXPECT_EQ(closes[0]["pid"], by_child ? child : server.process.pid());
    EXPECT_EQ(closes[0]["pid_from"], by_child ? "task" : "accept");
}

TEST_F(Owners, AProgramThatInetdStarts)
{
    Saga saga;
    Listening server({peer_path(), "inetd", "127.0.0.1", "0"});
    Process client({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "1"});
    int child = 0;
    ASSERT_TRUE(server.process.wait_out([&](const std::string& line) {
        return std::sscanf(line.c_str(), "child %d", &child) == 1;
    }));
    ASSERT_EQ(client.wait(), 0);
    ASSERT_EQ(server.process.wait(), 0);
    expect_handed_on(saga.stop(), server, child, "cat", "LAST_ACK");
}

TEST_F(Owners, ADescriptorThatIsPassed)
{
    Saga saga;
    Listening server({peer_path(), "pass", "127.0.0.1", "0"});
    Process client({peer_path(), "stay", "127.0.0.1", std::to_string(server.port), "1"});
    int child = 0;
    ASSERT_TRUE(server.process.wait_out([&](const std::string& line) {
        return std::sscanf(line.c_str(), "passed %d", &child) == 1;
    }));
    ASSERT_TRUE(client.wait_out([](const std::string& line) { return line == "kept"; }));
    client.send(SIGUSR1);
    ASSERT_EQ(client.wait(), 0);
    saga.wait_for({{"event", "state"}, {"lport", server.port}, {"new", "CLOSE_WAIT"}});
    server.process.send(SIGTERM); // the child ends with it
    server.process.wait();
    saga.wait_for({{"event", "close"}, {"lport", server.port}});
    expect_handed_on(saga.stop(), server, child, "peer", "CLOSE"); // with unread data
}

/// Both ends in one line, of two programs that `sockets` names alike.
TEST_F(Owners, BothEndsInOneLine)
{
    Listening server({peer_path(), "keep", "127.0.0.1", "0", "3"});
    Process client({peer_path(), "stay", "127.0.0.1", std::to_string(server.port), "3"});
    ASSERT_TRUE(server.process.wait_out([](const std::string& line) { return line == "kept"; }));
    const auto now = run({tcpsaga_path(), "sockets", "--json", "--pairs", "--netns", "self",
                          "--state", "ESTABLISHED"});
    std::istringstream lines(now.out);
    int pairs = 0;
    for (std::string line; std::getline(lines, line); pairs++) {
        const json e = json::parse(line);
        EXPECT_EQ(e["rport"], server.port) << e;
        EXPECT_EQ(e["pid"], client.pid()) << e;
        EXPECT_EQ(e["peer"]["pid"], server.process.pid()) << e;
        EXPECT_EQ(e["peer"]["state"], "ESTABLISHED") << e;
    }
    EXPECT_EQ(pairs, 3);

    Saga saga({"life", "--pairs"});
    client.send(SIGUSR1);
    ASSERT_EQ(client.wait(), 0);
    server.process.send(SIGUSR1);
    ASSERT_EQ(server.process.wait(), 0);
    Server another("127.0.0.1", {"1"});
    ASSERT_EQ(run({peer_path(), "storm", "127.0.0.1", std::to_string(another.port), "1"}).exit_code,
              0);
    ASSERT_EQ(another.process.wait(), 0);
    const auto lives = select(saga.stop(), {{"event", "close"}});
    ASSERT_EQ(lives.size(), 4U);
    for (const json& e : lives) {
        const bool late = e["rport"] == another.port;
        EXPECT_EQ(e["role"], "client") << e;
        EXPECT_EQ(e["seen_start"], late) << e;
        EXPECT_EQ(e["peer"]["pid"], late ? another.process.pid() : server.process.pid()) << e;
        EXPECT_EQ(e["peer"]["end"], "fin") << e;
        EXPECT_EQ(e["peer"].contains("accept_wait_us"), late) << e;
    }
}

/// A namespace that `ip netns` knows, and one that it does not.
TEST_F(Owners, NamespacesAreNamed)
{
    const std::string name = "tcpsaga" + std::to_string(getpid());
    ASSERT_EQ(run({"ip", "netns", "add", name}).exit_code, 0);
    EXPECT_EQ(run({"ip", "-n", name, "link", "set", "lo", "up"}).exit_code, 0);
    const auto inside = [&](std::vector<std::string> argv) {
        argv.insert(argv.begin(), {"ip", "netns", "exec", name});
        return argv;
    };
    Saga saga({"trace", "--netns", "self," + name, "--event", "listen"});
    const Listening here({peer_path(), "hold", "127.0.0.1", "0", "5"});
    const Listening there(inside({peer_path(), "hold", "127.0.0.1", "0", "6"}));
    EXPECT_FALSE(saga.wait_for({{"event", "listen"}, {"backlog", 5}}).contains("netns_name"));
    EXPECT_EQ(saga.wait_for({{"event", "listen"}, {"backlog", 6}})["netns_name"], name);
    saga.stop();
    const auto now =
        run({tcpsaga_path(), "sockets", "--json", "--netns", name, "--state", "LISTEN"});
    EXPECT_EQ(json::parse(now.out)["netns_name"], name) << now.out << now.err;
    EXPECT_EQ(run({"ip", "netns", "del", name}).exit_code, 0);
}

} // namespace
} // namespace live
