// SPDX-License-Identifier: BSD-2-Clause
#include "mixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace live {
namespace {

// Where nobody is: RFC 5737.
constexpr const char* own_addr = "192.0.2.1";
constexpr const char* nobody = "192.0.2.9";
constexpr std::uint32_t send_seq = 1000;
constexpr std::uint32_t receive_seq = 2000;

union Address {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
};

void check(bool good, const std::string& what)
{
    if (!good)
        throw std::runtime_error(what + ": " + std::strerror(errno));
}

std::pair<Address, socklen_t> address(const std::string& text, std::uint16_t port)
{
    Address a{};
    if (inet_pton(AF_INET, text.c_str(), &a.v4.sin_addr) == 1) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(port);
        return {a, sizeof(a.v4)};
    }
    check(inet_pton(AF_INET6, text.c_str(), &a.v6.sin6_addr) == 1, text);
    a.v6.sin6_family = AF_INET6;
    a.v6.sin6_port = htons(port);
    return {a, sizeof(a.v6)};
}

void set(int fd, int level, int option, int value)
{
    check(setsockopt(fd, level, option, &value, sizeof(value)) == 0, "setsockopt");
}

int stream_socket(int family, int flags = 0)
{
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    check(fd >= 0, "socket");
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    return fd;
}

int bound(const std::string& addr, std::uint16_t port, int flags = 0)
{
    const auto [a, size] = address(addr, port);
    const int fd = stream_socket(a.any.sa_family, flags);
    check(bind(fd, &a.any, size) == 0, "bind " + addr + " " + std::to_string(port));
    return fd;
}

int listener(const std::string& addr, std::uint16_t port, int backlog = 16)
{
    const int fd = bound(addr, port);
    check(listen(fd, backlog) == 0, "listen");
    return fd;
}

void connect_to(int fd, const std::string& addr, std::uint16_t port)
{
    const auto [a, size] = address(addr, port);
    check(connect(fd, &a.any, size) == 0 || errno == EINPROGRESS, "connect " + addr);
}

std::uint16_t port_of(int fd)
{
    Address a{};
    socklen_t size = sizeof(a);
    getsockname(fd, &a.any, &size);
    return ntohs(a.v4.sin_port); // the same place in both families
}

void write_all(int fd, std::size_t bytes)
{
    const std::string text(bytes, 'x');
    check(write(fd, text.data(), text.size()) == static_cast<ssize_t>(bytes), "write");
}

