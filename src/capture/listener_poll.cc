// SPDX-License-Identifier: BSD-2-Clause
/* sock_diag(7) over NETLINK_SOCK_DIAG, by a socket that is made inside of the namespace. */
#include "tcpsaga/listener_poll.h"

#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "fd.h"

namespace tcpsaga {
namespace {

/// Where sk_drops is among the 32-bit words of INET_DIAG_SKMEMINFO.
constexpr std::size_t drops_offset = std::size_t{SK_MEMINFO_DROPS} * 4;
constexpr std::uint32_t listen_state = 1U << static_cast<unsigned>(State::listen);

struct Request {
    nlmsghdr head;
    inet_diag_req_v2 body;
};

bool ask(int socket, std::uint8_t family)
{
    Request request{};
    request.head.nlmsg_len = sizeof(request);
    request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.sdiag_family = family;
    request.body.sdiag_protocol = IPPROTO_TCP;
    request.body.idiag_states = listen_state;
    request.body.idiag_ext = 1U << (INET_DIAG_SKMEMINFO - 1);
    return ::send(socket, &request, sizeof(request), 0) == sizeof(request);
}

Address address_of(const inet_diag_msg& m)
{
    Address a;
    if (m.idiag_family == AF_INET) {
        a.bytes[10] = a.bytes[11] = 0xff;
        std::memcpy(a.bytes.data() + 12, m.id.idiag_src, 4); // NOLINT: the kernel's layout
    } else {
        std::memcpy(a.bytes.data(), m.id.idiag_src, 16);
    }
    return a;
}

PolledListener read_listener(const nlmsghdr& head, std::uint32_t netns)
{
    const auto& m = *static_cast<const inet_diag_msg*>(NLMSG_DATA(&head));
    PolledListener l;
    l.cookie = std::uint64_t{m.id.idiag_cookie[1]} << 32 | m.id.idiag_cookie[0];
    l.tuple.netns = netns;
    l.tuple.local = {address_of(m), ntohs(m.id.idiag_sport)};
    if (m.idiag_family == AF_INET) // 0.0.0.0, as records have it
        l.tuple.remote.addr.bytes[10] = l.tuple.remote.addr.bytes[11] = 0xff;
    l.inode = m.idiag_inode;
    l.acceptq = m.idiag_rqueue;
    l.acceptq_max = m.idiag_wqueue;
    auto left = static_cast<int>(head.nlmsg_len - NLMSG_LENGTH(sizeof(m)));
    for (const auto* a = reinterpret_cast<const rtattr*>(&m + 1); RTA_OK(a, left); // NOLINT
         a = RTA_NEXT(a, left))
        if (a->rta_type == INET_DIAG_SKMEMINFO && RTA_PAYLOAD(a) > drops_offset)
            std::memcpy(&l.drops, static_cast<const char*>(RTA_DATA(a)) + drops_offset, 4);
    return l;
}

/// Reads one dump to its end.
void collect(int socket, std::uint32_t netns, std::vector<PolledListener>& to)
{
    alignas(nlmsghdr) std::array<char, 32768> buffer{};
    for (;;) {
        const ssize_t n = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (n <= 0)
            return;
        auto left = static_cast<unsigned>(n);
        for (const auto* h = reinterpret_cast<const nlmsghdr*>(buffer.data()); // NOLINT
             NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
                return;
            to.push_back(read_listener(*h, netns));
        }
    }
}

Fd open_path(const std::string& path)
{
    return Fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
}

} // namespace

/// Paths, not descriptors or sockets: those would keep a namespace alive after its processes.
struct ListenerPoll::Namespaces {
    std::vector<std::uint32_t> wanted;
    Fd home = open_path("/proc/self/ns/net");
    std::map<std::uint32_t, std::string> paths;
    unsigned looks = 0;

    void find();
    [[nodiscard]] Fd socket_in(std::uint32_t inode, const std::string& path) const;
};

void ListenerPoll::Namespaces::find()
{
    paths.clear();
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
        if (std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0])) == 0)
            continue;
        const std::string path = entry.path().string() + "/ns/net";
        struct stat st {};
        if (::stat(path.c_str(), &st) != 0)
            continue;
        const auto inode = static_cast<std::uint32_t>(st.st_ino);
        if (wanted.empty() || std::ranges::find(wanted, inode) != wanted.end())
            paths.emplace(inode, path);
    }
}

/// Enters the namespace, opens a socket there, and comes back; none when it is gone.
Fd ListenerPoll::Namespaces::socket_in(std::uint32_t inode, const std::string& path) const
{
    const Fd there = open_path(path);
    struct stat st {};
    struct stat own {};
    if (!there || ::fstat(there.get(), &st) != 0 || st.st_ino != inode)
        return Fd{};
    const bool here = ::fstat(home.get(), &own) == 0 && own.st_ino == st.st_ino;
    if (!here && ::setns(there.get(), CLONE_NEWNET) != 0)
        return Fd{};
    Fd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
    if (!here && ::setns(home.get(), CLONE_NEWNET) != 0)
        std::abort(); // nothing that follows would be where it should be
    return socket;
}

ListenerPoll::ListenerPoll(std::vector<std::uint32_t> wanted)
    : namespaces_(std::make_unique<Namespaces>())
{
    namespaces_->wanted = std::move(wanted);
}
ListenerPoll::~ListenerPoll() = default;

std::vector<PolledListener> ListenerPoll::look()
{
    // Finding namespaces means reading all of /proc: not at every look.
    constexpr unsigned looks_between = 25;
    if (namespaces_->looks++ % looks_between == 0)
        namespaces_->find();
    std::vector<PolledListener> all;
    for (const auto& [inode, path] : namespaces_->paths) {
        const Fd socket = namespaces_->socket_in(inode, path);
        for (const std::uint8_t family : {AF_INET, AF_INET6})
            if (socket && ask(socket.get(), family))
                collect(socket.get(), inode, all);
    }
    return all;
}

} // namespace tcpsaga
