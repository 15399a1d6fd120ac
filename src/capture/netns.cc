// SPDX-License-Identifier: BSD-2-Clause
#include "netns.h"

#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "tcpsaga/processes.h"

namespace tcpsaga {

void Namespaces::add(const std::string& path)
{
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0)
        return;
    const auto inode = static_cast<std::uint32_t>(st.st_ino);
    if (wanted_.empty() || std::ranges::find(wanted_, inode) != wanted_.end())
        paths_.emplace(inode, path);
}

void Namespaces::find()
{
    paths_.clear();
    for_each_process([this](std::uint32_t, const std::filesystem::path& folder) {
        add(folder / "ns/net");
        return true;
    });
    // Where the last process has gone there may be sockets yet: orphans, TIME_WAIT.
    for (const char* folder : {"/run/netns", "/run/docker/netns"}) {
        std::error_code none;
        for (const auto& entry : std::filesystem::directory_iterator(folder, none))
            add(entry.path());
    }
}

void Namespaces::visit(std::uint32_t inode, const std::function<void()>& work) const
{
    const auto known = paths_.find(inode);
    if (known == paths_.end())
        return;
    const Fd there{::open(known->second.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat st {};
    struct stat own {};
    if (!there || ::fstat(there.get(), &st) != 0 || st.st_ino != inode)
        return; // another one by now
    const bool here = ::fstat(home_.get(), &own) == 0 && own.st_ino == st.st_ino;
    if (!here && ::setns(there.get(), CLONE_NEWNET) != 0)
        return;
    work();
    if (!here && ::setns(home_.get(), CLONE_NEWNET) != 0)
        std::abort(); // nothing that follows would be where it should be
}

} // namespace tcpsaga
