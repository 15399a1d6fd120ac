// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What values of options mean, and what is wrong with them. */
#include <cstdint>
#include <string>
#include <utility>

#include "tcpsaga/result.h"

namespace tcpsaga {

/// "123" an inode, "self", a path such as /proc/1/ns/net, else a name under /run/netns.
Result<std::uint32_t> parse_netns(const std::string& text);
/// A folder of the cgroup v2 file system, or the path that /proc/PID/cgroup shows; and its inode.
Result<std::pair<std::string, std::uint64_t>> parse_cgroup(const std::string& text);

// For CLI11's check(): what is wrong with it; "" = nothing.
std::string power_of_two(const std::string& text);
/// A whole number above 0.
std::string countable(const std::string& text);
std::string positive(const std::string& text);
/// Seconds between two pictures.
std::string interval(const std::string& text);

} // namespace tcpsaga
