// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/host_peers.h"

namespace tcpsaga {

void HostEnds::on_event(const Event& e)
{
    if (e.conn == nullptr)
        return;
    const auto* change = std::get_if<event::StateChange>(&e.what);
    if (change != nullptr && change->new_state == State::established)
        to_.add(host_end_of(*e.conn, host_, utc_offset_ns_, e.ts_ns));
    else if (const auto* life = std::get_if<event::Close>(&e.what))
        on_close(*e.conn, *life, e.ts_ns);
}

void HostEnds::on_close(const Connection& c, const event::Close& life, std::uint64_t ts_ns)
{
    const HostConn id{host_, c.tuple.netns, c.id};
    if (life.peer)
        return to_.forget(id);
    const bool was_up = c.established_ns != 0;
    if (!was_up && !c.seen_start) // it was there before us
        to_.add(host_end_of(c, host_, utc_offset_ns_,
                            c.looked_at_ns != 0 ? c.looked_at_ns : ts_ns));
    to_.close(id, static_cast<std::int64_t>(ts_ns) + utc_offset_ns_, c.owner);
}

void HostEnds::on_present(const Connection& c, std::uint64_t ts_ns)
{
    const bool goes_on = c.state == State::established || c.state == State::close_wait ||
                         c.state == State::fin_wait1 || c.state == State::fin_wait2;
    if (goes_on && !c.closed && c.peer.conn == 0)
        to_.add(host_end_of(c, host_, utc_offset_ns_,
                            c.looked_at_ns != 0 ? c.looked_at_ns : ts_ns));
}

void HostPeers::on_event(const Event& e)
{
    const auto* life = std::get_if<event::Close>(&e.what);
    if (life == nullptr || life->peer)
        return next_.on_event(e);
    const HostEnd* other = from_.other_end({host_, e.conn->tuple.netns, e.conn->id});
    if (other == nullptr)
        return next_.on_event(e);
    Event more = e;
    auto& with_peer = std::get<event::Close>(more.what);
    with_peer.peer = Peer{other->id.conn, other->id.netns, other->process, shows_(*other)};
    with_peer.peer_host = {other->id.host, names_.at(other->id.host)};
    next_.on_event(more);
}

} // namespace tcpsaga
