// SPDX-License-Identifier: BSD-2-Clause
/* What a summary says beyond plain counts. */
#include <map>
#include <tuple>

#include "tcpsaga/correlator.h"

namespace tcpsaga {
namespace {

constexpr std::size_t shown_tops = 10;

using ListenerKey = std::tuple<std::uint32_t, Endpoint, std::uint64_t>;

ListenerKey key_of(const event::ListenerSummary& l)
{
    return {l.netns, l.local, l.conn};
}

} // namespace

void Correlator::add_tops(event::Summary& s) const
{
    for (const auto& [addr, n] : remotes_.first(shown_tops))
        s.top_remotes.push_back(n);
    for (const auto& [pid, n] : processes_.first(shown_tops))
        s.top_processes.push_back(n);
}

void Correlator::count_remote(const Address& addr, std::uint64_t made, std::uint64_t got)
{
    event::TopRemote& top = remotes_.at(addr);
    top.addr = addr;
    top.made += made;
    top.got += got;
}

void Correlator::count_process(const Process& p, std::uint64_t made, std::uint64_t got)
{
    if (!p.known())
        return;
    event::TopProcess& top = processes_.at(p.pid);
    top.process = p;
    top.made += made;
    top.got += got;
}

void set_interval(event::Summary& now, const event::Summary& before, std::uint64_t us)
{
    event::Interval i;
    i.us = us;
    i.opens = now.opens - before.opens;
    i.births = now.births - before.births;
    i.accepts = now.accepts - before.accepts;
    i.closes = now.closes - before.closes;
    i.connect_errors = now.connect_errors - before.connect_errors;
    i.overflows = now.overflows - before.overflows;
    i.accept_errors = now.accept_errors - before.accept_errors;
    i.retransmits = now.retransmits - before.retransmits;
    i.time_wait_in = now.time_wait_in - before.time_wait_in;
    i.time_wait_out = now.time_wait_out - before.time_wait_out;
    now.interval = i;
    std::map<ListenerKey, std::uint64_t> accepted;
    for (const event::ListenerSummary& l : before.listeners)
        accepted[key_of(l)] = l.accepts;
    for (event::ListenerSummary& l : now.listeners) {
        const auto was = accepted.find(key_of(l));
        l.new_accepts = l.accepts - (was == accepted.end() ? 0 : was->second);
    }
}

} // namespace tcpsaga
