// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/evidence.h"

#include <algorithm>
#include <cerrno>

namespace tcpsaga {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t seconds_of_time_wait = 60;
constexpr std::size_t most_places = 1024;

/// What happened is the end's of a listener: it has a local port that others connect to.
bool serves(const Connection& c)
{
    return c.role == Role::server;
}

std::uint64_t micros_between(std::uint64_t from_ns, std::uint64_t to_ns)
{
    return to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
}

void end_stall(ListenerEvidence& l, std::uint64_t ts_ns)
{
    if (l.full_since_accept == 0)
        return;
    const std::uint64_t us = micros_between(std::max(l.full_since_ns, l.last_accept_ns), ts_ns);
    l.longest_stall_us = std::max(l.longest_stall_us, us);
    if (us >= stall_us)
        l.full_in_stalls += l.full_since_accept;
    l.full_since_accept = 0;
}

} // namespace

void Sighting::add(const Event& e, std::uint64_t times)
{
    if (n == 0)
        first_ns = e.ts_ns;
    n += times;
    last_ns = std::max(last_ns, e.ts_ns);
    const bool same = kept != 0 && examples.at(kept - 1).tuple == e.conn->tuple;
    if (kept < examples.size() && e.conn->tuple.remote.port != 0 && !same)
        examples.at(kept++) = {e.ts_ns, e.conn->id, e.conn->tuple, e.conn->role, e.actor};
}

void TimeWaitCount::enter(std::uint64_t ts_ns)
{
    in_++;
    const std::uint64_t second = ts_ns / second_ns;
    Bucket& b = buckets_.at(second % seconds);
    if (b.second != second)
        b = {second, 0};
    b.n++;
}

std::uint64_t TimeWaitCount::alive(std::uint64_t ts_ns) const
{
    const std::uint64_t second = ts_ns / second_ns;
    std::uint64_t young = 0;
    for (const Bucket& b : buckets_)
        young += b.second + seconds > second ? b.n : 0;
    return std::max(std::min(young, in_ - std::min(in_, out_)), ts_ns == found_ns_ ? found_ : 0);
}

void Peak::add(std::uint64_t ts_ns, std::uint64_t n)
{
    if (second != ts_ns / second_ns) {
        second = ts_ns / second_ns;
        now = 0;
    }
    now += n;
    most = std::max(most, now);
}

ListenerEvidence& EvidenceSink::listener_at(const Tuple& t, std::uint64_t id)
{
    auto& all = evidence_.listeners;
    Evidence::ListenerKey key{t.netns, t.local.port, id};
    const auto near = all.lower_bound(key);
    const bool same_port = near != all.end() && std::get<0>(near->first) == t.netns &&
                           std::get<1>(near->first) == t.local.port;
    if (id == 0 && same_port)
        return near->second; // which of those on this port is not known: the first
    if (same_port && std::get<2>(near->first) == 0 && !all.contains(key)) {
        auto known_now = all.extract(near); // its children came first, and did not say
        known_now.key() = key;
        known_now.mapped().conn = id;
        return all.insert(std::move(known_now)).position->second;
    }
    if (all.size() >= most_places && !all.contains(key))
        key = {};
    const auto [it, is_new] = all.try_emplace(key);
    ListenerEvidence& l = it->second;
    if (is_new && key != Evidence::ListenerKey{}) {
        l.conn = id;
        l.netns = t.netns;
        l.local = t.local;
    }
    return l;
}

DestinationEvidence& EvidenceSink::destination_of(const Connection& c)
{
    auto& all = evidence_.destinations;
    std::pair<std::uint32_t, Endpoint> key{c.tuple.netns, c.tuple.remote};
    if (all.size() >= most_places && !all.contains(key))
        key = {};
    const auto [it, is_new] = all.try_emplace(key);
    if (is_new)
        it->second.netns = key.first, it->second.remote = key.second;
    return it->second;
}

Endings& EvidenceSink::endings_of(const Connection& c)
{
    return serves(c) ? listener_of_child(c).endings : destination_of(c).endings;
}

void EvidenceSink::on_event(const Event& e)
{
    if (e.conn != nullptr)
        std::visit([&](const auto& what) { on(e, what); }, e.what);
}

void EvidenceSink::on(const Event& e, const event::Listen& what)
{
    ListenerEvidence& l = listener_itself(*e.conn);
    l.local = e.conn->tuple.local;
    l.owner = e.actor;
    l.backlog = what.backlog;
    if (what.asked)
        l.asked = what.asked;
    l.listened_ns = e.ts_ns;
    l.ended.reset();
}

