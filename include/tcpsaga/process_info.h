// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What /proc tells of a process on demand: command line, cgroup, container, namespaces. */
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tcpsaga/whereabouts.h"

namespace tcpsaga {

/// A container, as the names of its cgroups tell.
struct Container {
    std::string id;      ///< 64 hexadecimal digits; "" = in none
    std::string runtime; ///< docker, containerd, podman, crio; "" = the names do not tell
    std::string pod;     ///< uid of the Kubernetes pod, with dashes; "" = in none
    bool operator==(const Container&) const = default;
};

/// From a cgroup's path as docker, containerd, podman, CRI-O and the kubelet make them, by either
/// cgroup driver. Of containers inside of containers it is the innermost. What only watches over a
/// container (conmon) is in none.
Container container_of(std::string_view cgroup_path);

/// The path that tells most, of the text of /proc/PID/cgroup (cgroups(7)): the version 2 one
/// unless only another names a container, or it is the root. "" for no text.
std::string cgroup_of(std::string_view proc_pid_cgroup);

/// Of the text of /proc/PID/status.
struct ProcStatus {
    std::uint32_t uid = 0;       ///< real
    std::uint32_t inner_pid = 0; ///< pid in its own pid namespace
};
ProcStatus parse_proc_status(std::string_view text);

/// When the process began, of the text of /proc/PID/stat: hundredths of a second after boot.
std::uint64_t parse_start_time(std::string_view text);

/// All of a file; "" when it cannot be read.
std::string read_proc_file(const std::filesystem::path& path);

struct ProcessInfo {
    std::string
        command;        ///< arguments, blanks between; any bytes: escape before printing. "" = none
    std::string cgroup; ///< path from the root that we see
    Container container;
    std::uint32_t inner_pid = 0; ///< pid in its own pid namespace
    std::uint32_t netns = 0;     ///< inode; 0 = we may not look
};

/// Looks at processes when asked, and remembers: a process that is gone keeps what was known.
/// Numbers are those of the /proc that it reads.
class ProcessInfos {
public:
    explicit ProcessInfos(std::filesystem::path proc = "/proc") : proc_(std::move(proc)) {}

    /// Looked at again when that was more than a second before `now_ns` (exec and a move to
    /// another cgroup change it). nullptr: it was gone at the first look. Valid until the next
    /// call.
    const ProcessInfo* of(std::uint32_t pid, std::uint64_t now_ns);

private:
    struct Known {
        std::uint64_t looked_ns = 0;
        bool found = false;
        ProcessInfo info;
    };
    std::filesystem::path proc_;
    std::unordered_map<std::uint32_t, Known> known_;
};

/// Of a process of the initial pid namespace, whose /proc this must be for anything to be found;
/// without a cgroup when it is gone.
Home find_home(std::uint32_t pid);
Home home_of(const ProcessInfo& info, std::uint32_t pid);

/// The names that `ip netns` gave to network namespaces, by inode.
std::map<std::uint32_t, std::string>
named_namespaces(const std::filesystem::path& folder = "/run/netns");

/// Network namespaces by name.
class NetnsNames {
public:
    explicit NetnsNames(std::filesystem::path named = "/run/netns",
                        std::filesystem::path proc = "/proc")
        : named_(std::move(named)), proc_(std::move(proc))
    {
    }

    /// The name that `ip netns` knows it by, else its first process: "pid 123 (nginx)", else "".
    /// Reads all of /proc when the last time was more than 10 s before `now_ns`, or a second when
    /// the namespace is a new one.
    const std::string& of(std::uint32_t inode, std::uint64_t now_ns);
    /// The one that `ip netns` knows it by only, else "". Reads those again after a second.
    const std::string& given(std::uint32_t inode, std::uint64_t now_ns);

private:
    void read();

    std::filesystem::path named_;
    std::filesystem::path proc_;
    bool read_once_ = false;
    std::uint64_t read_ns_ = 0;
    std::map<std::uint32_t, std::string> names_;
    std::uint64_t given_until_ns_ = 0;
    std::map<std::uint32_t, std::string> given_;
};

} // namespace tcpsaga
