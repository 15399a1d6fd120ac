// SPDX-License-Identifier: BSD-2-Clause
/* What `top` gathers between two pictures. */
#include <algorithm>
#include <utility>

#include "tcpsaga/top.h"

namespace tcpsaga {
namespace {

constexpr std::size_t history = 300;             // intervals that the sparklines remember
constexpr std::size_t most_connections = 10'000; // of a listener that is looked into

std::uint64_t less(std::uint64_t n, std::uint64_t zero)
{
    return n - std::min(n, zero);
}

TopListenerKey key_of(const event::ListenerSummary& l)
{
    return {l.netns, l.local.port, l.conn};
}

/// It is in the accept queue: whoever was accepted has a process of its own.
bool waits_for_accept(const Connection& c)
{
    const bool open = c.state == State::established || c.state == State::close_wait;
    return c.role == Role::server && open && !c.accepted && !c.closed &&
           (!c.owner.known() || c.owner.from == PidFrom::listener);
}

std::uint64_t micros_to(std::uint64_t from_ns, std::uint64_t to_ns)
{
    return less(to_ns, from_ns) / 1000;
}

void remember(std::vector<double>& rates, double rate)
{
    if (rates.size() == history)
        rates.erase(rates.begin());
    rates.push_back(rate);
}

} // namespace

void TopModel::on_event(const Event& e)
{
    events_since_ = true;
    const auto turned = [&]() -> Turned& {
        return turned_[{e.conn->tuple.netns, e.conn->tuple.local.port, e.conn->id}];
    };
    if (const auto* overflow = std::get_if<event::Overflow>(&e.what))
        turned().overflows += overflow->n;
    else if (const auto* error = std::get_if<event::AcceptError>(&e.what))
        turned().accept_errors += error->n;
}

void TopModel::begin_look(std::uint64_t ts_ns)
{
    look_ns_ = ts_ns;
    states_ = {};
    depths_.clear();
    connections_.clear();
    connections_there_ = 0;
}

void TopModel::see(const Connection& c)
{
    const auto state = static_cast<std::size_t>(c.state);
    if (state < states_.size())
        states_.at(state)++;
    if (c.role != Role::server || c.state == State::listen)
        return;
    const TopListenerKey key{c.tuple.netns, c.tuple.local.port, c.listener};
    const bool queued = waits_for_accept(c);
    if (queued)
        depths_[key]++;
    if (opened_ != key)
        return;
    connections_there_++;
    if (connections_.size() == most_connections)
        return;
    TopConnection row;
    row.remote = c.tuple.remote;
    row.state = c.state;
    row.queued = queued && seen_.accepts;
    if (c.started_ns != 0)
        row.age_us = micros_to(c.started_ns, look_ns_);
    row.state_us = micros_to(c.since_ns != 0 ? c.since_ns : c.looked_at_ns, look_ns_);
    row.wait_us = c.accept_wait_us;
    row.owner = c.owner;
    connections_.push_back(row);
}

void TopModel::end_look()
{
    auto data = std::make_shared<TopData>(*data_);
    data->ts_ns = look_ns_;
    add_look(*data);
    data_ = std::move(data);
}

void TopModel::end_interval(const event::Summary& s, std::uint64_t ts_ns)
{
    events_since_ = false;
    if (std::exchange(zero_asked_, false)) {
        zero_ = s;
        for (auto& [key, t] : turned_) {
            t.overflows_zero = t.overflows;
            t.accept_errors_zero = t.accept_errors;
        }
    }
    auto data = std::make_shared<TopData>();
    data->ts_ns = ts_ns;
    add_look(*data);
    add_counts(*data, s);
    add_listeners(*data, s);
    // The first picture comes at once: no rate is to be had from so short a time.
    constexpr std::uint64_t too_short_us = 50'000;
    if (data->interval.us >= too_short_us) {
        const double seconds = static_cast<double>(data->interval.us) / 1e6;
        remember(in_, static_cast<double>(data->interval.births) / seconds);
        remember(out_, static_cast<double>(data->interval.opens) / seconds);
    }
    data->in = in_;
    data->out = out_;
    data_ = std::move(data);
}

bool TopModel::quiet() const
{
    const auto nothing = [](double rate) { return rate == 0; };
    const event::Interval& i = data_->interval;
    return !events_since_ && !zero_asked_ && i.closes == 0 && i.overflows == 0 &&
           std::ranges::all_of(in_, nothing) && std::ranges::all_of(out_, nothing);
}

void TopModel::add_look(TopData& data) const
{
    data.states = states_;
    data.time_waits_seen = seen_.time_wait_exits;
    data.opened = opened_;
    data.connections = connections_;
    data.connections_there = connections_there_;
}

void TopModel::add_counts(TopData& data, const event::Summary& s) const
{
    data.interval = s.interval.value_or(event::Interval{});
    data.overflows = less(s.overflows, zero_.overflows);
    data.accept_errors = less(s.accept_errors, zero_.accept_errors);
    data.connect_errors = less(s.connect_errors, zero_.connect_errors);
    data.retransmits = less(s.retransmits, zero_.retransmits);
    data.time_wait_overflows = less(s.time_wait_overflows, zero_.time_wait_overflows);
    data.lost = s.lost();
    data.remotes = s.top_remotes;
    data.processes = s.top_processes;
}

TopListener TopModel::row_of(const event::ListenerSummary& l, const event::Summary& s) const
{
    TopListener row;
    row.key = key_of(l);
    row.local = l.local;
    row.owner = l.owner;
    row.high = l.acceptq_high;
    row.limit = l.acceptq_max;
    row.ended = l.ended;
    if (seen_.accepts && !l.ended) {
        const auto depth = depths_.find(row.key);
        row.depth = depth == depths_.end() ? 0 : depth->second;
        row.high = std::max(row.high, *row.depth);
    }
    if (s.interval && s.interval->us != 0)
        row.accepts_s = static_cast<double>(l.new_accepts.value_or(0)) * 1e6 /
                        static_cast<double>(s.interval->us);
    const auto before = std::ranges::find_if(zero_.listeners, [&](const event::ListenerSummary& z) {
        return key_of(z) == row.key;
    });
    const bool zeroed = before != zero_.listeners.end();
    row.accepts = less(l.accepts, zeroed ? before->accepts : 0);
    const Histogram waits =
        zeroed ? l.accept_wait_us.since(before->accept_wait_us) : l.accept_wait_us;
    if (waits.count() != 0)
        row.waits_us = {waits.percentile(50), waits.percentile(90), waits.percentile(99)};
    return row;
}

void TopModel::add_turned(TopListener& row, Turned& t)
{
    row.overflows += less(t.overflows, t.overflows_zero);
    row.new_overflows += t.overflows - t.overflows_before;
    row.accept_errors += less(t.accept_errors, t.accept_errors_zero);
    t.overflows_before = t.overflows;
}

void TopModel::add_listeners(TopData& data, const event::Summary& s)
{
    for (const event::ListenerSummary& l : s.listeners)
        data.listeners.push_back(row_of(l, s));
    for (auto& [key, turned] : turned_) {
        // A listener without a cookie has one id in the records and another for people.
        auto row = std::ranges::find(data.listeners, key, &TopListener::key);
        if (row == data.listeners.end())
            row = std::ranges::find_if(data.listeners, [&key = key](const TopListener& l) {
                return l.key.netns == key.netns && l.key.port == key.port && !l.ended;
            });
        if (row != data.listeners.end())
            add_turned(*row, turned);
    }
}

} // namespace tcpsaga
