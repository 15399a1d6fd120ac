// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/port_use.h"

#include <netinet/in.h>

#include <fstream>

#include "netns.h"
#include "sock_diag.h"

namespace tcpsaga {

std::optional<event::PortUse> look_at_ports(std::uint32_t netns, const Endpoint& destination)
{
    Namespaces namespaces({netns});
    namespaces.find();
    std::optional<event::PortUse> found;
    namespaces.visit(netns, [&] {
        event::PortUse use{};
        // /proc/sys/net shows the namespace of whoever opens it.
        std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> use.low >> use.high;
        constexpr auto listen = 1U << static_cast<unsigned>(State::listen);
        dump_sockets(~listen, 0, [&](const inet_diag_msg& m, std::size_t) {
            const std::uint16_t port = ntohs(m.id.idiag_sport);
            if (ntohs(m.id.idiag_dport) != destination.port || remote_of(m) != destination.addr ||
                port < use.low || port > use.high)
                return;
            const bool waits = static_cast<State>(m.idiag_state) == State::time_wait;
            (waits ? use.time_wait : use.live)++;
        });
        found = use;
    });
    return found;
}

} // namespace tcpsaga
