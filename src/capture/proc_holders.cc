// SPDX-License-Identifier: BSD-2-Clause
#include "proc_holders.h"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <memory>
#include <string>

#include "tcpsaga/process_info.h"
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

Holder describe(std::uint32_t pid, const fs::path& folder)
{
    Holder h;
    h.process.pid = pid;
    h.process.from = PidFrom::snapshot;
    const ProcStatus status = parse_proc_status(read_proc_file(folder / "status"));
    h.process.uid = status.uid;
    h.inner_pid = status.inner_pid;
    h.started = parse_start_time(read_proc_file(folder / "stat"));
    std::string comm = read_proc_file(folder / "comm"); // up to 15 bytes, and a line feed
    if (comm.ends_with('\n'))
        comm.pop_back();
    comm.copy(h.process.comm.data(), h.process.comm.size());
    return h;
}

} // namespace

HolderTable read_proc_holders()
{
    HolderTable holders;
    for_each_process([&](std::uint32_t pid, const fs::path& folder) {
        Holder holder;
        for_each_socket(folder, [&](int fd, std::uint64_t inode) {
            if (!holder.process.known())
                holder = describe(pid, folder);
            holder.fd = fd;
            holders[inode].push_back(holder);
        });
        return true;
    });
    return holders;
}

} // namespace tcpsaga
