// SPDX-License-Identifier: BSD-2-Clause
/* The two ends of a connection, when both are on this host. */
#include <iterator>

#include "parts.h"
#include "tcpsaga/correlator.h"

namespace tcpsaga {
namespace {

Tuple mirrored(const Tuple& t, std::uint32_t netns)
{
    return {t.remote, t.local, netns};
}

bool alive(const Connection* c)
{
    return c != nullptr && !c->closed && c->state != State::listen;
}

} // namespace

/// A client's end, for a server in another namespace to find.
void Correlator::remember_client(const Connection& c)
{
    if (is_loopback(c.tuple.remote.addr))
        return;
    // Those that were evicted from the table are still here.
    if (clients_.size() > 2 * table_.size() + 1024)
        std::erase_if(clients_, [&](const auto& entry) {
            return table_.find(Tuple{entry.first.local, entry.first.remote, entry.second}) ==
                   nullptr;
        });
    clients_.emplace(Tuple{c.tuple.local, c.tuple.remote, 0}, c.tuple.netns);
}

void Correlator::forget_client(const Connection& c)
{
    const auto [from, to] = clients_.equal_range(Tuple{c.tuple.local, c.tuple.remote, 0});
    for (auto it = from; it != to; ++it)
        if (it->second == c.tuple.netns) {
            clients_.erase(it);
            return;
        }
}

/// In another namespace only when no second connection could be meant: addresses may be used
/// again there.
Connection* Correlator::find_other_end(const Connection& server)
{
    if (Connection* here = table_.find(mirrored(server.tuple, server.tuple.netns)))
        return alive(here) && here != &server ? here : nullptr;
    if (is_loopback(server.tuple.remote.addr))
        return nullptr;
    const auto [from, to] = clients_.equal_range(mirrored(server.tuple, 0));
    if (from == to || std::next(from) != to)
        return nullptr;
    Connection* there = table_.find(mirrored(server.tuple, from->second));
    return alive(there) ? there : nullptr;
}

void Correlator::pair(Connection& server)
{
    Connection* other = server.peer.conn == 0 ? find_other_end(server) : nullptr;
    if (other == nullptr || other->peer.conn != 0)
        return;
    server.peer = {other->id, other->tuple.netns, other->owner};
    other->peer = {server.id, server.tuple.netns, server.owner};
}

Connection* Correlator::peer_of(const Connection& c)
{
    if (c.peer.conn == 0)
        return nullptr;
    Connection* other = table_.find(mirrored(c.tuple, c.peer.netns));
    return other != nullptr && other->id == c.peer.conn ? other : nullptr;
}

/// As c ends: who is at the other end now, or was when that one ended.
std::optional<Peer> Correlator::last_look_at_peer(Connection& c)
{
    if (c.peer.conn == 0)
        return {};
    if (Connection* other = peer_of(c)) {
        c.peer.process = other->owner;
        other->peer.process = c.owner;
        const bool asks = config_.filter.asks_for_process();
        c.peer.shown = !asks || shows(*other, other->owner);
        other->peer.shown = !asks || shows(c, c.owner);
    }
    return c.peer;
}

} // namespace tcpsaga
