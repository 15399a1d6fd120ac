// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * What is looked up while a trace runs, and needs capabilities where it is in another network
 * namespace or process: CAP_SYS_PTRACE to tell which namespace a process is in and where it sleeps,
 * CAP_SYS_ADMIN to enter one, CAP_NET_ADMIN to ask its connection tracking. The tracer has none by
 * then. So a process of its own looks: it has these and nothing else, takes requests of one fixed
 * size, and ends with the tracer.
 */
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "capture/fd.h"
#include "tcpsaga/audit.h"
#include "tcpsaga/conntrack.h"
#include "tcpsaga/listener_poll.h"
#include "tcpsaga/port_use.h"
#include "tcpsaga/result.h"
#include "tcpsaga/settings.h"

namespace tcpsaga {

class Looker {
public:
    /// `wanted`: network namespaces by inode; empty = all.
    explicit Looker(std::vector<std::uint32_t> wanted);
    ~Looker();
    Looker(const Looker&) = delete;
    Looker& operator=(const Looker&) = delete;

    /// From now on a process of its own looks; `enters`: into other namespaces, too. It inherits no
    /// descriptor but the one to talk by.
    Status separate(bool enters);

    /// read_all_counters(), ListenerPoll::look() and look_at_ports(). Once the other process is
    /// gone, nothing is found.
    std::map<std::uint32_t, ProcCounters> counters();
    std::vector<PolledListener> listeners();
    std::optional<event::PortUse> ports(std::uint32_t netns, const Endpoint& destination);
    /// Conntrack's.
    std::optional<Tuple> other_end(const Tuple& t, std::uint64_t now_ns);
    /// SettingsReader's, of one that lasts as long as this.
    void look_at(std::uint32_t owner, std::uint64_t ts_ns);
    Settings settings();
    /// The other process ended before us.
    [[nodiscard]] bool lost() const { return lost_; }

private:
    std::string ask(const void* request, std::size_t size);
    [[noreturn]] void serve(int socket, bool enters);

    std::vector<std::uint32_t> wanted_;
    ListenerPoll poll_;
    SettingsReader settings_;
    Conntrack conntrack_;
    Fd socket_; // to the other process; none: we look ourselves
    int pid_ = -1;
    bool lost_ = false;
};

} // namespace tcpsaga
