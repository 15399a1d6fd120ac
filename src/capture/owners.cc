// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/owners.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>

#include "iterator.h"
#include "proc_holders.h"
#include "tcpsaga/abi_snapshot.h"

namespace tcpsaga {
namespace {

Holder decode(const ts_holder& row)
{
    constexpr std::uint64_t ns_per_tick = 10'000'000; // of /proc: USER_HZ is 100
    Holder h;
    h.process = {row.pid, row.uid, {}, PidFrom::snapshot};
    std::memcpy(h.process.comm.data(), row.comm, sizeof(row.comm));
    h.fd = row.fd;
    h.inner_pid = row.inner_pid;
    h.started = row.started_ns / ns_per_tick;
    return h;
}

/// Threads that share a table other than their process's show it once each.
void sort_out(std::vector<Holder>& holders)
{
    const auto key = [](const Holder& h) { return std::tuple(h.process.pid, h.fd); };
    std::ranges::sort(holders, {}, key);
    const auto repeated = std::ranges::unique(holders, {}, key);
    holders.erase(repeated.begin(), repeated.end());
}

HolderTable decode(const std::vector<std::byte>& bytes)
{
    HolderTable table;
    const auto rows = rows_of<ts_holder>(bytes);
    table.reserve(rows.size());
    for (const ts_holder& row : rows)
        table[row.inode].push_back(decode(row));
    return table;
}

} // namespace

struct OwnerReader::Impl {
    std::optional<Iterator> iterator;
    Status status = Nothing{};

    [[nodiscard]] HolderTable holders() const
    {
        if (iterator)
            if (const auto bytes = iterator->read())
                return decode(*bytes);
        return read_proc_holders();
    }
};

OwnerReader::OwnerReader(const KernelProber* kernel) : impl_(std::make_unique<Impl>())
{
    if (kernel == nullptr) {
        impl_->status = Error{"not asked for", "iter/task_file", 0, ""};
        return;
    }
    if (auto loaded = Iterator::load(Iterator::Over::holders, *kernel))
        impl_->iterator = std::move(*loaded);
    else
        impl_->status = loaded.error();
}

OwnerReader::~OwnerReader() = default;

HolderTable OwnerReader::read() const
{
    HolderTable table = impl_->holders();
    for (auto& [inode, holders] : table)
        sort_out(holders);
    return table;
}

const Status& OwnerReader::iterator() const
{
    return impl_->status;
}

} // namespace tcpsaga
