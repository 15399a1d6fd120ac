// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* sock_diag(7) over NETLINK_SOCK_DIAG. */
#include <linux/inet_diag.h>
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "tcpsaga/connection.h"

namespace tcpsaga {

/// TCP sockets of this thread's network namespace, of both families; v4-mapped ones come with
/// the IPv6 ones. `states`: a bit per kernel state number; `extensions`: as in inet_diag_req_v2.
/// The message ends `size` bytes behind its start.
void dump_sockets(std::uint32_t states, std::uint8_t extensions,
                  const std::function<void(const inet_diag_msg& m, std::size_t size)>& on_socket);

/// The kernel answers such requests: sock_diag and tcp_diag are there.
bool has_inet_diag();

Address local_of(const inet_diag_msg& m);
Address remote_of(const inet_diag_msg& m);
/// The socket cookie.
std::uint64_t cookie_of(const inet_diag_msg& m);

/// The payload of an attribute (INET_DIAG_…) behind a message of that size; empty = it has none.
std::span<const std::byte> attribute_of(const inet_diag_msg& m, std::size_t size, int type);
/// The id of the cgroup (v2) that it was made in, which the kernel tells of full sockets; 0 = not
/// told.
std::uint64_t cgroup_of(const inet_diag_msg& m, std::size_t size);

} // namespace tcpsaga
