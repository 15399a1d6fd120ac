// SPDX-License-Identifier: BSD-2-Clause
/* The two ends of a connection, when both are on this host. */
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
    if (!is_loopback(c.tuple.remote.addr))
        table_.offer(c);
}

/// In another namespace only when no second connection could be meant: addresses may be used
/// again there.
Connection* Correlator::find_other_end(const Connection& server)
{
    if (Connection* here = table_.find(mirrored(server.tuple, server.tuple.netns)))
        return alive(here) && here != &server ? here : nullptr;
    if (is_loopback(server.tuple.remote.addr))
        return nullptr;
    Connection* there = table_.find_offered(mirrored(server.tuple, 0));
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

void Correlator::note_netns(std::uint32_t netns)
{
    if (netns != last_netns_)
        namespaces_.insert(last_netns_ = netns);
}

/// The one connection with these ends, in whatever namespace; nullptr: none or several.
Connection* Correlator::find_alone(Tuple ends)
{
    Connection* found = nullptr;
    for (const std::uint32_t netns : namespaces_) {
        ends.netns = netns;
        Connection* c = table_.find(ends);
        if (!alive(c))
            continue;
        if (found != nullptr)
            return nullptr;
        found = c;
    }
    return found;
}

/// As c ends: what the kernel translates its ends to, where there is but one such connection and no
/// second one that could be meant by c's.
void Correlator::pair_translated(Connection& c)
{
    if (c.peer.conn != 0 || !config_.translated)
        return;
    const auto ends = config_.translated(c.tuple);
    Connection* other = ends ? find_alone(*ends) : nullptr;
    const bool fits = other != nullptr && other != &c && other->peer.conn == 0 &&
                      (other->role != c.role || c.role == Role::unknown);
    if (!fits || find_alone(c.tuple) != &c)
        return;
    c.peer = {other->id, other->tuple.netns, other->owner, shows(*other, other->owner)};
    other->peer = {c.id, c.tuple.netns, c.owner, shows(c, c.owner)};
}

/// As c ends: who is at the other end now, or was when that one ended.
std::optional<Peer> Correlator::last_look_at_peer(Connection& c)
{
    if (c.peer.conn == 0)
        return {};
    if (Connection* other = peer_of(c)) {
        c.peer.process = other->owner;
        other->peer.process = c.owner;
        c.peer.shown = shows(*other, other->owner);
        other->peer.shown = shows(c, c.owner);
    }
    return c.peer;
}

} // namespace tcpsaga
