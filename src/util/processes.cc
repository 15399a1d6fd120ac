// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/processes.h"

#include <charconv>
#include <string>

namespace tcpsaga {

void for_each_process(const std::function<bool(std::uint32_t, const std::filesystem::path&)>& visit,
                      const std::filesystem::path& proc)
{
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(proc, none)) {
        const std::string name = entry.path().filename().string();
        const char* const end = name.data() + name.size();
        std::uint32_t pid = 0;
        const auto [rest, error] = std::from_chars(name.data(), end, pid);
        if (error == std::errc() && rest == end && !visit(pid, entry.path()))
            return;
    }
}

} // namespace tcpsaga
