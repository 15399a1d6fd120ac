// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* Every TCP socket that there is now. */
#include <cstdint>
#include <memory>
#include <vector>

#include "tcpsaga/connection.h"

namespace tcpsaga {

class KernelProber;

/// What a socket waits for (inet_diag's idiag_timer): as netstat -o, `on` is retransmission.
enum class SocketTimer : std::uint8_t { off, on, keepalive, time_wait, persist };

/// A descriptor that names a socket.
struct Holder {
    Process process; ///< from: snapshot; comm and uid (the real one) are its first thread's
    int fd = -1;
    std::uint32_t inner_pid = 0; ///< pid in its own pid namespace
    std::uint64_t started = 0;   ///< hundredths of a second after boot, as in /proc/PID/stat
    bool operator==(const Holder&) const = default;
};

struct SocketRow {
    Tuple tuple;               ///< a listener's remote is unspecified
    std::uint8_t family = 4;   ///< or 6; v4-mapped is 4
    State state = State::none; ///< new_syn_recv: a request, of its listener's namespace
    std::uint64_t cookie = 0;  ///< shown as `conn`
    std::uint64_t inode = 0;   ///< as /proc/PID/fd links name it; 0 = nobody's
    std::uint64_t cgroup = 0;  ///< id of the one (v2) that it was made in; 0 = not known
    std::uint32_t uid = 0;
    std::vector<Holder> holders; ///< by pid and fd
    std::uint32_t rx_queue = 0;  ///< bytes not read; a listener's: children not accepted
    std::uint32_t tx_queue = 0;  ///< bytes not acknowledged; a listener's: the limit of these
    SocketTimer timer = SocketTimer::off;
    std::uint32_t timer_ms = 0; ///< until it fires
    std::uint8_t retries = 0;   ///< retransmissions, or probes, in a row
    std::uint64_t tx_bytes = 0; ///< payload: acknowledged by, received from the peer
    std::uint64_t rx_bytes = 0;
    std::uint32_t rtt_us = 0; ///< smoothed
    std::uint32_t retransmits = 0;
};

/// What is asked of each socket: bytes, rtt and retransmits cost the kernel a lock per socket.
/// `bare` is without holders too.
enum class SocketDetail : std::uint8_t { bare, plain, with_info };

/// Takes snapshots, with what that needs of the kernel kept for the next one.
class SnapshotReader {
public:
    /// Null: without BPF.
    explicit SnapshotReader(const KernelProber* kernel);
    ~SnapshotReader();
    SnapshotReader(const SnapshotReader&) = delete;
    SnapshotReader& operator=(const SnapshotReader&) = delete;

    /// The sockets of these namespaces (by inode; empty = every one that a process lives in or
    /// that has a name), each namespace in one pass, with who holds them. Where there is no
    /// inet_diag by BPF's iterator. What may not be looked at is left out.
    [[nodiscard]] std::vector<SocketRow> read(const std::vector<std::uint32_t>& netns,
                                              SocketDetail detail = SocketDetail::with_info) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace tcpsaga
