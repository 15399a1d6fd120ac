// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/listener_poll.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>

#include <cstring>
#include <utility>

#include "netns.h"
#include "sock_diag.h"

namespace tcpsaga {
namespace {

/// Where sk_drops is among the 32-bit words of INET_DIAG_SKMEMINFO.
constexpr std::size_t drops_offset = std::size_t{SK_MEMINFO_DROPS} * 4;
constexpr std::uint32_t listen_state = 1U << static_cast<unsigned>(State::listen);

PolledListener read_listener(const inet_diag_msg& m, std::size_t size, std::uint32_t netns)
{
    PolledListener l;
    l.cookie = cookie_of(m);
    l.tuple.netns = netns;
    l.tuple.local = {local_of(m), ntohs(m.id.idiag_sport)};
    if (m.idiag_family == AF_INET) // 0.0.0.0, as records have it
        l.tuple.remote.addr.bytes[10] = l.tuple.remote.addr.bytes[11] = 0xff;
    l.inode = m.idiag_inode;
    l.cgroup = cgroup_of(m, size);
    l.acceptq = m.idiag_rqueue;
    l.acceptq_max = m.idiag_wqueue;
    const auto memory = attribute_of(m, size, INET_DIAG_SKMEMINFO);
    if (memory.size() > drops_offset)
        std::memcpy(&l.drops, memory.data() + drops_offset, 4);
    return l;
}

} // namespace

struct ListenerPoll::Places {
    Namespaces namespaces;
    unsigned looks = 0;
};

ListenerPoll::ListenerPoll(std::vector<std::uint32_t> wanted)
    : places_(new Places{Namespaces(std::move(wanted))})
{
}
ListenerPoll::~ListenerPoll() = default;

std::vector<PolledListener> ListenerPoll::look()
{
    // Finding namespaces means reading all of /proc: not at every look.
    constexpr unsigned looks_between = 25;
    Namespaces& namespaces = places_->namespaces;
    if (places_->looks++ % looks_between == 0)
        namespaces.find();
    std::vector<PolledListener> all;
    for (const auto& [inode, path] : namespaces.paths())
        namespaces.visit(inode, [&, netns = inode] {
            dump_sockets(listen_state, 1U << (INET_DIAG_SKMEMINFO - 1),
                         [&](const inet_diag_msg& m, std::size_t size) {
                             all.push_back(read_listener(m, size, netns));
                         });
        });
    return all;
}

} // namespace tcpsaga
