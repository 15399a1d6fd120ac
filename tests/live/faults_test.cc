// SPDX-License-Identifier: BSD-2-Clause
/* What production does to a tracer: stopped, killed, run twice, left by its reader, on a kernel
 * without IPv6 or without modules. Full disks are in manners_test.cc and recording_test.cc. */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "saga.h"

namespace live {
namespace {

namespace fs = std::filesystem;

using Faults = Live;

/// A stopped consumer under a storm: every difference to the kernel's counters is put down to the
/// loss, and once it goes on nothing is missing.
TEST_F(Faults, AStoppedConsumer)
{
    constexpr int count = 20;
    Server before("127.0.0.1");
    Server after("127.0.0.1");
    Saga saga({"trace", "--ring", "64K", "--audit", "strict"});
    saga.process().send(SIGSTOP);
    ASSERT_EQ(storm(before, 1000).exit_code, 0);
    saga.process().send(SIGCONT);
    saga.wait_for({{"event", "lost"}, {"where", "ring"}});
    ASSERT_EQ(storm(after, count).exit_code, 0);
    const auto events = saga.stop();
    const json summary = events.back();
    EXPECT_GT(summary["lost_ring"], 0);
    bool differs = false;
    for (const json& row : summary["audit"]) {
        const std::string why = row.value("why", "");
        EXPECT_TRUE(row["kernel"] == row["seen"] || !why.empty()) << row;
        differs = differs || why.ends_with(" records lost");
    }
    EXPECT_TRUE(differs) << summary;
    for (const char* side : {"lport", "rport"}) {
        const auto closes = select(events, {{"event", "close"}, {side, after.port}});
        EXPECT_EQ(closes.size(), static_cast<std::size_t>(count)) << side;
        for (const json& close : closes) {
            const std::string whole = side[0] == 'l' ? "LISTEN>SYN_RECV>ESTABLISHED>CLOSE_WAIT>"
                                                     : "CLOSE>SYN_SENT>ESTABLISHED>FIN_WAIT1>";
            EXPECT_EQ(story(events, close["conn"]).find(whole), 0U) << close;
        }
    }
    EXPECT_EQ(select(events, {{"event", "accept"}, {"pid", after.process.pid()}}).size(),
              static_cast<std::size_t>(count));
}

/// The ids of the BPF objects that a process has descriptors of; `what`: "prog_id", "map_id".
std::set<std::uint32_t> bpf_ids(pid_t pid, const std::string& what)
{
    std::set<std::uint32_t> ids;
    for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fdinfo")) {
        std::ifstream file(entry.path());
        for (std::string line; std::getline(file, line);)
            if (line.starts_with(what + ":"))
                ids.insert(static_cast<std::uint32_t>(std::stoul(line.substr(what.size() + 1))));
    }
    return ids;
}

/// Waits until the kernel knows none of them; it lets go of programs behind RCU.
void expect_gone(const std::set<std::uint32_t>& ids, int (*open_by_id)(std::uint32_t))
{
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (const std::uint32_t id : ids) {
        int fd = -1;
        while ((fd = open_by_id(id)) >= 0 && std::chrono::steady_clock::now() < until) {
            close(fd);
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        EXPECT_EQ(fd, -ENOENT) << id;
    }
}

TEST_F(Faults, KilledItLeavesNothingInTheKernel)
{
    Saga saga;
    const pid_t pid = saga.process().pid();
    const auto programs = bpf_ids(pid, "prog_id");
    const auto maps = bpf_ids(pid, "map_id");
    ASSERT_GT(programs.size(), 3U);
    ASSERT_GT(maps.size(), 1U);
    for (const std::uint32_t id : programs) {
        const int fd = bpf_prog_get_fd_by_id(id);
        EXPECT_GE(fd, 0);
        close(fd);
    }
    saga.process().send(SIGKILL);
    EXPECT_EQ(saga.process().wait(), 128 + SIGKILL);
    expect_gone(programs, bpf_prog_get_fd_by_id);
    expect_gone(maps, bpf_map_get_fd_by_id);
}

/// Each sees everything, also after the other one was killed.
TEST_F(Faults, TwoAtOnce)
{
    constexpr int count = 50;
    Server server("127.0.0.1");
    Saga one;
    Saga other;
    ASSERT_EQ(storm(server, count).exit_code, 0);
    int seen = 0;
    EXPECT_TRUE(other.process().wait_out([&](const std::string& line) {
        seen += matches(json::parse(line), {{"event", "close"}, {"role", "server"}}) ? 1 : 0;
        return seen == count;
    }));
    other.process().send(SIGKILL);
    EXPECT_EQ(other.process().wait(), 128 + SIGKILL);
    ASSERT_EQ(storm(server, count).exit_code, 0);
    const auto events = one.stop();
    for (const char* role : {"client", "server"})
        EXPECT_EQ(select(events, {{"event", "close"}, {"role", role}}).size(), 2U * count) << role;
    expect_audit_exact(events);
}

/// Who reads its output is killed: it ends by itself, although nothing happens any more.
TEST_F(Faults, AReaderThatIsKilled)
{
    char folder[] = "/tmp/tcpsaga-faults-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const std::string fifo = std::string(folder) + "/fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    {
        Process reader({"cat", fifo});
        Saga saga({"trace", "-o", fifo});
        reader.send(SIGKILL);
        EXPECT_EQ(reader.wait(), 128 + SIGKILL);
        EXPECT_EQ(saga.process().wait(), 0) << saga.said();
    }
    fs::remove_all(folder);
}

/// Booted with ipv6.disable=1 (tests/live/CMakeLists.txt): there is no family 10, and nothing of it
/// in /proc.
TEST_F(Faults, AKernelWithoutIPv6)
{
    const bool with_ipv6 = fs::exists("/proc/net/if_inet6");
    if (std::getenv("TCPSAGA_TEST_NO_IPV6") == nullptr && with_ipv6)
        GTEST_SKIP() << "this kernel has IPv6";
    ASSERT_FALSE(with_ipv6);
    Server server("127.0.0.1");
    Saga saga({"trace", "--audit", "strict"});
    ASSERT_EQ(storm(server, 3).exit_code, 0);
    const auto sockets = run({tcpsaga_path(), "sockets", "--netns", "self", "-l", "--json"});
    EXPECT_EQ(sockets.exit_code, 0) << sockets.err;
    EXPECT_EQ(json::parse(sockets.out)["pid"], server.process.pid()) << sockets.out;
    const auto events = saga.stop();
    for (const char* role : {"client", "server"})
        EXPECT_EQ(select(events, {{"event", "close"}, {"role", role}, {"end", "fin"}}).size(), 3U);
    expect_audit_exact(events);
}

/// Booted with modules=none (tests/variants/CMakeLists.txt): no inet_diag, no connection tracking.
TEST_F(Faults, AKernelWithoutModules)
{
    if (std::getenv("TCPSAGA_TEST_NO_MODULES") == nullptr)
        GTEST_SKIP() << "only where it is booted so";
    ASSERT_EQ(std::ifstream("/proc/modules").peek(), EOF);
    Listening keep({peer_path(), "keep", "127.0.0.1", "0", "1"});
    Process stay({peer_path(), "stay", "127.0.0.1", std::to_string(keep.port), "1"});
    ASSERT_TRUE(stay.wait_out([](const std::string& line) { return line == "kept"; }));
    Server server("127.0.0.1");
    Saga saga({"trace", "--audit", "strict"});
    ASSERT_EQ(storm(server, 3).exit_code, 0);
    const auto sockets = run({tcpsaga_path(), "sockets", "--netns", "self", "--lport",
                              std::to_string(keep.port), "--state", "ESTABLISHED", "--json"});
    EXPECT_EQ(sockets.exit_code, 0) << sockets.err;
    EXPECT_EQ(json::parse(sockets.out)["pid"], keep.process.pid()) << sockets.out;
    for (Process* end : {&stay, &keep.process}) {
        end->send(SIGUSR1);
        saga.wait_for({{"event", "close"}, {"pid", end->pid()}, {"seen_start", false}});
    }
    const auto events = saga.stop();
    for (const char* role : {"client", "server"})
        EXPECT_EQ(select(events, {{"event", "close"}, {"role", role}, {"seen_start", true}}).size(),
                  3U);
    expect_audit_exact(events);
}

} // namespace
} // namespace live
