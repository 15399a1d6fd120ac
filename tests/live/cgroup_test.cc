// SPDX-License-Identifier: BSD-2-Clause
/* Connections of one cgroup, at the cost of those. */
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "saga.h"

namespace live {
namespace {

/// A cgroup (v2) of the test's own.
class Cgroup {
public:
    explicit Cgroup(const std::string& name)
    {
        for (const char* mount : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"})
            if (std::filesystem::exists(std::string(mount) + "/cgroup.procs") &&
                std::filesystem::exists(std::string(mount) + "/cgroup.controllers")) {
                path_ = std::string(mount) + "/" + name;
                break;
            }
        if (!path_.empty())
            ::mkdir(path_.c_str(), 0755);
    }
    ~Cgroup() { ::rmdir(path_.c_str()); }
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;

    [[nodiscard]] bool usable() const { return std::filesystem::exists(path_ + "/cgroup.procs"); }
    [[nodiscard]] const std::string& path() const { return path_; }
    /// The command line, to be run inside.
    [[nodiscard]] std::vector<std::string> inside(const std::vector<std::string>& argv) const
    {
        std::vector<std::string> all{"sh", "-c",
                                     "echo $$ >" + path_ + "/cgroup.procs && exec \"$@\"", "sh"};
        all.insert(all.end(), argv.begin(), argv.end());
        return all;
    }

private:
    std::string path_;
};

class Cgroups : public Live {};

TEST_F(Cgroups, OneAndThoseBelowItOnly)
{
    const Cgroup outer("tcpsaga_test");
    const Cgroup inner("tcpsaga_test/inner");
    if (!inner.usable())
        GTEST_SKIP() << "SKIPPED: no cgroup v2 file system that may be written";
    Saga saga({"trace", "--cgroup", outer.path()});
    Server server("127.0.0.1");
    const std::vector<std::string> storm{peer_path(), "storm", "127.0.0.1",
                                         std::to_string(server.port), "20"};
    ASSERT_EQ(run(storm).exit_code, 0);
    saga.process().send(SIGUSR1);
    const json none = saga.wait_for({{"event", "summary"}});
    EXPECT_EQ(none["records"], 0) << none;
    EXPECT_EQ(none["lost"], 0);
    ASSERT_EQ(run(outer.inside(storm)).exit_code, 0);
    Process below(inner.inside(storm));
    ASSERT_EQ(below.wait(), 0);
    const auto events = saga.stop();
    const auto closes = select(events, {{"event", "close"}});
    EXPECT_EQ(closes.size(), 40U);
    for (const json& e : closes)
        EXPECT_EQ(e["role"], "client") << e;
    EXPECT_EQ(select(closes, {{"pid", below.pid()}}).size(), 20U);
}

/// A server that keeps a connection in CLOSE_WAIT.
class Stuck {
public:
    explicit Stuck(const Cgroup* where)
        : server_(in(where, {peer_path(), "keep", "127.0.0.1", "0", "1"})),
          client_(in(where, {peer_path(), "stay", "127.0.0.1", std::to_string(server_.port), "1"}))
    {
        server_.process.wait_out([](const std::string& line) { return line == "kept"; });
        client_.send(SIGUSR1);
        client_.wait();
    }
    [[nodiscard]] std::uint16_t port() const { return server_.port; }

private:
    static std::vector<std::string> in(const Cgroup* where, std::vector<std::string> argv)
    {
        return where == nullptr ? std::move(argv) : where->inside(argv);
    }
    Listening server_;
    Process client_;
};

TEST_F(Cgroups, OfWhatWasThereBefore)
{
    const Cgroup outer("tcpsaga_test");
    const Cgroup inner("tcpsaga_test/inner");
    const Cgroup empty("tcpsaga_empty");
    if (!inner.usable() || !empty.usable())
        GTEST_SKIP() << "SKIPPED: no cgroup v2 file system that may be written";
    const Stuck theirs(nullptr);
    const Stuck mine(&inner);
    Server ended("127.0.0.1", {"1"});
    ASSERT_EQ(run({peer_path(), "storm", "127.0.0.1", std::to_string(ended.port), "1"}).exit_code,
              0); // TIME_WAIT
    ASSERT_EQ(ended.process.wait(), 0);
    {
        Saga saga({"trace", "--cgroup", outer.path(), "--stuck", "0.1"});
        saga.wait_for({{"event", "stuck"}, {"lport", mine.port()}});
        const auto events = saga.stop();
        EXPECT_EQ(events.size(), 2U) << json(events);
        EXPECT_EQ(events.back()["alive"], 2); // the listener, and its connection
        EXPECT_EQ(events.back()["time_wait_alive"], 0);
    }
    Saga saga({"trace", "--cgroup", empty.path(), "--stuck", "0.1"});
    const auto events = saga.stop();
    EXPECT_EQ(events.size(), 1U) << json(events);
    EXPECT_EQ(events.back()["alive"], 0);
    EXPECT_EQ(events.back()["records"], 0);
    EXPECT_FALSE(events.back().contains("listeners")) << events.back();
    EXPECT_FALSE(events.back().contains("time_waits")) << events.back();
}

/// A process in a cgroup that is named as docker names it, and in a pid namespace of its own.
TEST_F(Cgroups, ContainersAreNamed)
{
    const std::string id = "0123456789abcdef" + std::string(48, 'f');
    const Cgroup outer("tcpsaga_test");
    const Cgroup docker("tcpsaga_test/docker-" + id + ".scope");
    if (!docker.usable())
        GTEST_SKIP() << "SKIPPED: no cgroup v2 file system that may be written";
    Saga saga;
    Listening server({peer_path(), "keep", "127.0.0.1", "0", "1"});
    Process client(docker.inside({"unshare", "--pid", "--fork", "--kill-child", peer_path(), "stay",
                                  "127.0.0.1", std::to_string(server.port), "1"}));
    const json connect = saga.wait_for({{"event", "connect"}, {"rport", server.port}});
    EXPECT_EQ(connect["container"], id) << connect;
    EXPECT_EQ(connect["ns_pid"], 1) << connect;
    EXPECT_NE(connect["pid"], 1);
    const std::string path = connect["cgroup"];
    EXPECT_TRUE(path.ends_with("/tcpsaga_test/docker-" + id + ".scope")) << path;
    const json accept = saga.wait_for({{"event", "accept"}, {"lport", server.port}});
    EXPECT_TRUE(accept.contains("cgroup")) << accept;
    EXPECT_FALSE(accept.contains("container")) << accept;
    EXPECT_FALSE(accept.contains("ns_pid")) << accept;

    const auto of_it = run({tcpsaga_path(), "sockets", "--json", "--cgroup", outer.path()});
    ASSERT_EQ(of_it.exit_code, 0) << of_it.err;
    ASSERT_EQ(std::ranges::count(of_it.out, '\n'), 1) << of_it.out;
    const json socket = json::parse(of_it.out);
    // Before 5.12 not `conn`: no record has a cookie that nobody has asked for.
    for (const char* key : {"lport", "rport", "pid", "cgroup", "container", "ns_pid"})
        EXPECT_EQ(socket[key], connect[key]) << key;
    server.process.send(SIGUSR1);
    saga.stop();
}

TEST_F(Cgroups, NoneOfThatName)
{
    const auto r = run({tcpsaga_path(), "trace", "--cgroup", "/no/such"});
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_EQ(
        r.err,
        "tcpsaga: no cgroup '/no/such': No such file or directory; want a folder of a "
        "cgroup v2 file system, such as /sys/fs/cgroup/system.slice (see tcpsaga trace --help)\n");
}

} // namespace
} // namespace live
