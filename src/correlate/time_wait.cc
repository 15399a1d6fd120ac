// SPDX-License-Identifier: BSD-2-Clause
/* The small sockets that keep a closed connection's 4-tuple. */
#include <algorithm>
#include <functional>

#include "tcpsaga/correlator.h"

#include "parts.h"

namespace tcpsaga {
/// The full socket is about to go to CLOSE, which to TCP is `held`.
void Correlator::on_time_wait_in(const ts_head& h)
{
    Connection& c = find_or_adopt(h);
    if (c.held != State::none && !c.closed)
        return; // told twice, see bpf/time_wait.bpf.h
    seen_in(h.netns).time_wait_in++;
    counts_.time_wait_in++;
    c.held = new_of(h);
    c.held_since_ns = h.ts_ns;
}

/// There is no room for its small socket: it goes to CLOSE at once.
void Correlator::on_time_wait_full(const ts_head& h)
{
    Connection& c = find_or_adopt(h);
    if (c.held != State::none) { // its entry was told before this was known
        seen_in(h.netns).time_wait_in--;
        counts_.time_wait_in--;
    }
    seen_in(h.netns).time_wait_overflows++;
    counts_.time_wait_overflows++;
    c.held = State::none;
    c.held_since_ns = 0;
    c.no_time_wait = true;
    emit(c, h.ts_ns, {}, event::TimeWait{event::TimeWaitEnd::overflow, {}});
}

void Correlator::on_time_wait_turn(const ts_head& h)
{
    Connection* c = find(h);
    if (c == nullptr || c->state != State::fin_wait2)
        return;
    change(*c, h, State::time_wait);
    c->held_since_ns = h.ts_ns; // TCP_TIMEWAIT_LEN starts anew
}

void Correlator::on_time_wait_out(const ts_head& h)
{
    counts_.time_wait_out++;
    if (h.detail == TS_TW_EXPIRED)
        seen_in(h.netns).time_wait_expired++;
    if (Connection* known = table_.find(h.id, h.netns);
        known != nullptr && known->tuple != tuple_of(h))
        return; // it was disconnected and connects again
    Connection& c = find_or_adopt(h);
    if (c.state == State::fin_wait2 && old_of(h) == State::time_wait) {
        change(c, h, State::time_wait, true); // its turn was not seen
        c.since_ns = c.held_since_ns = 0;
    }
    change(c, h, State::close);
    event::TimeWait end{h.detail <= TS_TW_PURGED ? static_cast<event::TimeWaitEnd>(h.detail)
                                                 : event::TimeWaitEnd::unknown,
                        {}};
    if (c.held_since_ns != 0) {
        const std::uint64_t held_ns = h.ts_ns > c.held_since_ns ? h.ts_ns - c.held_since_ns : 0;
        end.held_ms = held_ns / 1'000'000;
    }
    emit(c, h.ts_ns, {}, end);
    forget(c);
}

void Correlator::group_time_waits(event::Summary& s) const
{
    constexpr std::size_t most = 10;
    std::map<std::tuple<std::uint32_t, Role, Endpoint>, std::uint64_t> groups;
    table_.for_each([&](const Connection& c) {
        if (c.state != State::time_wait)
            return;
        s.time_wait_alive++;
        const bool serves = c.role == Role::server;
        groups[{c.tuple.netns, c.role,
                serves ? Endpoint{{}, c.tuple.local.port} : c.tuple.remote}]++;
    });
    for (const auto& [key, n] : groups)
        s.time_waits.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), n});
    std::ranges::stable_sort(s.time_waits, std::greater{}, &event::TimeWaitGroup::n);
    s.time_waits.resize(std::min(s.time_waits.size(), most));
}

} // namespace tcpsaga
