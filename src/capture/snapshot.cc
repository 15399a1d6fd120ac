// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/snapshot.h"

#include "netns.h"
#include "socket_dump.h"
#include "tcpsaga/owners.h"

namespace tcpsaga {
namespace {

void append(std::vector<SocketRow>& to, std::vector<SocketRow> more)
{
    if (to.empty())
        to = std::move(more);
    else
        to.insert(to.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
}

void name_holders(std::vector<SocketRow>& rows)
{
    auto holders = find_holders();
    for (SocketRow& row : rows)
        if (const auto found = holders.find(row.inode); found != holders.end() && row.inode != 0)
            row.holders = std::move(found->second);
}

} // namespace

std::vector<SocketRow> read_sockets(const std::vector<std::uint32_t>& netns, SocketDetail detail)
{
    std::vector<SocketRow> rows;
    Namespaces namespaces(netns);
    namespaces.find();
    for (const auto& [inode, path] : namespaces.paths())
        namespaces.visit(inode, [&] { append(rows, dump_socket_rows(detail)); });
    if (detail != SocketDetail::bare)
        name_holders(rows);
    return rows;
}

} // namespace tcpsaga
