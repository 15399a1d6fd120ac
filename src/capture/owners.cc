// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/owners.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <memory>
#include <string>
#include <tuple>

#include "tcpsaga/processes.h"

namespace tcpsaga {
namespace {

namespace fs = std::filesystem;

/// "socket:[123]" as links in /proc/PID/fd have it; 0 for anything else.
std::uint64_t socket_inode(std::string_view link)
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
    file.read(p.comm.data(),
              p.comm.size()); // up to 15 bytes, which may be line feeds, and one more
    if (file.gcount() > 0)
        p.comm.at(static_cast<std::size_t>(file.gcount()) - 1) = '\0';
    return p;
}

struct DirCloser {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

/// Calls `visit` with each descriptor of a process that is a socket, and its inode number. Plain
/// system calls: there may be many thousands.
template <class Visit>
void for_each_socket(const fs::path& folder, const Visit& visit)
{
    const std::unique_ptr<DIR, DirCloser> dir(::opendir((folder / "fd").c_str()));
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) { // NOLINT: one thread
        std::array<char, 32> link{};
        const ssize_t n = ::readlinkat(::dirfd(dir.get()), entry->d_name, link.data(), link.size());
        const std::uint64_t inode =
            n > 0 ? socket_inode({link.data(), static_cast<std::size_t>(n)}) : 0;
        if (inode != 0)
            visit(std::atoi(entry->d_name), inode); // NOLINT: the kernel wrote the number
    }
}

} // namespace

std::unordered_map<std::uint64_t, Process> find_owners(const std::set<std::uint64_t>& inodes)
{
    std::unordered_map<std::uint64_t, Process> owners;
    for_each_process([&](std::uint32_t pid, const fs::path& folder) {
        for_each_socket(folder, [&](int, std::uint64_t inode) {
            if (inodes.contains(inode) && !owners.contains(inode))
                owners.emplace(inode, describe(pid, folder));
        });
        return owners.size() < inodes.size();
    });
    return owners;
}

std::unordered_map<std::uint64_t, std::vector<Holder>> find_holders()
{
    std::unordered_map<std::uint64_t, std::vector<Holder>> holders;
    for_each_process([&](std::uint32_t pid, const fs::path& folder) {
        Process process;
        for_each_socket(folder, [&](int fd, std::uint64_t inode) {
            if (!process.known())
                process = describe(pid, folder);
            holders[inode].push_back({process, fd});
        });
        return true;
    });
    for (auto& [inode, list] : holders)
        std::ranges::sort(list, {},
                          [](const Holder& h) { return std::tuple(h.process.pid, h.fd); });
    return holders;
}

} // namespace tcpsaga
