// SPDX-License-Identifier: BSD-2-Clause
/* Connections that were there before us, in several network namespaces, and both their ends. */
#include <map>
#include <memory>
#include <set>

#include "saga.h"

namespace live {
namespace {

/// A server and a client that hold connections between them.
struct Pair {
    Pair(const std::string& addr, int count)
        : server({peer_path(), "keep", addr, "0", std::to_string(count)}),
          client({peer_path(), "stay", addr, std::to_string(server.port), std::to_string(count)})
    {
    }
    void wait_kept()
    {
        const auto kept = [](const std::string& line) { return line == "kept"; };
        client.wait_out(kept);
        server.process.wait_out(kept);
    }
    /// The client closes first.
    void part()
    {
        client.send(SIGUSR1);
        client.wait();
        server.process.send(SIGUSR1);
        server.process.wait();
    }
    Listening server;
    Process client;
};

class Before : public Live {
protected:
    void SetUp() override
    {
        Live::SetUp();
        home_ = keep_netns();
    }
    /// A new namespace; the caller is back home afterwards.
    std::string new_netns()
    {
        enter_new_netns();
        rooms_.push_back(keep_netns());
        const std::string inode = std::to_string(netns_inode());
        join_netns(dup(home_));
        return inode;
    }
    void go_to(std::size_t room) { join_netns(dup(rooms_.at(room))); }
    void go_home() { join_netns(dup(home_)); }

    int home_ = -1;
    std::vector<int> rooms_;
};

/// Each of 1,000 is known with its process, and ends once, with its bytes.
TEST_F(Before, AThousandInThreeNamespaces)
{
    constexpr int counts[] = {334, 333, 333};
    std::string wanted = std::to_string(netns_inode());
    std::vector<std::unique_ptr<Pair>> pairs;
    for (std::size_t i = 0; i < 3; i++) {
        if (i > 0) {
            wanted += "," + new_netns();
            go_to(i - 1);
        }
        pairs.push_back(std::make_unique<Pair>(i == 2 ? "::1" : "127.0.0.1", counts[i]));
        pairs.back()->wait_kept();
        go_home();
    }
    // Some come and go while it starts.
    Server server("127.0.0.1", {"300"});
    Process storm({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "300"});
    Saga saga({"trace", "--netns", wanted});
    ASSERT_EQ(storm.wait(), 0);
    ASSERT_EQ(server.process.wait(), 0);
    for (const auto& pair : pairs)
        pair->part();
    const auto events = saga.stop();
    std::map<std::uint64_t, int> closes;
    for (const json& e : select(events, {{"event", "close"}}))
        EXPECT_EQ(++closes[e["conn"]], 1) << e;
    for (std::size_t i = 0; i < 3; i++) {
        Pair& pair = *pairs[i];
        for (const bool is_client : {true, false}) {
            const auto ends =
                select(events,
                       {{"event", "close"},
                        {"pid", is_client ? pair.client.pid() : pair.server.process.pid()}});
            EXPECT_EQ(ends.size(), counts[i]);
            for (const json& e : ends) {
                EXPECT_EQ(e["seen_start"], false) << e;
                EXPECT_EQ(e["tx_bytes"], is_client ? 1 : 0) << e;
                EXPECT_EQ(e["rx_bytes"], is_client ? 0 : 1) << e;
                EXPECT_EQ(e["role"], is_client ? "client" : "server") << e;
                EXPECT_EQ(e["end"], "fin") << e;
                EXPECT_EQ(e["peer"]["pid"],
                          is_client ? pair.server.process.pid() : pair.client.pid())
                    << e;
            }
        }
    }
    expect_audit_exact(events);
}

/// All are paired, on loopback and between namespaces.
TEST_F(Before, BothEndsAreNamed)
{
    constexpr int count = 500;
    const std::string there = new_netns();
    const std::string here = std::to_string(netns_inode());
    go_to(0);
    Process there_too({"sleep", "60"});
    go_home();
    ASSERT_EQ(run({"ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns",
                   std::to_string(there_too.pid())})
                  .exit_code,
              0);
    for (const bool remote : {false, true}) {
        if (remote)
            go_to(0);
        const std::string dev = remote ? "v1" : "v0";
        run({"ip", "addr", "add", remote ? "10.9.9.2/24" : "10.9.9.1/24", "dev", dev});
        run({"ip", "link", "set", dev, "up"});
    }
    go_home();
    Saga saga({"trace", "--netns", here + "," + there, "--event", "close"});
    Server local("127.0.0.1", {std::to_string(count)});
    Process local_client({peer_path(), "storm", "127.0.0.1", std::to_string(local.port),
                          std::to_string(count)});
    ASSERT_EQ(local_client.wait(), 0);
    ASSERT_EQ(local.process.wait(), 0);
    go_to(0);
    Server far("10.9.9.2", {std::to_string(count)});
    go_home();
    Process client({peer_path(), "storm", "10.9.9.2", std::to_string(far.port),
                    std::to_string(count)});
    ASSERT_EQ(client.wait(), 0);
    ASSERT_EQ(far.process.wait(), 0);
    const auto events = saga.stop();
    const auto expect_paired = [&](int pid, int peer) {
        const auto ends = select(events, {{"event", "close"}, {"pid", pid}});
        EXPECT_EQ(ends.size(), count);
        for (const json& e : ends) {
            ASSERT_TRUE(e.contains("peer")) << e;
            EXPECT_EQ(e["peer"]["pid"], peer) << e;
            const auto other = select(events, {{"event", "close"}, {"conn", e["peer"]["conn"]}});
            ASSERT_EQ(other.size(), 1U);
            EXPECT_EQ(other[0]["lport"], e["rport"]) << e;
            EXPECT_EQ(other[0]["rport"], e["lport"]) << e;
        }
    };
    expect_paired(local_client.pid(), local.process.pid());
    expect_paired(local.process.pid(), local_client.pid());
    expect_paired(client.pid(), far.process.pid());
    expect_paired(far.process.pid(), client.pid());
}

} // namespace
} // namespace live
