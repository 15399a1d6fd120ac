// SPDX-License-Identifier: BSD-2-Clause
/* What tcpsaga does with options, pipes, small rings and missing rights. */
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "saga.h"

namespace live {
namespace {

using Manners = Live;

std::vector<std::string> storm_to(const Server& server, int count, const char* addr = "127.0.0.1")
{
    return {peer_path(), "storm", addr, std::to_string(server.port), std::to_string(count)};
}

/// Connections of a filtered stream: the ids of those that are shown.
std::vector<std::string> stories(const std::vector<json>& events)
{
    std::vector<std::string> found;
    for (const json& close : select(events, {{"event", "close"}}))
        found.push_back(story(events, close["conn"]));
    return found;
}

/// Both ends of a whole connection, in whichever order they closed.
void expect_whole(const std::string& client, const std::string& server)
{
    EXPECT_EQ(client.find("CLOSE>SYN_SENT>ESTABLISHED>FIN_WAIT1>"), 0U) << client;
    EXPECT_EQ(server, "LISTEN>SYN_RECV>ESTABLISHED>CLOSE_WAIT>LAST_ACK>CLOSE");
}

TEST_F(Manners, PortFilterKeepsWholeConnections)
{
    Server wanted("127.0.0.1");
    Server other("127.0.0.1");
    Saga saga({"trace", "--port", std::to_string(wanted.port)});
    ASSERT_EQ(run(storm_to(other, 50)).exit_code, 0);
    ASSERT_EQ(run(storm_to(wanted, 1)).exit_code, 0);
    saga.wait_for({{"event", "close"}, {"role", "server"}});
    const auto events = saga.stop();
    const auto found = stories(events);
    ASSERT_EQ(found.size(), 2U);
    expect_whole(found[0].starts_with("CLOSE") ? found[0] : found[1],
                 found[0].starts_with("CLOSE") ? found[1] : found[0]);
    for (const json& e : select(events, {{"role", "client"}}))
        EXPECT_EQ(e["rport"], wanted.port);
}

TEST_F(Manners, OneEndByLocalOrRemotePort)
{
    Server server("127.0.0.1");
    const std::string port = std::to_string(server.port);
    Saga local({"trace", "--lport", port});
    Saga remote({"trace", "--rport", port});
    ASSERT_EQ(run(storm_to(server, 1)).exit_code, 0);
    local.wait_for({{"event", "close"}});
    remote.wait_for({{"event", "close"}});
    const auto at_server = local.stop();
    const auto at_client = remote.stop();
    ASSERT_EQ(stories(at_server).size(), 1U);
    ASSERT_EQ(stories(at_client).size(), 1U);
    expect_whole(stories(at_client)[0], stories(at_server)[0]);
    EXPECT_EQ(select(at_client, {{"event", "connect"}}).size(), 1U);
}

TEST_F(Manners, AddressAndFamilyFilters)
{
    Server v4("127.0.0.1");
    Server v6("::1");
    Saga block({"trace", "--addr", "127.0.0.2/32,127.1.0.0/16"});
    Saga only_v6({"trace", "-6"});
    Saga v6_block({"trace", "--addr", "::1/128"});
    Server elsewhere("127.0.0.2");
    ASSERT_EQ(run(storm_to(v4, 1)).exit_code, 0);
    ASSERT_EQ(run(storm_to(v6, 1, "::1")).exit_code, 0);
    ASSERT_EQ(run(storm_to(elsewhere, 1, "127.0.0.2")).exit_code, 0);
    block.wait_for({{"event", "close"}, {"role", "server"}});
    only_v6.wait_for({{"event", "close"}, {"role", "server"}});
    v6_block.wait_for({{"event", "close"}, {"role", "server"}});
    EXPECT_EQ(stories(v6_block.stop()).size(), 2U);
    const auto in_block = block.stop();
    EXPECT_EQ(stories(in_block).size(), 2U);
    for (const json& e : in_block)
        if (e.contains("rport")) {
            EXPECT_TRUE(e["laddr"] == "127.0.0.2" || e["raddr"] == "127.0.0.2") << e;
        }
    const auto of_v6 = only_v6.stop();
    EXPECT_EQ(stories(of_v6).size(), 2U);
    for (const json& e : of_v6)
        if (e.contains("family")) {
            EXPECT_EQ(e["family"], "ipv6") << e;
        }
}

TEST_F(Manners, OtherNamespacesAreFilteredOut)
{
    Saga saga;
    const int home = keep_netns();
    enter_new_netns();
    Server foreign("127.0.0.1");
    ASSERT_EQ(run(storm_to(foreign, 20)).exit_code, 0);
    join_netns(home);
    Server server("127.0.0.1");
    ASSERT_EQ(run(storm_to(server, 1)).exit_code, 0);
    saga.wait_for({{"event", "close"}, {"role", "server"}});
    const auto events = saga.stop();
    EXPECT_EQ(stories(events).size(), 2U);
    EXPECT_EQ(select(events, {{"event", "listen"}}).size(), 1U);
}

TEST_F(Manners, ProcessFilterKeepsTheLaterEvents)
{
    Server server("127.0.0.1");
    Saga saga({"trace", "--pid", std::to_string(server.process.pid())});
    ASSERT_EQ(run(storm_to(server, 1)).exit_code, 0);
    saga.wait_for({{"event", "close"}});
    const auto events = saga.stop();
    const auto closes = select(events, {{"event", "close"}});
    ASSERT_EQ(closes.size(), 1U);
    EXPECT_EQ(closes[0]["role"], "server");
    const auto accepts = select(events, {{"event", "accept"}});
    ASSERT_EQ(accepts.size(), 1U);
    // Behind accept() nothing is missing.
    EXPECT_TRUE(
        story(events, closes[0]["conn"]).ends_with("ESTABLISHED>CLOSE_WAIT>LAST_ACK>CLOSE"));
}

/// A stopped consumer and a small ring: what is lost is counted, and what arrived plus what
/// was lost is what happened.
TEST_F(Manners, LossIsCountedAndShown)
{
    constexpr int count = 600;
    Server server("127.0.0.1");
    Saga saga({"trace", "--ring", "64K"});
    saga.process().send(SIGSTOP);
    ASSERT_EQ(run(storm_to(server, count)).exit_code, 0);
    saga.process().send(SIGCONT);
    const json lost = saga.wait_for({{"event", "lost"}, {"where", "ring"}});
    EXPECT_GT(lost["n"], 0);
    const auto events = saga.stop();
    std::uint64_t sum = 0;
    for (const json& e : select(events, {{"event", "lost"}, {"where", "ring"}}))
        sum += e["n"].get<std::uint64_t>();
    EXPECT_EQ(events.back()["lost_ring"], sum);
    const std::string last = saga.process().err().back();
    EXPECT_NE(last.find(" lost (ring " + std::to_string(sum)), std::string::npos) << last;
}

TEST_F(Manners, EvictionsAreCounted)
{
    Saga saga({"trace", "--max-connections", "4"});
    std::vector<std::unique_ptr<Server>> servers;
    for (int i = 0; i < 6; i++)
        servers.push_back(std::make_unique<Server>("127.0.0.1"));
    saga.wait_for({{"event", "lost"}, {"where", "table"}});
    const auto events = saga.stop();
    EXPECT_EQ(events.back()["lost_table"], 2);
    EXPECT_EQ(events.back()["alive"], 4);
}

/// `tcpsaga trace | head -1`
TEST_F(Manners, AClosedPipeEndsQuietly)
{
    const auto piped = run({"bash", "-c",
                            tcpsaga_path() + " trace --netns self --attach " + attach() +
                                " --duration 300 | head -1; exit ${PIPESTATUS[0]}"});
    EXPECT_EQ(piped.exit_code, 0);
    EXPECT_TRUE(piped.out.starts_with("TIME ")) << piped.out;
    const auto ready = piped.err.find("tcpsaga: ready");
    ASSERT_NE(ready, std::string::npos);
    EXPECT_EQ(piped.err.find('\n', ready), piped.err.size() - 1) << piped.err;
}

TEST_F(Manners, CountStopsAfterSoManyLines)
{
    Server server("127.0.0.1");
    Saga saga({"trace", "--count", "3"});
    ASSERT_EQ(run(storm_to(server, 5)).exit_code, 0);
    EXPECT_EQ(saga.process().wait(), 0);
    EXPECT_EQ(saga.all({{"v", 1}}).size(), 4U); // and the summary
}

TEST_F(Manners, FilesArePrivateAndReopenedOnHangup)
{
    char folder[] = "/tmp/tcpsaga-out-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const std::string path = std::string(folder) + "/log";
    const std::string moved = path + ".1";
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", path});
    struct stat st {};
    ASSERT_EQ(stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
    std::filesystem::rename(path, moved);
    saga.process().send(SIGHUP);
    while (!std::filesystem::exists(path))
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_EQ(run(storm_to(server, 1)).exit_code, 0);
    EXPECT_EQ(saga.process().stop(), 0);
    std::size_t closes = 0;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        closes += parse_event(line)["event"] == "close" ? 1 : 0;
    EXPECT_EQ(closes, 2U);
    std::filesystem::remove_all(folder);
}

/// Nor has a terminal whose user does not want them.
TEST_F(Manners, FilesAndPipesHaveNoColours)
{
    const std::string listing = tcpsaga_path() + " sockets --netns self";
    const auto has_colour = [](const std::string& out) {
        return out.find('\x1b') != std::string::npos;
    };
    const auto on_terminal = [&](const char* environment) {
        return run({"env", "-u", "NO_COLOR", "TERM=linux", environment, "script", "-qec", listing,
                    "/dev/null"})
            .out;
    };
    EXPECT_FALSE(has_colour(run({"sh", "-c", listing}).out));
    EXPECT_TRUE(has_colour(on_terminal("A=B")));
    EXPECT_TRUE(has_colour(on_terminal("NO_COLOR=")));
    for (const char* unwanted : {"NO_COLOR=1", "TERM=dumb"}) {
        EXPECT_FALSE(has_colour(on_terminal(unwanted))) << unwanted;
        EXPECT_NE(on_terminal(unwanted).find("STATE"), std::string::npos) << unwanted;
    }
}

TEST_F(Manners, AFileThatCannotBeOpened)
{
    const auto r = run({tcpsaga_path(), "trace", "-o", "/proc/nowhere/x"});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.err, "tcpsaga: cannot open /proc/nowhere/x: No such file or directory; name a "
                     "file that can be written with -o\n");
}

TEST_F(Manners, AFullDisk)
{
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", "/dev/full"});
    ASSERT_EQ(run(storm_to(server, 1)).exit_code, 0);
    EXPECT_EQ(saga.process().wait(), 1);
    EXPECT_NE(saga.said().find("tcpsaga: cannot write to /dev/full: No space left on device"),
              std::string::npos)
        << saga.said();
}

TEST_F(Manners, WithoutPrivilegesOneLineNamesThem)
{
    const auto r = run({"setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534",
                        "--clear-groups", tcpsaga_path(), "trace"});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.err, "tcpsaga: needs CAP_BPF and CAP_PERFMON; run it with sudo, or give it those "
                     "file capabilities\n");
}

/// Kernels before 5.11 charge maps to RLIMIT_MEMLOCK, and without CAP_SYS_RESOURCE it cannot
/// be raised: fatal there, and named; of no account since.
TEST_F(Manners, TheMemlockLimit)
{
    utsname kernel{};
    uname(&kernel);
    int major = 0;
    int minor = 0;
    std::sscanf(kernel.release, "%d.%d", &major, &minor);
    const bool charged = major == 5 && minor < 11;
    const auto r = run({"prlimit", "--memlock=65536:65536", "setpriv",
                        "--bounding-set=-sys_resource", "--inh-caps=-sys_resource", tcpsaga_path(),
                        "trace", "--attach", attach(), "--duration", "0.1"});
    EXPECT_EQ(r.exit_code, charged ? 1 : 0) << r.err;
    EXPECT_EQ(r.err.find("room under ulimit -l") != std::string::npos, charged) << r.err;
}

TEST_F(Manners, ADisabledHookIsNamed)
{
    Server server("127.0.0.1");
    Saga saga({"trace", "--disable-hook", "accept"});
    EXPECT_NE(saga.said().find("tcpsaga: without accept (disabled): lost: "), std::string::npos);
    ASSERT_EQ(run(storm_to(server, 1)).exit_code, 0);
    saga.wait_for({{"event", "close"}, {"role", "server"}});
    const auto events = saga.stop();
    EXPECT_EQ(select(events, {{"event", "accept"}}).size(), 0U);
    EXPECT_EQ(select(events, {{"event", "close"}}).size(), 2U);
    EXPECT_NE(saga.said().find("tcpsaga: without accept"), std::string::npos);
}

TEST_F(Manners, AnInterruptedTraceDrainsTheRing)
{
    Server server("127.0.0.1");
    Saga saga;
    saga.process().send(SIGSTOP);
    ASSERT_EQ(run(storm_to(server, 100)).exit_code, 0);
    saga.process().send(SIGINT); // pending until it goes on
    saga.process().send(SIGCONT);
    EXPECT_EQ(saga.process().wait(), 0);
    EXPECT_EQ(saga.all({{"event", "close"}, {"role", "client"}}).size(), 100U);
}

} // namespace
} // namespace live
