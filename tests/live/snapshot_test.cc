// SPDX-License-Identifier: BSD-2-Clause
/* What is there now: all sockets, and who holds them, by each way that the kernel gives. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "capture/fd.h"
#include "capture/socket_dump.h"
#include "capture/socket_iter.h"
#include "saga.h"
#include "tcpsaga/owners.h"
#include "tcpsaga/process_info.h"
#include "tcpsaga/processes.h"
#include "tcpsaga/snapshot.h"

namespace live {
namespace {

using tcpsaga::Fd;
using tcpsaga::Holder;
using tcpsaga::SocketRow;
using tcpsaga::SocketTimer;
using tcpsaga::State;

class Snapshot : public Live {};

/// The only socket of that port in that state.
SocketRow row_of(const std::vector<SocketRow>& rows, std::uint16_t lport, State state)
{
    const auto wanted = [&](const SocketRow& r) {
        return r.tuple.local.port == lport && r.state == state;
    };
    EXPECT_EQ(std::ranges::count_if(rows, wanted), 1) << lport;
    const auto found = std::ranges::find_if(rows, wanted);
    return found != rows.end() ? *found : SocketRow{};
}

std::vector<std::uint32_t> pids_of(const SocketRow& row)
{
    std::vector<std::uint32_t> pids;
    for (const Holder& h : row.holders)
        pids.push_back(h.process.pid);
    return pids;
}

std::string name_of(const Holder& h)
{
    return {h.process.comm.data(), ::strnlen(h.process.comm.data(), h.process.comm.size())};
}

const tcpsaga::KernelProber& kernel()
{
    static const tcpsaga::KernelProber it;
    return it;
}

tcpsaga::SnapshotReader reader()
{
    return tcpsaga::SnapshotReader(&kernel());
}

std::vector<SocketRow> sockets_here()
{
    return reader().read({netns_inode()});
}

TEST_F(Snapshot, AllWorkersOfAForkedListener)
{
    Listening server({peer_path(), "prefork", "127.0.0.1", "0", "3"});
    std::vector<std::uint32_t> pids{static_cast<std::uint32_t>(server.process.pid())};
    ASSERT_TRUE(server.process.wait_out([&](const std::string& line) {
        if (std::uint32_t pid = 0; std::sscanf(line.c_str(), "worker %u", &pid) == 1)
            pids.push_back(pid);
        return line == "ready";
    }));
    ASSERT_EQ(pids.size(), 4U);
    std::ranges::sort(pids);
    const SocketRow listener = row_of(sockets_here(), server.port, State::listen);
    EXPECT_EQ(pids_of(listener), pids);
    for (const Holder& h : listener.holders) {
        EXPECT_EQ(name_of(h), "peer");
        EXPECT_EQ(h.process.uid, 0U);
        EXPECT_EQ(h.process.from, tcpsaga::PidFrom::snapshot);
        EXPECT_EQ(h.fd, listener.holders[0].fd);
    }
    EXPECT_EQ(tcpsaga::OwnerReader(&kernel()).read().at(listener.inode).front().process.pid,
              pids[0]);
}

TEST_F(Snapshot, ADescriptorThatWasPassed)
{
    Listening server({peer_path(), "pass", "127.0.0.1", "0"});
    Process client({peer_path(), "rush", "127.0.0.1", std::to_string(server.port), "1"});
    std::uint32_t pid = 0;
    int fd = -1;
    ASSERT_TRUE(server.process.wait_out([&](const std::string& line) {
        return std::sscanf(line.c_str(), "passed %u %d", &pid, &fd) == 2;
    }));
    const auto rows = sockets_here();
    const SocketRow passed = row_of(rows, server.port, State::established);
    ASSERT_EQ(passed.holders.size(), 1U);
    EXPECT_EQ(passed.holders[0].process.pid, pid);
    EXPECT_EQ(passed.holders[0].fd, fd);
    const SocketRow theirs = row_of(rows, passed.tuple.remote.port, State::established);
    EXPECT_EQ(pids_of(theirs), std::vector{static_cast<std::uint32_t>(client.pid())});
    EXPECT_EQ(theirs.tuple.remote, passed.tuple.local);
}

/// The process that this one is the parent of.
std::uint32_t child_of(pid_t parent)
{
    std::uint32_t child = 0;
    tcpsaga::for_each_process([&](std::uint32_t pid, const std::filesystem::path& folder) {
        const std::string stat = tcpsaga::read_proc_file(folder / "stat");
        const auto comm_end = stat.rfind(") ");
        int its_parent = 0;
        if (comm_end != std::string::npos &&
            std::sscanf(stat.c_str() + comm_end, ") %*c %d", &its_parent) == 1 &&
            its_parent == parent)
            child = pid;
        return child == 0;
    });
    return child;
}

TEST_F(Snapshot, AProcessInOtherNamespaces)
{
    Listening server({"unshare", "--net", "--pid", "--fork", "--kill-child", peer_path(), "hold",
                      "0.0.0.0", "0", "5"});
    ASSERT_NE(server.port, 0);
    const std::uint32_t pid = child_of(server.process.pid());
    const auto rows = reader().read({});
    const auto held = [&](const SocketRow& r) {
        return pids_of(r) == std::vector{pid} && r.tuple.local.port == server.port;
    };
    ASSERT_EQ(std::ranges::count_if(rows, held), 1);
    const SocketRow listener = *std::ranges::find_if(rows, held);
    EXPECT_EQ(listener.state, State::listen);
    EXPECT_NE(listener.tuple.netns, netns_inode());
    EXPECT_EQ(listener.holders[0].inner_pid, 1U);
    EXPECT_EQ(listener.tx_queue, 5U);

    tcpsaga::ProcessInfos infos;
    const tcpsaga::ProcessInfo* info = infos.of(pid, 0);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->inner_pid, 1U);
    EXPECT_EQ(info->netns, listener.tuple.netns);
    EXPECT_EQ(info->command, peer_path() + " hold 0.0.0.0 0 5");
    tcpsaga::NetnsNames names;
    EXPECT_EQ(names.of(listener.tuple.netns, 0),
              "pid " + std::to_string(server.process.pid()) + " (unshare)");
}

/// A namespace that has a name and no process; what is left of its last connection.
TEST_F(Snapshot, ANamespaceWithoutAProcess)
{
    const std::string name = "tcpsaga" + std::to_string(getpid());
    ASSERT_EQ(run({"ip", "netns", "add", name}).exit_code, 0);
    std::uint16_t port = 0;
    std::uint32_t netns = 0;
    {
        EXPECT_EQ(run({"ip", "-n", name, "link", "set", "lo", "up"}).exit_code, 0);
        Listening server({"ip", "netns", "exec", name, peer_path(), "serve", "127.0.0.1", "0",
                          "1"});
        port = server.port;
        netns =
            tcpsaga::ProcessInfos().of(static_cast<std::uint32_t>(server.process.pid()), 0)->netns;
        EXPECT_EQ(run({"ip", "netns", "exec", name, peer_path(), "storm", "127.0.0.1",
                       std::to_string(port), "1"})
                      .exit_code,
                  0);
        EXPECT_EQ(server.process.wait(), 0);
    }
    const auto rows = reader().read({netns});
    const auto waits = [&](const SocketRow& r) {
        return r.state == State::time_wait && r.tuple.remote.port == port;
    };
    EXPECT_EQ(std::ranges::count_if(rows, waits), 1);
    for (const SocketRow& r : rows) {
        EXPECT_EQ(r.tuple.netns, netns);
        EXPECT_TRUE(r.holders.empty());
    }
    tcpsaga::NetnsNames names;
    EXPECT_EQ(names.of(netns, 0), name);
    EXPECT_EQ(run({"ip", "netns", "del", name}).exit_code, 0);
}

/// A thread with a descriptor table of its own: /proc/PID/fd does not show it.
TEST_F(Snapshot, ADescriptorOfAThreadAlone)
{
    const tcpsaga::OwnerReader reader(&kernel());
    ASSERT_TRUE(reader.iterator()) << reader.iterator().error().message();
    std::thread([&] {
        ASSERT_EQ(unshare(CLONE_FILES), 0);
        const Fd own{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        struct stat st {};
        fstat(own.get(), &st);
        const auto table = reader.read();
        ASSERT_TRUE(table.contains(st.st_ino));
        ASSERT_EQ(table.at(st.st_ino).size(), 1U);
        EXPECT_EQ(table.at(st.st_ino)[0].process.pid, static_cast<std::uint32_t>(getpid()));
        EXPECT_EQ(table.at(st.st_ino)[0].fd, own.get());
    }).join();
}

int listen_on(int family, const char* addr, sockaddr_storage& at)
{
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&at);
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&at);
    at = {};
    at.ss_family = static_cast<sa_family_t>(family);
    inet_pton(family, addr, family == AF_INET ? static_cast<void*>(&v4->sin_addr) : &v6->sin6_addr);
    socklen_t size = sizeof(at);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(listen(fd, 7), 0);
    getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    return fd;
}

int connect_to(const sockaddr_storage& at, int flags = 0)
{
    const int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    const int done = connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof(at));
    EXPECT_TRUE(done == 0 || errno == EINPROGRESS);
    return fd;
}

void set_option(int fd, int level, int option, int value)
{
    EXPECT_EQ(setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

/// Until all that was sent is acknowledged: an ACK may wait for 40 ms.
void settle(int fd)
{
    tcp_info info{};
    socklen_t size = sizeof(info);
    while (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           (info.tcpi_unacked != 0 || info.tcpi_state == TCP_FIN_WAIT1))
        usleep(1000);
}

/// Sockets of this process in most states, with bytes and timers.
struct Mixture {
    std::vector<Fd> fds;
    sockaddr_storage v4{};
    sockaddr_storage v6{};

    void keep(int fd) { fds.emplace_back(fd); }
    int last() const { return fds.back().get(); }
    int accepted(int listener)
    {
        keep(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        return last();
    }

    Mixture()
    {
        // What goes to the others of this net comes back to a host that does not forward.
        EXPECT_EQ(run({"ip", "addr", "add", "192.0.2.1/32", "dev", "lo"}).exit_code, 0);
        EXPECT_EQ(run({"ip", "route", "add", "192.0.2.0/24", "dev", "lo"}).exit_code, 0);
        keep(listen_on(AF_INET, "0.0.0.0", v4));
        const int listener = last();
        keep(listen_on(AF_INET6, "::", v6));
        const int listener6 = last();
        // ESTABLISHED, with what was not read, and a keepalive timer
        keep(connect_to(v4));
        const int writer = last();
        EXPECT_EQ(write(writer, "abcdefg", 7), 7);
        char byte = 0;
        EXPECT_EQ(read(accepted(listener), &byte, 1), 1);
        set_option(last(), SOL_SOCKET, SO_KEEPALIVE, 1);
        // IPv6, and IPv4 mapped
        keep(connect_to(v6));
        accepted(listener6);
        sockaddr_storage mapped = v6;
        inet_pton(AF_INET6, "::ffff:127.0.0.1",
                  &reinterpret_cast<sockaddr_in6*>(&mapped)->sin6_addr);
        keep(connect_to(mapped));
        accepted(listener6);
        // FIN_WAIT2 and CLOSE_WAIT
        keep(connect_to(v4));
        const int finisher = last();
        shutdown(finisher, SHUT_WR);
        EXPECT_EQ(read(accepted(listener), &byte, 1), 0);
        settle(writer);
        settle(finisher);
        // TIME_WAIT
        Fd first(connect_to(v4));
        Fd second(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        first = Fd();
        EXPECT_EQ(read(second.get(), &byte, 1), 0);
        second = Fd();
        // not accepted
        keep(connect_to(v4));
        // SYN_SENT, and requests, to and from where nobody answers
        sockaddr_storage away = v4;
        inet_pton(AF_INET, "192.0.2.9", &reinterpret_cast<sockaddr_in*>(&away)->sin_addr);
        keep(connect_to(away, SOCK_NONBLOCK));
        const auto port = std::to_string(ntohs(reinterpret_cast<sockaddr_in*>(&v4)->sin_port));
        EXPECT_EQ(run({peer_path(), "flood", "192.0.2.1", port, "3"}).exit_code, 0);
    }
};

std::vector<SocketRow> iterated()
{
    const auto iterator = tcpsaga::Iterator::load(tcpsaga::Iterator::Over::sockets, kernel());
    EXPECT_TRUE(iterator) << iterator.error().message();
    return iterator ? tcpsaga::iterate_socket_rows(*iterator) : std::vector<SocketRow>{};
}

std::map<State, int> states_of(const std::vector<SocketRow>& rows)
{
    std::map<State, int> n;
    for (const SocketRow& r : rows)
        n[r.state]++;
    return n;
}

/// Field by field, of two looks within `apart_ms`; a retransmission may happen between them.
void expect_same(const SocketRow& a, const SocketRow& b, double apart_ms)
{
    EXPECT_EQ(a.tuple, b.tuple);
    EXPECT_EQ(a.family, b.family);
    EXPECT_EQ(a.state, b.state);
    EXPECT_EQ(a.inode, b.inode);
    EXPECT_EQ(a.uid, b.uid);
    EXPECT_EQ(a.rx_queue, b.rx_queue);
    EXPECT_EQ(a.tx_queue, b.tx_queue);
    EXPECT_EQ(a.tx_bytes, b.tx_bytes);
    EXPECT_EQ(a.rx_bytes, b.rx_bytes);
    EXPECT_EQ(a.rtt_us, b.rtt_us);
    const bool waits_for_answer = a.timer == SocketTimer::on;
    if (!waits_for_answer) {
        EXPECT_EQ(a.timer, b.timer);
        EXPECT_EQ(a.retries, b.retries);
        EXPECT_EQ(a.retransmits, b.retransmits);
        EXPECT_NEAR(a.timer_ms, b.timer_ms, apart_ms + 1000) << static_cast<int>(a.timer);
    }
}

TEST_F(Snapshot, IteratorAndInetDiagAgree)
{
    const Mixture sockets;
    const auto begin = std::chrono::steady_clock::now();
    const auto by_diag = tcpsaga::dump_socket_rows();
    const auto by_iterator = iterated();
    const std::chrono::duration<double, std::milli> apart =
        std::chrono::steady_clock::now() - begin;
    const std::map<State, int> all{{State::listen, 2},      {State::established, 8},
                                   {State::fin_wait2, 1},   {State::close_wait, 1},
                                   {State::time_wait, 1},   {State::syn_sent, 1},
                                   {State::new_syn_recv, 3}};
    EXPECT_EQ(states_of(by_diag), all);
    EXPECT_EQ(states_of(by_iterator), all);
    ASSERT_EQ(by_iterator.size(), by_diag.size());
    for (std::size_t i = 0; i < by_diag.size(); i++) { // both by cookie
        SCOPED_TRACE(testing::Message()
                     << to_string(by_diag[i].tuple.local.addr) << " " << name_of(by_diag[i].state));
        EXPECT_EQ(by_iterator[i].cookie, by_diag[i].cookie);
        expect_same(by_diag[i], by_iterator[i], apart.count());
    }
    const auto timers = [&](SocketTimer t) {
        return std::ranges::count(by_iterator, t, &SocketRow::timer);
    };
    EXPECT_EQ(timers(SocketTimer::keepalive), 1);
    EXPECT_EQ(timers(SocketTimer::time_wait), 1);
    EXPECT_GE(timers(SocketTimer::on), 4); // the SYN and the SYN-ACKs
}

/// Of sockets that nobody has asked for theirs before.
TEST_F(Snapshot, TheIteratorMakesCookies)
{
    const Mixture sockets;
    const auto rows = iterated();
    ASSERT_GE(rows.size(), 14U);
    utsname kernel{};
    uname(&kernel);
    const bool old = std::string_view(kernel.release).starts_with("5.10.");
    for (const SocketRow& r : rows) // an address of the kernel's is in the upper half
        EXPECT_EQ(r.cookie >> 63U, old ? 1U : 0U) << r.cookie;
    if (old)
        return;
    const auto again = tcpsaga::dump_socket_rows();
    ASSERT_EQ(again.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); i++)
        EXPECT_EQ(again[i].cookie, rows[i].cookie);
}

TEST_F(Snapshot, IteratorAndProcGiveTheSameHolders)
{
    const Mixture sockets;
    Listening forked({peer_path(), "prefork", "127.0.0.1", "0", "2"});
    ASSERT_TRUE(forked.process.wait_out([](const std::string& l) { return l == "ready"; }));
    Listening inner({"setpriv", "--reuid=4321", "--clear-groups", "unshare", "--user",
                     "--map-root-user", "--pid", "--fork", "--kill-child", peer_path(), "hold",
                     "::", "0", "5"});
    ASSERT_NE(inner.port, 0);
    const tcpsaga::OwnerReader best(&kernel());
    const tcpsaga::OwnerReader proc(nullptr);
    ASSERT_TRUE(best.iterator()) << best.iterator().error().message();
    ASSERT_FALSE(proc.iterator());
    const auto by_iterator = best.read();
    const auto by_proc = proc.read();
    std::size_t held = 0;
    std::size_t holders = 0;
    std::size_t of_others = 0;
    for (const SocketRow& r : tcpsaga::dump_socket_rows()) {
        if (r.inode == 0)
            continue;
        ASSERT_TRUE(by_proc.contains(r.inode));
        ASSERT_TRUE(by_iterator.contains(r.inode));
        EXPECT_EQ(by_iterator.at(r.inode), by_proc.at(r.inode)) << r.tuple.local.port;
        of_others += by_proc.at(r.inode)[0].process.uid == 4321 ? 1 : 0;
        held++;
        holders += by_proc.at(r.inode).size();
    }
    EXPECT_EQ(held, sockets.fds.size() + 2);
    EXPECT_EQ(holders, sockets.fds.size() + 4);
    EXPECT_EQ(of_others, 1U);
}

} // namespace
} // namespace live
