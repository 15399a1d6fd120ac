// SPDX-License-Identifier: BSD-2-Clause
/*
 * Data that comes in after close(): the kernel first treats its own socket as if a RST had come in,
 * and then sends one (net/ipv4/tcp_input.c, tcp_rcv_state_process: LINUX_MIB_TCPABORTONDATA). Which
 * of the two it was is known from the next record of this socket, so what was seen until then is
 * held back, for a moment at most.
 */
#include <algorithm>

#include "parts.h"
#include "tcpsaga/correlator.h"

namespace tcpsaga {
namespace {

constexpr std::uint64_t moment_ns = 1'000'000; // the RST leaves microseconds later

} // namespace

void Correlator::hold_back(const Connection& c, const ts_head& h)
{
    if (held_for_ == SocketKey{h.id, h.netns})
        return;
    release();
    held_for_ = {h.id, h.netns};
    held_id_ = c.id;
    held_since_ = h.ts_ns;
}

bool Correlator::holds_back(const Connection& c) const
{
    return held_id_ != 0 && c.id == held_id_ && c.tuple.netns == held_for_.second;
}

void Correlator::release_after(std::uint64_t ts_ns)
{
    if (held_id_ != 0 && ts_ns > held_since_ + moment_ns)
        release();
}

void Correlator::release()
{
    held_id_ = 0;
    held_for_ = {};
    for (HeldBack& e : held_back_)
        sink_.on_event({e.ts_ns, &e.connection, e.actor, std::move(e.what)});
    held_back_.clear();
}

bool Correlator::sent_after_close(const ts_head& h, const event::Reset& reset)
{
    if (held_for_ != SocketKey{h.id, h.netns})
        return false;
    const auto close = std::ranges::find_if(held_back_, [](const HeldBack& e) {
        return std::holds_alternative<event::Close>(e.what);
    });
    if (close == held_back_.end())
        return false;
    auto& life = std::get<event::Close>(close->what);
    life.end = event::End::rst_sent;
    life.why = "data_after_close";
    Connection c = close->connection;
    if (const Connection* kept = find(h); kept != nullptr && kept->closed) {
        // Taken for one in TIME_WAIT.
        const std::uint64_t ts = close->ts_ns;
        held_back_.insert(close,
                          {ts, c, close->actor,
                           event::StateChange{c.state, State::close, span(c.since_ns, ts), false}});
        counts_.events++;
        forget(*kept);
    }
    counts_.events -= std::erase_if(held_back_, [](const HeldBack& e) {
        const auto* received = std::get_if<event::Reset>(&e.what);
        return received != nullptr && !received->sent;
    });
    release();
    emit(c, h.ts_ns, task_of(h), reset);
    return true;
}

} // namespace tcpsaga
