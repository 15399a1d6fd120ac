// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>

namespace tcpsaga {

/// Every process in /proc by its number (fs/proc/base.c), with its folder there, until `visit`
/// says false. It may be gone by the time it is visited.
void for_each_process(
    const std::function<bool(std::uint32_t pid, const std::filesystem::path& folder)>& visit,
    const std::filesystem::path& proc = "/proc");

} // namespace tcpsaga
