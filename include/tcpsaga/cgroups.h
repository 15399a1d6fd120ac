// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <filesystem>
#include <unordered_set>

namespace tcpsaga {

/// The ids (inode numbers) of a cgroup and of those below it now, by its folder in a cgroup v2 file
/// system. Empty when it is gone.
std::unordered_set<std::uint64_t> cgroups_below(const std::filesystem::path& folder);

} // namespace tcpsaga
