// SPDX-License-Identifier: BSD-2-Clause
/*
 * Data that comes in after close(): the kernel first treats its own socket as if a RST had come in,
 * or ends it without a word, and then sends a RST (net/ipv4/tcp_input.c, tcp_rcv_state_process:
 * LINUX_MIB_TCPABORTONDATA). Which of the ways it was is known from that, so what was seen until
 * then is held back, for a moment at most.
 */
#include <algorithm>

#include "parts.h"
#include "tcpsaga/correlator.h"

namespace tcpsaga {
namespace {

// The RST leaves microseconds later, but for a kernel that is preempted.
constexpr std::uint64_t moment_ns = 20'000'000;
constexpr std::size_t most = 16;

} // namespace

void Correlator::hold_back(const Connection& c, const ts_head& h)
{
    if (hold_of(c) != nullptr)
        return;
    if (holds_.size() == most)
        release_first();
    holds_.push_back({{h.id, h.netns}, c.id, h.ts_ns, {}});
}

Correlator::Hold* Correlator::hold_of(const Connection& c)
{
    const auto it = std::ranges::find_if(holds_, [&](const Hold& hold) {
        return hold.conn == c.id && hold.socket.second == c.tuple.netns;
    });
    return it == holds_.end() ? nullptr : &*it;
}

void Correlator::release_first()
{
    const Hold hold = std::move(holds_.front());
    holds_.pop_front();
    for (const HeldBack& e : hold.events)
        sink_.on_event({e.ts_ns, &e.connection, e.actor, e.what});
}

bool Correlator::tell_held_back(std::uint64_t ts_ns)
{
    bool told = false;
    for (; !holds_.empty() && ts_ns > holds_.front().since_ns + moment_ns; told = true)
        release_first();
    return told;
}

bool Correlator::sent_after_close(const ts_head& h, const event::Reset& reset)
{
    // One of the two records may know the socket by its address only.
    const auto is_its = [&](const Hold& hold) {
        const auto& [id, netns] = hold.socket;
        return (id == h.id && netns == h.netns) ||
               (id != 0 && ((id | h.id) & address_bit) != 0 && !hold.events.empty() &&
                hold.events.front().connection.tuple == tuple_of(h));
    };
    const auto hold = std::ranges::find_if(holds_, is_its);
    if (hold == holds_.end())
        return false;
    auto& events = hold->events;
    const auto close = std::ranges::find_if(events, [](const HeldBack& e) {
        return std::holds_alternative<event::Close>(e.what);
    });
    if (close == events.end())
        return false;
    auto& life = std::get<event::Close>(close->what);
    life.end = event::End::rst_sent;
    life.why = "data_after_close";
    const Connection c = close->connection;
    const Process actor = close->actor;
    if (const Connection* kept = find(h); kept != nullptr && kept->closed) {
        // Taken for one in TIME_WAIT.
        const std::uint64_t ts = close->ts_ns;
        events.insert(close,
                      {ts, c, actor,
                       event::StateChange{c.state, State::close, span(c.since_ns, ts), false}});
        counts_.events++;
        forget(*kept);
    }
    counts_.events -= std::erase_if(events, [](const HeldBack& e) {
        const auto* received = std::get_if<event::Reset>(&e.what);
        return received != nullptr && !received->sent;
    });
    events.push_back({h.ts_ns, c, task_of(h).known() ? task_of(h) : actor, reset});
    counts_.events++;
    hold->socket = {}; // all is known
    return true;
}

} // namespace tcpsaga