void EvidenceSink::on(const Event& e, const event::Unlisten& what)
{
    ListenerEvidence& l = listener_itself(*e.conn);
    l.local = e.conn->tuple.local;
    if (!l.owner.known())
        l.owner = e.actor;
    end_stall(l, e.ts_ns);
    l.ended = what.why;
    l.ended_ns = e.ts_ns;
    l.waiting = 0;
}

void EvidenceSink::on(const Event& e, const event::Connect&)
{
    DestinationEvidence& d = destination_of(*e.conn);
    d.opens++;
    d.client = e.actor;
    evidence_.opens++;
}

void EvidenceSink::on(const Event& e, const event::ConnectError& what)
{
    DestinationEvidence& d = destination_of(*e.conn);
    if (e.actor.known())
        d.client = e.actor;
    switch (what.err) {
    case ECONNREFUSED:
        return d.refused.add(e);
    case ETIMEDOUT:
        return d.timed_out.add(e);
    case EADDRNOTAVAIL:
    case 0: // no port or no route: where no hook tells which
        d.no_port.add(e);
        if (what.ports)
            d.ports = what.ports;
        return;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EACCES:
        d.unreachable_errno = what.err;
        return d.unreachable.add(e);
    default:
        return;
    }
}

void EvidenceSink::on(const Event& e, const event::SynackTimeout&)
{
    listener_itself(*e.conn).synack_timeouts.add(e);
}

void EvidenceSink::on(const Event& e, const event::StateChange& what)
{
    const Connection& c = *e.conn;
    if (what.new_state == State::time_wait)
        endings_of(c).time_waits.enter(e.ts_ns);
    if (serves(c) && what.old_state == State::listen && what.new_state == State::syn_recv)
        listener_of_child(c).births++;
    if (what.new_state != State::established)
        return;
    if (serves(c) && c.seen_start && !c.accepted) {
        ListenerEvidence& l = listener_of_child(c);
        if (l.waiting++ == 0)
            l.waiting_since_ns = e.ts_ns;
    } else if (c.role == Role::client) {
        DestinationEvidence& d = destination_of(c);
        d.established++;
        if (what.us && *what.us >= syn_timeout_us)
            d.slow_handshakes.add(e);
    }
}

void EvidenceSink::on(const Event& e, const event::Accept& what)
{
    ListenerEvidence& l = listener_of_child(*e.conn);
    end_stall(l, e.ts_ns);
    l.accepts++;
    evidence_.accepts++;
    if (what.accept_wait_us) {
        const std::uint64_t wait = *what.accept_wait_us;
        l.accept_wait_us.add(wait);
        l.service_us.add(l.last_accept_ns == 0
                             ? wait
                             : std::min(wait, micros_between(l.last_accept_ns, e.ts_ns)));
    }
    if (what.acceptq_max)
        l.backlog = *what.acceptq_max;
    l.last_accept_ns = e.ts_ns;
    if (l.waiting > 0)
        l.waiting--;
    l.waiting_since_ns = e.ts_ns;
}

void EvidenceSink::on(const Event& e, const event::AcceptError& what)
{
    ListenerEvidence& l = listener_itself(*e.conn);
    // 0: how many more there were is settled at the end.
    if (what.err == EMFILE || (what.err == 0 && l.no_descriptor))
        l.no_descriptor.add(e, what.n);
    else if (what.err == ENFILE || (what.err == 0 && l.no_file))
        l.no_file.add(e, what.n);
    if (what.fd_limit)
        l.fd_limit = what.fd_limit;
    if (e.actor.known())
        l.starved = e.actor;
    if (what.acceptq_max)
        l.backlog = *what.acceptq_max;
}

void EvidenceSink::on(const Event& e, const event::TimeWait& what)
{
    if (what.why == event::TimeWaitEnd::overflow)
        evidence_.time_wait_overflows[e.conn->tuple.netns].add(e);
    else
        endings_of(*e.conn).time_waits.leave();
}

