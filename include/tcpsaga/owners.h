// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "tcpsaga/probe.h"
#include "tcpsaga/result.h"
#include "tcpsaga/snapshot.h"

namespace tcpsaga {

/// All descriptors that name a socket, by its inode number; each list by pid and fd.
using HolderTable = std::unordered_map<std::uint64_t, std::vector<Holder>>;

/// Tells who holds which socket, of all processes of this pid namespace and those below it:
/// forked ones that share a socket, those that got a descriptor passed, in whatever network
/// namespace. By the kernel's iterator over descriptors where it lets us, else by /proc, which
/// takes longer, needs CAP_SYS_PTRACE for the processes of others, and misses the descriptors of a
/// thread that has a table of its own or has outlived its process's first thread.
class OwnerReader {
public:
    /// Null: by /proc.
    explicit OwnerReader(const KernelProber* kernel);
    ~OwnerReader();
    OwnerReader(const OwnerReader&) = delete;
    OwnerReader& operator=(const OwnerReader&) = delete;

    /// Those who hold a socket now. By the iterator TCP and MPTCP sockets only, by /proc any.
    [[nodiscard]] HolderTable read() const;
    /// Whether the iterator is used, or why it is not.
    [[nodiscard]] const Status& iterator() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace tcpsaga
