// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What ss and /proc/net/tcp say of the same sockets. */
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

namespace live {

using HolderSet = std::set<std::tuple<std::string, pid_t, int>>; ///< comm, pid, fd

struct SsTimer {
    std::string kind; ///< "" = off
    std::uint64_t ms = 0;
    std::uint64_t unit_ms = 1; ///< what it was rounded down to
    int retries = 0;
};

/// A line of `ss -tanpoie`. v4-mapped addresses are in IPv4's form, an end is "addr:port".
struct SsRow {
    std::string state; ///< as events name it
    std::uint64_t rx_queue = 0, tx_queue = 0;
    std::string local, remote; ///< "*" for no port
    HolderSet holders;
    SsTimer timer;
    std::uint32_t uid = 0;
    std::uint64_t inode = 0;
    double rtt_ms = 0;
    std::uint64_t bytes_acked = 0, bytes_received = 0; ///< SYN and FIN included
    std::uint64_t retransmits = 0;

    /// All but times and what counts on.
    [[nodiscard]] bool same_as(const SsRow& other) const;
};

/// By cookie; of the namespace that this process lives in.
std::map<std::uint64_t, SsRow> read_ss(pid_t in_netns_of);

struct ProcRow {
    int state = 0; ///< the kernel's number
    std::uint64_t rx_queue = 0, tx_queue = 0;
    std::uint32_t uid = 0;
    std::uint64_t inode = 0;
};

/// /proc/PID/net/tcp and tcp6, by local and remote end in ss's form above.
std::map<std::pair<std::string, std::string>, ProcRow> read_proc_net(pid_t in_netns_of);

} // namespace live
