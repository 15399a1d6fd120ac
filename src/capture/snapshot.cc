// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/snapshot.h"

#include <optional>

#include "iterator.h"
#include "netns.h"
#include "sock_diag.h"
#include "socket_dump.h"
#include "socket_iter.h"
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

/// Several sockets may have one inode number: the subflows of an MPTCP connection.
void name_holders(std::vector<SocketRow>& rows, const HolderTable& holders)
{
    for (SocketRow& row : rows)
        if (const auto found = holders.find(row.inode); found != holders.end() && row.inode != 0)
            row.holders = found->second;
}

} // namespace

struct SnapshotReader::Impl {
    OwnerReader owners;
    std::optional<Iterator> sockets; // where there is no inet_diag

    explicit Impl(const KernelProber* kernel) : owners(kernel)
    {
        if (kernel == nullptr || has_inet_diag())
            return;
        if (auto loaded = Iterator::load(Iterator::Over::sockets, *kernel))
            sockets = std::move(*loaded);
    }
    [[nodiscard]] std::vector<SocketRow> rows_here(SocketDetail detail) const
    {
        return sockets ? iterate_socket_rows(*sockets) : dump_socket_rows(detail);
    }
};

SnapshotReader::SnapshotReader(const KernelProber* kernel) : impl_(std::make_unique<Impl>(kernel))
{
}
SnapshotReader::~SnapshotReader() = default;

std::vector<SocketRow> SnapshotReader::read(const std::vector<std::uint32_t>& netns,
                                            SocketDetail detail) const
{
    std::vector<SocketRow> rows;
    Namespaces namespaces(netns);
    namespaces.find();
    for (const auto& [inode, path] : namespaces.paths())
        namespaces.visit(inode, [&] { append(rows, impl_->rows_here(detail)); });
    if (detail != SocketDetail::bare)
        name_holders(rows, impl_->owners.read());
    return rows;
}

} // namespace tcpsaga
