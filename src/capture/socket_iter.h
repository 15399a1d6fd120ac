// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "iterator.h"
#include "tcpsaga/snapshot.h"

namespace tcpsaga {

/// All TCP sockets of this thread's network namespace by BPF's iterator over sockets, as
/// dump_socket_rows() has them: for kernels without inet_diag. In a busy table it may skip some.
std::vector<SocketRow> iterate_socket_rows(const Iterator& sockets);

} // namespace tcpsaga
