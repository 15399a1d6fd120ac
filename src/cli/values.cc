// SPDX-License-Identifier: BSD-2-Clause
#include "values.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>

namespace tcpsaga {

Result<std::uint32_t> parse_netns(const std::string& text)
{
    if (!text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) {
        const auto inode = std::strtoull(text.c_str(), nullptr, 10);
        if (inode == 0 || inode > UINT32_MAX)
            return Error{"bad network namespace", "'" + text + "'", 0, "no such inode number"};
        return static_cast<std::uint32_t>(inode);
    }
    const std::string path = text == "self"                        ? "/proc/self/ns/net"
                             : text.find('/') != std::string::npos ? text
                                                                   : "/run/netns/" + text;
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0)
        return Error{"no network namespace", "'" + text + "'", errno,
                     "want an inode number, a name from 'ip netns', or a path"};
    return static_cast<std::uint32_t>(st.st_ino);
}

Result<std::pair<std::string, std::uint64_t>> parse_cgroup(const std::string& text)
{
    int err = ENOENT;
    for (std::string path : {"", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        if (!path.empty() && !text.starts_with('/'))
            path += '/';
        path += text;
        struct stat st {};
        struct statfs fs {};
        if (::stat(path.c_str(), &st) != 0 || ::statfs(path.c_str(), &fs) != 0)
            continue;
        if (fs.f_type == CGROUP2_SUPER_MAGIC && S_ISDIR(st.st_mode))
            return std::pair(path, std::uint64_t{st.st_ino});
        err = EINVAL;
    }
    return Error{"no cgroup", "'" + text + "'", err,
                 "want a folder of a cgroup v2 file system, such as /sys/fs/cgroup/system.slice"};
}

std::string power_of_two(const std::string& text)
{
    const auto n = std::strtoull(text.c_str(), nullptr, 10);
    constexpr std::uint64_t least = 64 << 10;
    constexpr std::uint64_t most = std::uint64_t{1} << 30;
    return std::has_single_bit(n) && n >= least && n <= most ? ""
                                                             : "want a power of two from 64K to 1G";
}

std::string countable(const std::string& text)
{
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    return digits && text.find_first_not_of('0') != std::string::npos
               ? ""
               : "want a whole number above 0, not '" + text + "'";
}

std::string positive(const std::string& text)
{
    return std::strtod(text.c_str(), nullptr) > 0 ? "" : "want a positive number"; // not nan
}

std::string interval(const std::string& text)
{
    const double s = std::strtod(text.c_str(), nullptr);
    return s >= 0.1 && s <= 3600 ? "" : "want 0.1 to 3600 seconds";
}

} // namespace tcpsaga
