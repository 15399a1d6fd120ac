// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <fcntl.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "fd.h"

namespace tcpsaga {

/// The network namespaces that processes live in or `ip netns` and docker have a name for. Keeps
/// paths, not descriptors or sockets: those would keep a namespace alive after its processes.
class Namespaces {
public:
    /// `wanted`: by inode; empty = all.
    explicit Namespaces(std::vector<std::uint32_t> wanted) : wanted_(std::move(wanted)) {}

    /// Reads all of /proc.
    void find();
    [[nodiscard]] const std::map<std::uint32_t, std::vector<std::string>>& paths() const
    {
        return paths_;
    }
    /// Runs `work` with this thread in the namespace; does not when it is gone or out of reach.
    void visit(std::uint32_t inode, const std::function<void()>& work) const;

private:
    void add(const std::string& path, std::size_t most);
    [[nodiscard]] Fd open(std::uint32_t inode) const;

    std::vector<std::uint32_t> wanted_;
    Fd home_{::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
    std::map<std::uint32_t, std::vector<std::string>> paths_; ///< several: a process may leave
};

} // namespace tcpsaga
