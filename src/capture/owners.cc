// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/owners.h"

#include <sys/stat.h>

#include <charconv>
#include <fstream>
#include <string>

#include "tcpsaga/processes.h"

namespace tcpsaga {
namespace {

namespace fs = std::filesystem;

/// "socket:[123]" as links in /proc/PID/fd have it; 0 for anything else.
std::uint64_t socket_inode(const std::string& link)
{
    constexpr std::string_view prefix = "socket:[";
    std::uint64_t inode = 0;
    if (link.starts_with(prefix))
        std::from_chars(link.data() + prefix.size(), link.data() + link.size(), inode);
    return inode;
}

Process describe(std::uint32_t pid, const fs::path& folder)
{
    Process p;
    p.pid = pid;
    p.from = PidFrom::snapshot;
    struct stat st {};
    if (::stat(folder.c_str(), &st) == 0)
        p.uid = st.st_uid;
    std::ifstream file(folder / "comm");
    std::string comm;
    std::getline(file, comm);
    comm.copy(p.comm.data(), p.comm.size());
    return p;
}

} // namespace

std::unordered_map<std::uint64_t, Process> find_owners(const std::set<std::uint64_t>& inodes)
{
    std::unordered_map<std::uint64_t, Process> owners;
    for_each_process([&](std::uint32_t pid, const fs::path& folder) {
        std::error_code none;
        for (const auto& fd : fs::directory_iterator(folder / "fd", none)) {
            std::error_code gone;
            const std::uint64_t inode = socket_inode(fs::read_symlink(fd.path(), gone).string());
            if (inodes.contains(inode) && !owners.contains(inode))
                owners.emplace(inode, describe(pid, folder));
        }
        return owners.size() < inodes.size();
    });
    return owners;
}

} // namespace tcpsaga
