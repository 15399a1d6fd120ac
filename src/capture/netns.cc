// SPDX-License-Identifier: BSD-2-Clause
#include "netns.h"

#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "tcpsaga/processes.h"

namespace tcpsaga {

void Namespaces::add(const std::string& path, std::size_t most)
{
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0)
        return;
    const auto inode = static_cast<std::uint32_t>(st.st_ino);
    if (!wanted_.empty() && std::ranges::find(wanted_, inode) == wanted_.end())
        return;
    if (auto& paths = paths_[inode]; paths.size() < most)
        paths.push_back(path);
}

void Namespaces::find()
{
    paths_.clear();
    for_each_process([this](std::uint32_t, const std::filesystem::path& folder) {
        constexpr std::size_t some = 4;
        add(folder / "ns/net", some);
        return true;
    });
    // Where the last process has gone there may be sockets yet: orphans, TIME_WAIT.
    for (const char* folder : {"/run/netns", "/run/docker/netns"}) {
        std::error_code none;
        for (const auto& entry : std::filesystem::directory_iterator(folder, none))
            add(entry.path(), std::numeric_limits<std::size_t>::max());
    }
}

/// By the first path that still leads there.
Fd Namespaces::open(std::uint32_t inode) const
{
    const auto known = paths_.find(inode);
    if (known == paths_.end())
        return Fd();
    for (const std::string& path : known->second) {
        Fd there{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
        struct stat st {};
        if (there && ::fstat(there.get(), &st) == 0 && st.st_ino == inode)
            return there;
    }
    return Fd();
}

void Namespaces::visit(std::uint32_t inode, const std::function<void()>& work) const
{
    const Fd there = open(inode);
    if (!there)
        return;
    struct stat own {};
    const bool here = ::fstat(home_.get(), &own) == 0 && own.st_ino == inode;
    if (!here && ::setns(there.get(), CLONE_NEWNET) != 0)
        return;
    work();
    if (!here && ::setns(home_.get(), CLONE_NEWNET) != 0)
        std::abort(); // nothing that follows would be where it should be
}

} // namespace tcpsaga
