// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <set>
#include <unordered_map>
#include <vector>

#include "tcpsaga/snapshot.h"

namespace tcpsaga {

/// Who holds these sockets, by inode number: the first process in /proc whose descriptors name
/// one. Sockets of processes that we may not look into, or of none, are left out.
std::unordered_map<std::uint64_t, Process> find_owners(const std::set<std::uint64_t>& inodes);

/// All descriptors in /proc that name a socket, by its inode number; each list by pid and fd.
/// Those of processes that we may not look into are left out.
std::unordered_map<std::uint64_t, std::vector<Holder>> find_holders();

} // namespace tcpsaga
