// SPDX-License-Identifier: BSD-2-Clause
#include "meeting.h"

namespace tcpsaga::fleet {
namespace {

constexpr std::size_t most_held = 65536;
/// An end that is told of so much later than its other end, by a spool that was sent late, still
/// finds it.
constexpr std::int64_t remembered_ns = 600'000'000'000;
constexpr std::int64_t forget_each_ns = 10'000'000'000;

} // namespace

std::size_t Meeting::Hash::operator()(const HostConn& id) const
{
    constexpr std::uint64_t factor = 0x9e3779b97f4a7c15; // 2^64 / golden ratio
    return static_cast<std::size_t>(
        ((id.conn * factor) ^ (std::uint64_t{id.host} << 32U | id.netns)) * factor >> 16U);
}

void Meeting::on_close(std::uint32_t host, const Event& e, Sink& next, const Keep& keep,
                       Clock::time_point now)
{
    const auto& life = std::get<event::Close>(e.what);
    const Connection& c = *e.conn;
    const bool was_up = c.established_ns != 0 || !c.seen_start;
    if (life.peer || !was_up || c.id == 0 || !may_cross_hosts(c.tuple))
        return next.on_event(e);
    const HostConn id{host, c.tuple.netns, c.id};
    const auto ended = static_cast<std::int64_t>(e.ts_ns);
    latest_ns_ = std::max(latest_ns_, ended);
    pairing_.add(host_end_of(c, host, 0, e.ts_ns));
    pairing_.close(id, ended, c.owner);
    forget_old();
    const HostEnd* other = pairing_.other_end(id);
    if (other == nullptr) {
        queue_.push_back({id, c, e, &next, keep, now + wait_});
        held_[id] = std::prev(queue_.end());
        if (held_.size() > most_held)
            tell(queue_.begin(), true);
        return;
    }
    if (const auto first = held_.find(other->id); first != held_.end()) {
        const auto at = first->second;
        at->event.conn = &at->connection;
        if (c.role == Role::server)
            on_pair_(at->id.host, at->event, host, e);
        else
            on_pair_(host, e, at->id.host, at->event);
        tell(at, false);
    }
    next.on_event(e);
}

void Meeting::tell(Queue::iterator at, bool alone)
{
    Held held = std::move(*at);
    held_.erase(held.id);
    queue_.erase(at);
    if (alone)
        told_[held.id] = static_cast<std::int64_t>(held.event.ts_ns);
    held.event.conn = &held.connection;
    held.next->on_event(held.event);
}

void Meeting::expire(Clock::time_point now)
{
    while (!queue_.empty() && queue_.front().until <= now)
        tell(queue_.begin(), true);
}

void Meeting::end()
{
    while (!queue_.empty())
        tell(queue_.begin(), true);
}

void Meeting::forget_old()
{
    if (latest_ns_ - forgot_ns_ < forget_each_ns)
        return;
    forgot_ns_ = latest_ns_;
    pairing_.forget_closed_before(latest_ns_ - remembered_ns);
    std::erase_if(told_, [this](const auto& t) { return t.second < latest_ns_ - remembered_ns; });
}

} // namespace tcpsaga::fleet
