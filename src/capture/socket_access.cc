// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/socket_access.h"

#include "iterator.h"
#include "netns.h"
#include "sock_diag.h"

namespace tcpsaga {

Status check_socket_access(const std::vector<std::uint32_t>& netns, const KernelProber* kernel)
{
    if (!has_inet_diag() &&
        (kernel == nullptr || !Iterator::load(Iterator::Over::sockets, *kernel)))
        return Error{"cannot list sockets:", "this kernel has no inet_diag", 0,
                     "modprobe tcp_diag"};
    Namespaces namespaces(netns);
    if (!netns.empty())
        namespaces.find();
    for (const std::uint32_t inode : netns)
        if (!namespaces.paths().contains(inode))
            return Error{"cannot look into network namespace", std::to_string(inode), 0,
                         "it has no name, and no process that we may look at lives in it"};
    return Nothing{};
}

} // namespace tcpsaga