/// Until the other end has shown that its FIN, or data, is here.
void wait_readable(int fd)
{
    pollfd p{fd, POLLIN, 0};
    check(poll(&p, 1, 60'000) == 1, "poll");
}

/// The condition comes by itself, and nothing tells of it.
template <class Condition>
void wait_until(const char* what, const Condition& holds)
{
    for (int i = 0; i < 60'000; i++) {
        if (holds())
            return;
        usleep(1000);
    }
    throw std::runtime_error(std::string("never: ") + what);
}

void wait_acknowledged(int fd)
{
    wait_until("acknowledged", [&] {
        int bytes = 0;
        return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes == 0;
    });
}

/// The socket on 127.0.0.1 with that port; the state as /proc/net/tcp has it.
void wait_for_state(std::uint16_t port, const std::string& state)
{
    char wanted[16];
    std::snprintf(wanted, sizeof(wanted), ": 0100007F:%04X", port);
    wait_until("that state", [&] {
        std::ifstream file("/proc/thread-self/net/tcp");
        for (std::string line; std::getline(file, line);)
            if (line.find(wanted) != std::string::npos)
                return line.substr(line.find(wanted) + 30, 2) == state;
        return false;
    });
}

/// Neither the peer nor this end takes any more.
void fill(int fd)
{
    const std::string text(1 << 16, 'x');
    for (pollfd p{fd, POLLOUT, 0}; poll(&p, 1, 500) == 1;)
        while (write(fd, text.data(), text.size()) > 0) {
        }
}

} // namespace

Sock::Sock(Sock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Sock::~Sock()
{
    if (fd_ >= 0)
        close(fd_);
}

Mixture::Mixture() : here_(netns_inode())
{
    listen_and_wait();
    over_loopback();
    endings();
    to_nobody();
    in_both_families();
    elsewhere();
}

int Mixture::keep(int fd)
{
    socks_.emplace_back(fd);
    return fd;
}

std::pair<int, int> Mixture::pair(int listener, const std::string& addr, std::uint16_t from)
{
    const int client = bound(addr, from);
    connect_to(client, addr, port_of(listener));
    const int server = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    check(server >= 0, "accept");
    return {client, server};
}

void Mixture::listen_and_wait()
{
    const int full = keep(listener("127.0.0.1", waiting_port, 5));
    for (int i = 0; i < 3; i++)
        connect_to(keep(stream_socket(AF_INET)), "127.0.0.1", port_of(full));
}

void Mixture::over_loopback()
{
    const int at = keep(listener("127.0.0.1", 82));
    const auto add = [&](std::uint16_t from) {
        const auto ends = pair(at, "127.0.0.1", from);
        keep(ends.first);
        keep(ends.second);
        return ends;
    };
    const auto unread = add(unread_port);
    write_all(unread.first, 7);
    wait_readable(unread.second);
    wait_acknowledged(unread.first);
    const auto stuffed = add(2002);
    check(fcntl(stuffed.first, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    fill(stuffed.first);
    const auto shared = add(shared_port);
    check(fcntl(shared.first, F_SETFD, 0) == 0, "fcntl");
    sharer_ = std::make_unique<Process>(std::vector<std::string>{"sleep", "1000"});
    check(fcntl(shared.first, F_SETFD, FD_CLOEXEC) == 0, "fcntl");
    const auto alive = add(2005);
    set(alive.first, IPPROTO_TCP, TCP_KEEPIDLE, 100);
    set(alive.first, SOL_SOCKET, SO_KEEPALIVE, 1);
    setfsuid(other_uid);
    const int other = stream_socket(AF_INET);
    setfsuid(0);
    const auto [from, size] = address("127.0.0.1", other_port);
    check(bind(other, &from.any, size) == 0, "bind");
    connect_to(keep(other), "127.0.0.1", 82);
    keep(accept4(at, nullptr, nullptr, SOCK_CLOEXEC));
}

void Mixture::endings()
{
    const int at = keep(listener("127.0.0.1", 83));
    const auto half = pair(at, "127.0.0.1", half_port); // FIN_WAIT2 and CLOSE_WAIT
    write_all(keep(half.first), 5);
    shutdown(half.first, SHUT_WR);
    wait_readable(keep(half.second));
    wait_for_state(half_port, "05");
    const auto gone = pair(at, "127.0.0.1", 2007); // FIN_WAIT2 as a small socket, CLOSE_WAIT
    close(gone.first);
    wait_readable(keep(gone.second));
    wait_for_state(2007, "05");
    const auto over = pair(at, "127.0.0.1", 2008); // TIME_WAIT
    shutdown(over.first, SHUT_WR);
    wait_readable(over.second);
    close(over.second);
    wait_readable(over.first);
    close(over.first);
    wait_for_state(2008, "06");
}

/// In ESTABLISHED with a peer that there is not.
int Mixture::repaired(std::uint16_t port)
{
    const int fd = keep(stream_socket(AF_INET));
    set(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
    const auto [a, size] = address(own_addr, port);
    check(bind(fd, &a.any, size) == 0, "bind");
    set(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
    set(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, send_seq);
    set(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
    set(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, receive_seq);
    connect_to(fd, nobody, 9);
    const std::array<std::uint32_t, 5> window{receive_seq, 65535, 65535, 65535, receive_seq};
    check(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, window.data(), sizeof(window)) == 0,
          "TCP_REPAIR_WINDOW");
    set(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
    return fd;
}

void Mixture::fin_to(std::uint16_t port)
{
    const auto r = run({peer_path(), "fin", nobody, "9", own_addr, std::to_string(port),
                        std::to_string(receive_seq), std::to_string(send_seq)});
    check(r.exit_code == 0, r.err);
}

void Mixture::to_nobody()
{
    for (const char* what :
         {"link add out type veth peer name nowhere", "addr add 192.0.2.1/24 dev out",
          "link set out arp off up", "link set nowhere up"}) {
        const auto r = run({"sh", "-c", std::string("ip ") + what});
        check(r.exit_code == 0, r.err);
    }
    const int calling = keep(stream_socket(AF_INET, SOCK_NONBLOCK));
    set(calling, IPPROTO_TCP, TCP_SYNCNT, 20); // for longer than a slow machine takes to look
    connect_to(calling, nobody, 9);            // SYN_SENT
    set_sysctl("net/ipv4/tcp_synack_retries", "20");
    keep(listener(own_addr, 84));
    check(run({peer_path(), "flood", own_addr, "84", "2"}).exit_code == 0, "flood"); // SYN_RECV
    write_all(repaired(3001), 100);
    shutdown(repaired(3002), SHUT_WR); // FIN_WAIT1
    const int closing = repaired(3003);
    shutdown(closing, SHUT_WR);
    fin_to(3003);
    wait_readable(closing);
    const int last = repaired(3004);
    fin_to(3004);
    wait_readable(last);
    shutdown(last, SHUT_WR); // LAST_ACK
}

void Mixture::in_both_families()
{
    const int v6 = keep(listener("::1", 85));
    const auto both = pair(v6, "::1", 2101);
    write_all(keep(both.first), 3);
    wait_readable(keep(both.second));
    wait_acknowledged(both.first);
    const int dual = keep(listener("::", 86));
    const int client = keep(bound("127.0.0.1", 2102));
    connect_to(client, "127.0.0.1", 86); // the accepted end is v4-mapped
    keep(accept4(dual, nullptr, nullptr, SOCK_CLOEXEC));
    const int only = keep(stream_socket(AF_INET6));
    set(only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    const auto [a, size] = address("::", 87);
    check(bind(only, &a.any, size) == 0 && listen(only, 1) == 0, "listen");
}

/// Our own client there, and a process that lives there.
void Mixture::elsewhere()
{
    const int home = keep_netns();
    enter_new_netns();
    there_ = netns_inode();
    far_ = std::make_unique<Listening>(std::vector<std::string>{peer_path(), "hold", "127.0.0.1",
                                                                "0", "7"});
    connect_to(keep(stream_socket(AF_INET)), "127.0.0.1", far_->port);
    join_netns(home);
}

} // namespace live
