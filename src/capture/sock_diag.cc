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

void dump_sockets(std::uint32_t states, std::uint8_t extensions,
                  const std::function<void(const inet_diag_msg&, std::size_t)>& on_socket)
{
    const Fd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
    alignas(nlmsghdr) std::array<char, 32768> buffer{};
    for (const std::uint8_t family : {AF_INET, AF_INET6}) {
        bool more = socket && ask(socket.get(), family, states, extensions);
        while (more) {
            const ssize_t n = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
            more = n > 0;
            auto left = static_cast<unsigned>(more ? n : 0);
            for (const auto* h = reinterpret_cast<const nlmsghdr*>(buffer.data()); // NOLINT
                 more && NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                more = h->nlmsg_type != NLMSG_DONE && h->nlmsg_type != NLMSG_ERROR;
                if (more)
                    on_socket(*static_cast<const inet_diag_msg*>(NLMSG_DATA(h)),
                              h->nlmsg_len - NLMSG_LENGTH(0));
            }
        }
    }
}

} // namespace tcpsaga
