// SPDX-License-Identifier: BSD-2-Clause
/* What the running program may still do, and what it does with less (docs/privileges.md). */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "saga.h"

namespace live {
namespace {

namespace fs = std::filesystem;

// CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN: linux/capability.h
constexpr std::uint64_t of_the_other_process = 1U << 12 | 1U << 19 | 1U << 21;
constexpr std::uint64_t cap_bpf = std::uint64_t{1} << 39;

/// A folder that everybody may read, gone with its owner.
struct Folder {
    Folder()
    {
        char name[] = "/tmp/tcpsaga-privileges-XXXXXX";
        path = mkdtemp(name);
        chmod(path.c_str(), 0755);
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string path;
};

std::string status_field(const fs::path& task, const std::string& key)
{
    std::ifstream file(task / "status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(key + ":\t"))
            return line.substr(key.size() + 2);
    return "no " + key;
}

/// In every thread: what it holds, what it can get, and that execve() adds nothing.
void expect_capabilities(pid_t pid, std::uint64_t wanted)
{
    std::size_t threads = 0;
    for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
        threads++;
        for (const char* set : {"CapEff", "CapPrm"})
            EXPECT_EQ(std::stoull(status_field(task, set), nullptr, 16), wanted) << set;
        for (const char* set : {"CapInh", "CapAmb", "CapBnd"})
            EXPECT_EQ(status_field(task, set), "0000000000000000") << set;
        EXPECT_EQ(status_field(task, "NoNewPrivs"), "1");
    }
    EXPECT_GT(threads, 0U);
}

/// Linux before 5.19 reads no BPF map for a process without CAP_BPF while this is set.
std::uint64_t kept_by_the_tracer()
{
    utsname kernel{};
    uname(&kernel);
    int major = 0;
    int minor = 0;
    std::sscanf(kernel.release, "%d.%d", &major, &minor);
    int off = 0;
    std::ifstream("/proc/sys/kernel/unprivileged_bpf_disabled") >> off;
    return (major == 5 && minor < 19 && off != 0) ? cap_bpf : 0;
}

std::vector<pid_t> children_of(pid_t parent)
{
    std::vector<pid_t> found;
    for (const auto& entry : fs::directory_iterator("/proc"))
        if (status_field(entry, "PPid") == std::to_string(parent))
            found.push_back(std::stoi(entry.path().filename().string()));
    return found;
}

/// Waits for its end, without being its parent.
void wait_for_end_of(pid_t pid)
{
    const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0)
        return; // it has been waited for
    pollfd p{fd, POLLIN, 0};
    EXPECT_EQ(poll(&p, 1, 60'000), 1);
    close(fd);
}

std::vector<std::string> storm(const Server& server)
{
    return {peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "1"};
}

using Privileges = Live;

/// In one namespace nothing is looked at that needs any.
TEST_F(Privileges, AreAllGivenUp)
{
    Server server("127.0.0.1");
    Saga saga;
    expect_capabilities(saga.process().pid(), kept_by_the_tracer());
    EXPECT_TRUE(children_of(saga.process().pid()).empty());
    // Everything still works, and counts: also what is read at the end.
    ASSERT_EQ(run(storm(server)).exit_code, 0);
    saga.wait_for({{"event", "close"}, {"role", "server"}});
    expect_audit_exact(saga.stop());
}

/// By trying: root without CAP_DAC_OVERRIDE creates nothing in a folder of somebody else.
TEST_F(Privileges, OfAFileOwnerAreGivenUp)
{
    const Folder folder;
    const std::string path = folder.path + "/theirs/log";
    fs::create_directory(folder.path + "/theirs");
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", path});
    fs::rename(path, path + ".1");
    ASSERT_EQ(chown((folder.path + "/theirs").c_str(), 65534, 65534), 0);
    saga.process().send(SIGHUP);
    EXPECT_TRUE(saga.process().wait_err([&](const std::string& line) {
        return line == "tcpsaga: cannot reopen " + path +
                           ": Permission denied; still writing to the old file";
    })) << saga.said();
    ASSERT_EQ(run(storm(server)).exit_code, 0);
    EXPECT_EQ(saga.process().stop(), 0);
    std::size_t closes = 0;
    std::ifstream file(path + ".1");
    for (std::string line; std::getline(file, line);)
        closes += json::parse(line)["event"] == "close" ? 1 : 0;
    EXPECT_EQ(closes, 2U);
}

/// A server in a namespace that the tracer is not in. The caller is in the tracer's afterwards.
struct Elsewhere {
    Elsewhere()
    {
        const int home = keep_netns();
        enter_new_netns();
        inode = netns_inode();
        server = std::make_unique<Server>("127.0.0.1", std::vector<std::string>{"2"});
        set_sysctl("net/ipv4/ip_local_port_range", "40000 40000");
        set_sysctl("net/ipv4/tcp_tw_reuse", "0");
        there_ = keep_netns();
        join_netns(home);
    }
    Ran run_there(const std::vector<std::string>& command) const
    {
        const int home = keep_netns();
        join_netns(dup(there_));
        auto ran = run(command);
        join_netns(home);
        return ran;
    }
    ~Elsewhere() { close(there_); }
    Elsewhere(const Elsewhere&) = delete;
    Elsewhere& operator=(const Elsewhere&) = delete;

    std::uint32_t inode = 0;
    std::unique_ptr<Server> server;

private:
    int there_ = -1;
};

/// The other process enters other namespaces: it holds what that takes and no descriptor of ours.
TEST_F(Privileges, ForOtherNamespacesAreAnotherProcess)
{
    const bool why_is_seen = has_hook("connect_error");
    const Elsewhere elsewhere;
    Saga saga({"trace", "--netns", std::to_string(elsewhere.inode)});
    expect_capabilities(saga.process().pid(), kept_by_the_tracer());
    const auto children = children_of(saga.process().pid());
    ASSERT_EQ(children.size(), 1U);
    expect_capabilities(children[0], of_the_other_process);
    EXPECT_EQ(status_field("/proc/" + std::to_string(children[0]), "Name"), "tcpsaga-look");
    std::multiset<std::string> open;
    for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(children[0]) + "/fd")) {
        const std::string link = fs::read_symlink(fd).string();
        open.insert(link.substr(0, link.find('[')));
    }
    // The pair's end, and what asks connection tracking and changes namespaces.
    EXPECT_EQ(open, (std::multiset<std::string>{"/dev/null", "/dev/null", "/dev/null",
                                                "net:", "net:", "socket:", "socket:"}));

