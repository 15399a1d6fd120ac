// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "tcpsaga/connection.h"

namespace tcpsaga {

/// A listener as inet_diag shows it.
struct PolledListener {
    std::uint64_t cookie = 0;
    Tuple tuple; ///< remote is unspecified
    std::uint32_t acceptq = 0;
    std::uint32_t acceptq_max = 0;
    std::uint64_t inode = 0;  ///< of the socket, as /proc/PID/fd links name it; 0 = nobody's
    std::uint32_t drops = 0;  ///< sk_drops: all that the listener ever dropped, wraps
    std::uint64_t cgroup = 0; ///< as SocketRow's
};

/// Looks at all listeners where no function hook can: their queues and drop counters.
class ListenerPoll {
public:
    /// `wanted`: namespaces by inode; empty = every one that a process lives in.
    explicit ListenerPoll(std::vector<std::uint32_t> wanted);
    ~ListenerPoll();
    ListenerPoll(const ListenerPoll&) = delete;
    ListenerPoll& operator=(const ListenerPoll&) = delete;

    /// The listeners now. A namespace that cannot be entered is left out; a new one is found
    /// at every 25th look.
    std::vector<PolledListener> look();

private:
    struct Places;
    std::unique_ptr<Places> places_;
};

} // namespace tcpsaga
