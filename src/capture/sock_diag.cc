// SPDX-License-Identifier: BSD-2-Clause
#include "sock_diag.h"

#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "fd.h"

namespace tcpsaga {
namespace {

struct Request {
    nlmsghdr head;
    inet_diag_req_v2 body;
};

bool ask(int socket, std::uint8_t family, std::uint32_t states, std::uint8_t extensions)
{
    Request request{};
    request.head.nlmsg_len = sizeof(request);
    request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.sdiag_family = family;
    request.body.sdiag_protocol = IPPROTO_TCP;
    request.body.idiag_states = states;
    request.body.idiag_ext = extensions;
    return ::send(socket, &request, sizeof(request), 0) == sizeof(request);
}

/// The oldest form of the question: both families in one pass over the kernel's table.
bool ask_for_all(int socket, std::uint32_t states, std::uint8_t extensions)
{
    struct {
        nlmsghdr head;
        inet_diag_req body;
    } request{};
    request.head.nlmsg_len = sizeof(request);
    request.head.nlmsg_type = TCPDIAG_GETSOCK;
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.body.idiag_states = states;
    request.body.idiag_ext = extensions;
    return ::send(socket, &request, sizeof(request), 0) == sizeof(request);
}

/// What a dump ended with (netlink_dump_done): NLMSG_DONE and NLMSG_ERROR both begin so.
int error_of(const nlmsghdr& h)
{
    int err = 0;
    if (h.nlmsg_len >= NLMSG_LENGTH(sizeof(err)))
        std::memcpy(&err, NLMSG_DATA(&h), sizeof(err));
    return err;
}

using OnSocket = std::function<void(const inet_diag_msg&, std::size_t)>;

/// Reads a dump to its end, as much as the kernel gives at a time; false when it did not answer
/// with any.
bool receive(int socket, const OnSocket& on_socket)
{
    alignas(nlmsghdr) std::array<char, 32768> buffer{};
    for (bool any = false;;) {
        const ssize_t n = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (n <= 0)
            return any;
        auto left = static_cast<unsigned>(n);
        for (const auto* h = reinterpret_cast<const nlmsghdr*>(buffer.data()); // NOLINT
             NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
                return any || error_of(*h) == 0;
            any = true;
            on_socket(*static_cast<const inet_diag_msg*>(NLMSG_DATA(h)),
                      h->nlmsg_len - NLMSG_LENGTH(0));
        }
    }
}

Address address_of(std::uint8_t family, const void* words)
{
    Address a;
    if (family == AF_INET) {
        a.bytes[10] = a.bytes[11] = 0xff;
        std::memcpy(a.bytes.data() + 12, words, 4);
    } else {
        std::memcpy(a.bytes.data(), words, 16);
    }
    return a;
}

} // namespace

Address local_of(const inet_diag_msg& m)
{
    return address_of(m.idiag_family, m.id.idiag_src); // NOLINT: the kernel's layout
}

Address remote_of(const inet_diag_msg& m)
{
    return address_of(m.idiag_family, m.id.idiag_dst); // NOLINT: the kernel's layout
}

std::uint64_t cookie_of(const inet_diag_msg& m)
{
    return std::uint64_t{m.id.idiag_cookie[1]} << 32 | m.id.idiag_cookie[0];
}

std::span<const std::byte> attribute_of(const inet_diag_msg& m, std::size_t size, int type)
{
    auto left = static_cast<int>(size - sizeof(m));
    for (const auto* a = reinterpret_cast<const rtattr*>(&m + 1); RTA_OK(a, left); // NOLINT
         a = RTA_NEXT(a, left))
        if (a->rta_type == type)
            return {static_cast<const std::byte*>(RTA_DATA(a)), RTA_PAYLOAD(a)};
    return {};
}

bool has_inet_diag()
{
    const Fd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
    const auto nothing = [](const inet_diag_msg&, std::size_t) {};
    return socket && ask(socket.get(), AF_INET, 0, 0) && receive(socket.get(), nothing);
}

void dump_sockets(std::uint32_t states, std::uint8_t extensions, const OnSocket& on_socket)
{
    const Fd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
    if (socket && ask_for_all(socket.get(), states, extensions) && receive(socket.get(), on_socket))
        return;
    for (const std::uint8_t family : {AF_INET, AF_INET6})
        if (!socket || !ask(socket.get(), family, states, extensions) ||
            !receive(socket.get(), on_socket))
            return;
}

} // namespace tcpsaga
