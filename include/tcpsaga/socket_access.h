// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <vector>

#include "tcpsaga/result.h"

namespace tcpsaga {

class KernelProber;

/// An error says why a snapshot of these namespaces (by inode) would not show their sockets: no
/// inet_diag and no BPF iterator, or one of them is not to be found.
Status check_socket_access(const std::vector<std::uint32_t>& netns, const KernelProber* kernel);

} // namespace tcpsaga
