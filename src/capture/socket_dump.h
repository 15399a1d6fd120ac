// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <vector>

#include "tcpsaga/snapshot.h"

struct tcp_info; // linux/tcp.h or netinet/tcp.h

namespace tcpsaga {

/// All TCP sockets of this thread's network namespace by inet_diag, one row per cookie; without
/// holders. A small socket that stands for FIN_WAIT2 comes as such. Empty where there is no
/// inet_diag.
std::vector<SocketRow> dump_socket_rows(SocketDetail detail = SocketDetail::with_info);

/// What the kernel counted, as a row has it. The rest of the row is filled already.
void add_info(SocketRow& row, const tcp_info& info);

/// Leaves one row per cookie, the later one.
void drop_repeated(std::vector<SocketRow>& rows);

} // namespace tcpsaga
