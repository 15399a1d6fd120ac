// SPDX-License-Identifier: BSD-2-Clause
/* Packets that the kernel drops. */
#include <sys/utsname.h>

#include <array>
#include <map>
#include <set>

#include "saga.h"

namespace live {
namespace {

bool kernel_has_reasons()
{
    utsname u{};
    uname(&u);
    int major = 0;
    int minor = 0;
    std::sscanf(u.release, "%d.%d", &major, &minor);
    return major > 5 || (major == 5 && minor >= 17);
}

void expect_reason(const json& e, const char* reason)
{
    EXPECT_EQ(e.value("reason", ""), kernel_has_reasons() ? reason : "") << e;
    EXPECT_NE(e.value("place", "").find("+0x"), std::string::npos) << e;
}

std::uint64_t packets(const std::vector<json>& drops)
{
    std::uint64_t n = 0;
    for (const json& e : drops)
        n += e["n"].get<std::uint64_t>();
    return n;
}

/// All of them, but for those that the kernel says it did not run the program for.
void expect_told(const std::vector<json>& events, std::uint64_t n)
{
    const json& summary = events.back();
    const std::uint64_t told = packets(select(events, {{"event", "drop"}}));
    EXPECT_EQ(told, summary.value("drops", 0U));
    EXPECT_LE(told, n) << summary;
    EXPECT_GE(told + summary["lost_missed"].get<std::uint64_t>(), n) << summary;
}

/// By netfilter at this hook, of TCP to this port; false where there is no nftables.
bool drop_at(const std::string& hook, int port)
{
    if (run({"nft", "add", "table", "inet", "t"}).exit_code != 0)
        return false;
    run({"nft", "add", "chain", "inet", "t", hook,
         "{ type filter hook " + hook + " priority 0; }"});
    return run({"nft", "add", "rule", "inet", "t", hook, "tcp", "dport", std::to_string(port),
                "drop"})
               .exit_code == 0;
}

const json any_drop{{"event", "drop"}};

constexpr std::array families{"127.0.0.1", "::1"};

/// By both families, one after the other.
class Drops : public Live {
protected:
    void SetUp() override
    {
        Live::SetUp();
        set_sysctl("net/ipv4/tcp_syn_retries", "1");
    }
    /// By the clients of this namespace: each one's first one and the others.
    static std::uint64_t syns_sent()
    {
        return families.size() + read_counters()["TcpExt.TCPSynRetrans"];
    }
    static int connect_to(const char* address, int port)
    {
        return run({peer_path(), "storm", address, std::to_string(port), "1"}).exit_code;
    }
    /// Connects in vain by each; the `close` of each one by its address.
    static std::map<std::string, json> connect_in_vain(Saga& saga, int port)
    {
        std::map<std::string, json> ends;
        for (const char* address : families) {
            EXPECT_EQ(connect_to(address, port), 1);
            ends[address] = saga.wait_for({{"event", "close"}, {"raddr", address}});
        }
        return ends;
    }
};

TEST_F(Drops, ByNetfilterAtInput)
{
    if (!drop_at("input", 80))
        GTEST_SKIP() << "SKIPPED: this kernel has no nftables";
    Saga saga({"trace", "--drops"});
    auto ends = connect_in_vain(saga, 80);
    const auto events = saga.stop();
    expect_told(events, syns_sent());
    std::set<std::string> seen;
    for (const json& e : select(events, any_drop)) {
        const std::string address = e["raddr"];
        seen.insert(address);
        expect_reason(e, "NETFILTER_DROP");
        EXPECT_EQ(e["laddr"], address) << e;
        EXPECT_EQ(e["lport"], 80) << e;
        EXPECT_EQ(e["rport"], ends[address]["lport"]) << e;
        EXPECT_EQ(e["family"], ends[address]["family"]) << e;
        EXPECT_EQ(e["netns"], netns_inode()) << e;
        EXPECT_FALSE(e.contains("conn")) << e; // it is the other end's
        EXPECT_FALSE(e.contains("pid")) << e;
    }
    EXPECT_EQ(seen.size(), families.size());
    expect_audit_exact(events);
}

/// What this host sends is seen from the sender's side.
TEST_F(Drops, ByNetfilterAtOutput)
{
    if (!drop_at("output", 80))
        GTEST_SKIP() << "SKIPPED: this kernel has no nftables";
    Saga saga({"trace", "--drops"});
    auto ends = connect_in_vain(saga, 80);
    const auto events = saga.stop();
    expect_told(events, syns_sent());
    std::set<std::string> seen;
    for (const json& e : select(events, any_drop)) {
        const json& end = ends[e["raddr"]];
        seen.insert(e["raddr"]);
        expect_reason(e, "NETFILTER_DROP");
        EXPECT_EQ(e["lport"], end["lport"]) << e;
        EXPECT_EQ(e["rport"], 80) << e;
        if (has_hook("connect")) { // else its port is not known yet
            EXPECT_EQ(e["conn"], end["conn"]) << e;
            EXPECT_EQ(e["pid"], end["pid"]) << e;
        }
    }
    EXPECT_EQ(seen.size(), families.size());
}

TEST_F(Drops, ByNobodyWhoListens)
{
    Saga saga({"trace", "--drops"});
    const auto port = free_port();
    auto ends = connect_in_vain(saga, port);
    const auto events = saga.stop();
    ASSERT_EQ(select(events, any_drop).size(), families.size());
    for (const char* address : families) {
        const auto drops = select(events, {{"event", "drop"}, {"raddr", address}});
        ASSERT_EQ(drops.size(), 1U) << address;
        expect_reason(drops[0], "NO_SOCKET");
        EXPECT_EQ(drops[0]["n"], 1);
        EXPECT_EQ(drops[0]["lport"], port);
        EXPECT_EQ(drops[0]["rport"], ends[address]["lport"]);
    }
}

TEST_F(Drops, AreNotToldUnasked)
{
    Saga saga;
    connect_in_vain(saga, free_port());
    const auto events = saga.stop();
    EXPECT_EQ(select(events, any_drop).size(), 0U);
    EXPECT_FALSE(events.back().contains("drops"));
    EXPECT_EQ(saga.said().find("without drop"), std::string::npos);
}

/// Kernels end with kfree_skb() what was not lost too: a FIN that nobody reads, one that a
/// TIME_WAIT socket answers.
TEST_F(Drops, AreNotWhatLivesEndWith)
{
    if (!sees_time_wait_exit() && !kernel_has_reasons())
        GTEST_SKIP() << "SKIPPED: nothing tells what TIME_WAIT sockets answer";
    Saga saga({"trace", "--drops"});
    for (const char* address : families) {
        Server server(address, {"20"});
        EXPECT_EQ(run({peer_path(), "storm", address, std::to_string(server.port), "20"}).exit_code,
                  0);
        server.process.wait();
        Listening slow({peer_path(), "late", address, "0"});
        EXPECT_EQ(connect_to(address, slow.port), 0);
        slow.process.wait();
    }
    for (const json& e : select(saga.stop(), any_drop))
        ADD_FAILURE() << e;
}

/// Not a line per packet, but each is counted.
TEST_F(Live, AFloodOfDropsIsCounted)
{
    if (!drop_at("input", 80))
        GTEST_SKIP() << "SKIPPED: this kernel has no nftables";
    Saga saga({"trace", "--drops", "--overflow-rate", "10"});
    EXPECT_EQ(run({peer_path(), "flood", "127.0.0.1", "80", "20000"}).exit_code, 0);
    const auto events = saga.stop();
    expect_told(events, 20'000);
    EXPECT_LT(select(events, any_drop).size(), 1000U);
}

} // namespace
} // namespace live