void EvidenceSink::on(const Event& e, const event::Overflow& what)
{
    ListenerEvidence& l = listener_itself(*e.conn);
    if (e.actor.known())
        l.owner = e.actor;
    if (what.acceptq_max)
        l.backlog = *what.acceptq_max;
    if (what.queue == event::Queue::syn && what.poll_ms) { // the queue may have been full before
        l.full_peak.add(e.ts_ns, what.n);
        return l.dropped.add(e, what.n);
    }
    if (what.queue == event::Queue::syn) {
        (what.action == event::Action::cookie ? l.syn_cookies : l.syn_drops).add(e, what.n);
        l.max_syn_backlog = l.max_syn_backlog || what.max_syn_backlog;
        return;
    }
    // Nothing waits any more: another CPU told of this late.
    const bool late = l.waiting == 0 && l.births != 0;
    if (l.full_since_accept == 0)
        l.full_since_ns = e.ts_ns;
    l.full_since_accept += late ? 0 : what.n;
    l.full.add(e, what.n);
    l.full_peak.add(e.ts_ns, what.n);
    if (what.action == event::Action::reset)
        l.full_rst.add(e, what.n);
}

void EvidenceSink::on(const Event& e, const event::Retransmit& what)
{
    if (what.what != event::Retransmitted::syn)
        return;
    DestinationEvidence& d = destination_of(*e.conn);
    d.syns_again.add(e);
    d.syns_first += what.nth == 1 ? 1 : 0;
    if (e.actor.known())
        d.client = e.actor;
    d.syns_not_sent += what.err == EPERM ? 1 : 0;
}

void EvidenceSink::on(const Event& e, const event::Drop& what)
{
    constexpr std::size_t most = 256;
    auto& all = evidence_.netfilter_drops;
    const Tuple& t = e.conn->tuple;
    if (what.reason != "NETFILTER_DROP")
        return;
    for (const std::uint16_t port : {t.local.port, t.remote.port})
        if (port != 0 && (all.size() < most || all.contains({t.netns, port})))
            all[{t.netns, port}].add(e, what.n);
}

void EvidenceSink::on(const Event& e, const event::Close& what)
{
    const Connection& c = *e.conn;
    if (serves(c) && c.seen_start && !c.accepted && c.established_ns != 0) {
        ListenerEvidence& l = listener_of_child(c);
        if (l.waiting > 0)
            l.waiting--;
        if (what.end == event::End::never_accepted)
            l.never_accepted.add(e);
        else if (c.closed_by != ClosedBy::unknown && e.actor.from == PidFrom::task)
            l.used_unaccepted++;
    }
    Endings& ends = endings_of(c);
    ends.closes++;
    // After the other end's FIN nothing of what it waits for can be lost.
    if (what.end == event::End::aborted && what.why == "unread_data" &&
        c.closed_by != ClosedBy::remote)
        ends.unread.add(e);
    if (what.end != event::End::timeout || (c.seen_start && !what.established_us))
        return;
    (what.why == "keepalive"      ? ends.keepalive
     : what.why == "user_timeout" ? ends.user_timeout
                                  : ends.retransmission)
        .add(e);
}

void EvidenceSink::on(const Event& e, const event::Stuck& what)
{
    const Connection& c = *e.conn;
    const bool no_one_has_it = serves(c) && c.seen_start && !c.accepted && evidence_.accepts_seen;
    if (what.state == State::close_wait && !no_one_has_it)
        endings_of(c).close_wait.add(e);
}

void EvidenceSink::adopt(const event::Summary& s, std::uint64_t ts_ns)
{
    // Where no hook tells of its end, one that is older than a minute may be gone.
    const bool recent = ts_ns < evidence_.begin_ns + seconds_of_time_wait * second_ns;
    for (const event::TimeWaitGroup& g : s.time_waits)
        if (g.role == Role::client && recent) {
            Connection c;
            c.tuple = {{}, g.end, g.netns};
            destination_of(c).endings.time_waits.found(ts_ns, g.n);
        }

    for (const event::ListenerSummary& from : s.listeners) {
        if (from.netns == 0)
            continue;
        ListenerEvidence& l = listener_at({from.local, {}, from.netns}, from.conn);
        l.local = from.local;
        if (from.owner.known())
            l.owner = from.owner;
        if (l.backlog == 0)
            l.backlog = from.acceptq_max;
    }
}

const Evidence& EvidenceSink::finish(std::uint64_t end_ns)
{
    evidence_.end_ns = end_ns;
    for (auto& [key, l] : evidence_.listeners)
        if (l.waiting != 0)
            end_stall(l, end_ns);
    return evidence_;
}

} // namespace tcpsaga