    const auto connect = storm(*elsewhere.server);
    ASSERT_EQ(elsewhere.run_there(connect).exit_code, 0);
    saga.wait_for({{"event", "close"}, {"role", "client"}});
    ASSERT_EQ(elsewhere.run_there(connect).exit_code, 1); // the one port is in TIME_WAIT
    const json error = saga.wait_for({{"event", "connect_error"}});
    if (why_is_seen) {
        EXPECT_EQ(error["port_range"], json({40000, 40000}));
        EXPECT_EQ(error["ports_time_wait"], 1);
    }
    const auto events = saga.stop();
    expect_audit_exact(events);
    for (const json& row : events.back()["audit"])
        EXPECT_EQ(row["netns"], elsewhere.inode);
    wait_for_end_of(children[0]);
}

TEST_F(Privileges, OfTheOtherProcessEndWithTheTracer)
{
    const Elsewhere elsewhere;
    Saga saga({"trace", "--netns", std::to_string(elsewhere.inode)});
    const auto children = children_of(saga.process().pid());
    ASSERT_EQ(children.size(), 1U);
    saga.process().send(SIGKILL);
    EXPECT_EQ(saga.process().wait(), 128 + SIGKILL);
    wait_for_end_of(children[0]);
    EXPECT_FALSE(fs::exists("/proc/" + std::to_string(children[0]) + "/exe"));
}

/// Without it the trace goes on; what nobody can look up is said to be missing.
TEST_F(Privileges, WithoutTheOtherProcess)
{
    const Elsewhere elsewhere;
    Saga saga({"trace", "--netns", std::to_string(elsewhere.inode)});
    const auto children = children_of(saga.process().pid());
    ASSERT_EQ(children.size(), 1U);
    kill(children[0], SIGKILL);
    ASSERT_EQ(elsewhere.run_there(storm(*elsewhere.server)).exit_code, 0);
    saga.wait_for({{"event", "close"}, {"role", "client"}});
    const auto events = saga.stop();
    EXPECT_FALSE(events.back().contains("audit")) << events.back();
    EXPECT_NE(
        saga.said().find(
            "tcpsaga: the process that looks into other network namespaces is "
            "gone: no audit, no use of ports, no polled queues and no settings from now on\n"),
        std::string::npos)
        << saga.said();
}

/// What is printed may wait for its reader: nothing is held meanwhile but the sight of /proc.
TEST_F(Privileges, OfSocketsAreGivenUpBeforeItPrints)
{
    constexpr std::uint64_t sys_ptrace = 1U << 19;
    const Folder folder;
    const std::string fifo = folder.path + "/fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    const int reader = open(fifo.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    ASSERT_GE(fcntl(reader, F_SETPIPE_SZ, 4096), 0);
    while (write(reader, "x", 1) == 1) {
    }
    Server server("127.0.0.1");
    Process sockets({tcpsaga_path(), "sockets", "--netns", "self", "--json", "-o", fifo});
    const fs::path task = "/proc/" + std::to_string(sockets.pid());
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (status_field(task, "CapPrm") == status_field("/proc/self", "CapPrm") &&
           std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    expect_capabilities(sockets.pid(), sys_ptrace);
    std::string text(1 << 16, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(read(reader, text.data(), 4096), 0)));
    EXPECT_EQ(sockets.wait(), 0);
    char more[4096];
    for (ssize_t n = 0; (n = read(reader, more, sizeof(more))) > 0;)
        text.append(more, static_cast<std::size_t>(n));
    close(reader);
    text.erase(0, text.find_first_not_of('x'));
    EXPECT_EQ(json::parse(text)["lport"], server.port) << text;
}

/// A copy with file capabilities, run by nobody in particular.
std::vector<std::string> as_nobody(const Folder& folder, const std::string& capabilities)
{
    const std::string copy = folder.path + "/tcpsaga";
    fs::copy_file(tcpsaga_path(), copy, fs::copy_options::overwrite_existing);
    chmod(copy.c_str(), 0755);
    const auto set = run({"setcap", capabilities, copy});
    EXPECT_EQ(set.exit_code, 0) << set.err;
    // Before Linux 5.11 maps are charged to that limit.
    return {"sh",
            "-c",
            "ulimit -l unlimited 2>/dev/null; exec \"$@\"",
            "sh",
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            copy};
}

struct Nobody {
    Nobody(const Folder& folder, const std::string& capabilities)
        : tracer([&] {
              auto argv = as_nobody(folder, capabilities);
              argv.insert(argv.end(), {"trace", "--json", "--netns", "self", "--attach", attach()});
              return argv;
          }())
    {
        ready = tracer.wait_err([](const std::string& line) {
            return line.starts_with("tcpsaga: ready");
        });
        for (const auto& line : tracer.err())
            said += line + "\n";
    }
    Process tracer;
    bool ready = false;
    std::string said;
};

/// CAP_BPF and CAP_PERFMON as file capabilities, and those alone, give every event.
TEST_F(Privileges, OfTheFileAloneAreEnough)
{
    const Folder folder;
    Nobody nobody(folder, "cap_bpf,cap_perfmon=ep");
    ASSERT_TRUE(nobody.ready) << nobody.said;
    EXPECT_NE(nobody.said.find("tcpsaga: without CAP_SYS_PTRACE: lost: who owns the sockets "
                               "there at the start\n"),
              std::string::npos)
        << nobody.said;
    for (const char* set : {"CapEff", "CapPrm"})
        EXPECT_EQ(std::stoull(status_field("/proc/" + std::to_string(nobody.tracer.pid()), set),
                              nullptr, 16),
                  kept_by_the_tracer());
    EXPECT_EQ(status_field("/proc/" + std::to_string(nobody.tracer.pid()), "NoNewPrivs"), "1");
    Server server("127.0.0.1");
    ASSERT_EQ(run(storm(server)).exit_code, 0);
    nobody.tracer.wait_out([](const std::string& line) {
        return json::parse(line).value("role", "") == "server" &&
               json::parse(line)["event"] == "close";
    });
    EXPECT_EQ(nobody.tracer.stop(), 0);
    std::vector<json> events;
    for (const auto& line : nobody.tracer.out())
        events.push_back(json::parse(line));
    EXPECT_EQ(select(events, {{"event", "listen"}, {"pid", server.process.pid()}}).size(), 1U);
    EXPECT_EQ(select(events, {{"event", "close"}}).size(), 2U);
    expect_audit_exact(events);
}

/// With three more nothing is lost: the owner of a listener that was there before is known.
TEST_F(Privileges, OfTheFileForAll)
{
    const Folder folder;
    Server server("127.0.0.1");
    Nobody nobody(folder,
                  "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_sys_admin=ep");
    ASSERT_TRUE(nobody.ready) << nobody.said;
    EXPECT_EQ(nobody.said.find("without CAP_"), std::string::npos) << nobody.said;
    ASSERT_EQ(run(storm(server)).exit_code, 0);
    json born;
    EXPECT_TRUE(nobody.tracer.wait_out([&](const std::string& line) {
        born = json::parse(line);
        return born["event"] == "state" && born.value("new", "") == "SYN_RECV";
    }));
    EXPECT_EQ(born["pid"], server.process.pid()) << born;
    EXPECT_EQ(nobody.tracer.stop(), 0);
}

TEST_F(Privileges, ThatAreMissingAreToldByCheck)
{
    const auto r = run({"setpriv", "--bounding-set=-sys_ptrace,-sys_admin", "--inh-caps=-all",
                        tcpsaga_path(), "check", "--json"});
    EXPECT_EQ(r.exit_code, 3) << r.err;
    const json report = json::parse(r.out);
    EXPECT_EQ(report["verdict"], "degraded");
    ASSERT_EQ(report["missing"].size(), 2U);
    EXPECT_EQ(report["missing"][0]["capability"], "CAP_SYS_PTRACE");
    EXPECT_EQ(report["missing"][1]["capability"], "CAP_SYS_ADMIN");
}

/// sd_notify(3): what Type=notify waits for.
TEST_F(Privileges, TheServiceManagerIsTold)
{
    const Folder folder;
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::snprintf(name.sun_path, sizeof(name.sun_path), "%s/notify", folder.path.c_str());
    const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
    const auto told = [socket] {
        pollfd p{socket, POLLIN, 0};
        char text[64]{};
        return poll(&p, 1, 60'000) == 1 && recv(socket, text, sizeof(text) - 1, 0) > 0
                   ? std::string(text)
                   : "nothing";
    };
    setenv("NOTIFY_SOCKET", name.sun_path, 1);
    Process tracer({tcpsaga_path(), "trace", "--netns", "self", "--attach", attach()});
    unsetenv("NOTIFY_SOCKET");
    EXPECT_EQ(told(), "READY=1");
    tracer.send(SIGTERM);
    EXPECT_EQ(told(), "STOPPING=1");
    EXPECT_EQ(tracer.wait(), 0);
    close(socket);
}

} // namespace
} // namespace live
