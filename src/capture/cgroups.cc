// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/cgroups.h"

#include <sys/stat.h>

#include <vector>

namespace tcpsaga {

std::unordered_set<std::uint64_t> cgroups_below(const std::filesystem::path& folder)
{
    std::unordered_set<std::uint64_t> ids;
    std::vector<std::filesystem::path> left{folder};
    while (!left.empty()) {
        const auto path = std::move(left.back());
        left.pop_back();
        struct stat st {};
        if (::stat(path.c_str(), &st) != 0)
            continue; // they come and go meanwhile
        ids.insert(st.st_ino);
        std::error_code none;
        for (std::filesystem::directory_iterator it(path, none), end; it != end; it.increment(none))
            if (it->is_directory(none))
                left.push_back(it->path());
    }
    return ids;
}

} // namespace tcpsaga
