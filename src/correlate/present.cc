// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sockets that were there before us. The look at them comes after the hooks, so it may know more
 * than the records that are still to come: the first record of a socket is believed, not the look.
 */
#include "parts.h"
#include "tcpsaga/correlator.h"

namespace tcpsaga {

void Correlator::adopt(std::span<const SocketRow> sockets, std::uint64_t ts_ns)
{
    for (const SocketRow& s : sockets) {
        const bool request = s.state == State::new_syn_recv || s.state == State::none;
        if (request || s.cookie == 0 || !config_.filter.passes(s.tuple, s.family))
            continue;
        note_netns(s.tuple.netns);
        Connection& c = table_.insert(s.cookie, s.tuple);
        c.id = s.cookie;
        c.family = s.family;
        c.state = s.state;
        c.looked_at_ns = ts_ns;
        c.unconfirmed = true;
        if (!s.holders.empty())
            c.owner = s.holders.front().process;
        if (s.state == State::listen) {
            c.role = Role::server;
            c.since_ns = ts_ns;
            describe(listener_entry(c), event::Listen{s.tx_queue});
        }
        c.closed = s.timer == SocketTimer::time_wait;
        if (c.closed)
            c.held = c.state;
    }
    name_roles();
}

/// What a listener's port serves, and the other end of it on this host.
void Correlator::name_roles()
{
    table_.for_each([&](Connection& c) {
        if (!c.unconfirmed || c.state == State::listen)
            return;
        if (const Connection* listener = find_listener(c.tuple)) {
            c.role = Role::server;
            c.listener = listener->id;
        } else if (!c.closed) {
            remember_client(c);
        }
    });
    table_.for_each([&](Connection& c) {
        if (!c.unconfirmed || c.role != Role::server || c.closed)
            return;
        pair(c);
        if (Connection* other = peer_of(c); other != nullptr && other->role == Role::unknown)
            other->role = Role::client;
    });
}

void Correlator::confirm(Connection& c, const ts_head& h)
{
    if (!c.unconfirmed || old_of(h) == State::none)
        return;
    c.unconfirmed = false;
    c.state = old_of(h);
    if (h.kind == TS_STATE || h.kind == TS_TIME_WAIT_IN) { // still a full socket
        c.closed = false;
        c.held = State::none;
    }
}

} // namespace tcpsaga
