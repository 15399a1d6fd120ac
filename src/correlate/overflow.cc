// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel side counts every packet that a full queue turned away, per listener and kind,
 * and sends a record for some of them, each with the total so far. An event stands for all
 * since the one before it; what is left when records end is settled from the totals.
 */
#include <array>
#include <utility>

#include "parts.h"
#include "tcpsaga/correlator.h"

namespace tcpsaga {
namespace {

using event::Action;
using event::Overflow;
using event::Queue;
using event::Stage;

/// By ts_overflow_kind.
constexpr std::array<Overflow, TS_OVERFLOW_KINDS> shapes{
    Overflow{Queue::syn, Stage::syn, Action::drop, false, {}, {}, {}, 0},
    Overflow{Queue::syn, Stage::syn, Action::cookie, false, {}, {}, {}, 0},
    Overflow{Queue::syn, Stage::syn, Action::drop, true, {}, {}, {}, 0},
    Overflow{Queue::accept, Stage::syn, Action::drop, false, {}, {}, {}, 0},
    Overflow{Queue::accept, Stage::ack, Action::drop, false, {}, {}, {}, 0},
    Overflow{Queue::accept, Stage::ack, Action::reset, false, {}, {}, {}, 0},
};

} // namespace

Connection shown_as(const Connection* listener, std::uint64_t id)
{
    Connection c;
    if (listener != nullptr) {
        c = *listener;
        c.owner.from = c.owner.known() ? PidFrom::listener : PidFrom::nobody;
    } else if ((id & address_bit) == 0) {
        c.id = id;
    }
    c.kernel_id = id; // the kernel's key, as in its totals
    c.role = Role::server;
    c.state = State::listen;
    return c;
}

Connection shown_as(const Connection* listener, const ts_head& h)
{
    Connection c = shown_as(listener, h.id);
    c.tuple = tuple_of(h);
    c.family = h.family;
    return c;
}

void Correlator::on_overflow(const ts_overflow& r)
{
    if (r.kind >= TS_OVERFLOW_KINDS) {
        malformed_++;
        return;
    }
    Connection c = shown_as(find_listener(r.head.id, r.head), r.head);
    Overflow what = shapes.at(r.kind);
    what.synq = r.synq;
    what.acceptq = r.acceptq;
    what.acceptq_max = r.acceptq_max;
    what.n = untold({c.kernel_id, c.tuple.netns}, r.kind, r.total);
    if (what.n == 0)
        return;
    counts_.overflows += what.n;
    emit(c, r.head.ts_ns, {}, what);
}

void Correlator::on_accept_error(const ts_accept_error& r)
{
    const ts_head& h = r.queue.head;
    Connection c = shown_as(find_listener(h.id, h), h);
    const std::uint64_t n = untold({c.kernel_id, c.tuple.netns}, TS_ACCEPT_FAILED, r.total);
    if (n == 0)
        return;
    counts_.accept_errors += n;
    emit(c, h.ts_ns, task_of(h),
         event::AcceptError{h.error, r.fd_limit, r.queue.acceptq, r.queue.acceptq_max, n});
}

/// How many of `total` no event has stood for yet; they are told with the next one.
std::uint64_t Correlator::untold(const SocketKey& listener, std::uint32_t kind, std::uint64_t total)
{
    auto& told = told_[listener].at(kind);
    if (total <= told)
        return 0; // two CPUs: the later total came first and stood for this one too
    const std::uint64_t n = total - told;
    told = total;
    return n;
}

void Correlator::settle(std::span<const ListenerTotals> totals, std::uint64_t ts_ns)
{
    for (auto& [netns, seen] : seen_) {
        seen.overflows = {};
        seen.cookies_wanted = seen.other_drops = 0;
    }
    for (const ListenerTotals& t : totals)
        settle_listener(t, ts_ns);
}

void Correlator::settle(std::span<const NetnsTotals> totals)
{
    for (const NetnsTotals& t : totals)
        seen_in(t.netns).rsts_sent = t.counts.rsts_sent;
}

void Correlator::settle_listener(const ListenerTotals& t, std::uint64_t ts_ns)
{
    SeenCounts& seen = seen_in(t.key.netns);
    seen.cookies_wanted += t.counts.cookies_wanted;
    seen.other_drops += t.counts.other_drops;
    const Connection* known = table_.find(t.key.id, t.key.netns);
    if (config_.unfiltered && !may_be_wanted(t.key.netns, known != nullptr))
        return;
    Connection c = shown_as(known, t.key.id);
    c.tuple.netns = t.key.netns;
    const SocketKey key{c.kernel_id, c.tuple.netns};
    for (std::uint32_t kind = 0; kind < TS_OVERFLOW_KINDS; kind++) {
        seen.overflows.at(kind) += t.counts.total[kind];
        Overflow what = shapes.at(kind);
        what.n = untold(key, kind, t.counts.total[kind]);
        counts_.overflows += what.n;
        if (what.n > 0)
            emit(c, ts_ns, {}, what);
    }
    const std::uint64_t failed = untold(key, TS_ACCEPT_FAILED, t.counts.total[TS_ACCEPT_FAILED]);
    counts_.accept_errors += failed;
    if (failed > 0)
        emit(c, ts_ns, {}, event::AcceptError{0, {}, {}, {}, failed});
}

/// Of totals there is only the namespace, and a listener that is known passed the filter.
bool Correlator::may_be_wanted(std::uint32_t netns, bool known) const
{
    Tuple nowhere;
    nowhere.netns = netns;
    return known || (!config_.filter.asks_for_ends() && config_.filter.passes(nowhere, 0));
}

void Correlator::on_polled(std::span<const PolledListener> listeners, std::uint64_t ts_ns,
                           std::uint64_t poll_ms)
{
    const bool first = !std::exchange(looked_, true);
    for (const PolledListener& l : listeners) {
        const int family = l.tuple.local.addr.is_v4() ? 4 : 6;
        if (!config_.filter.passes(l.tuple, family))
            continue;
        const auto [last, is_new] = polled_.try_emplace({l.cookie, l.tuple.netns}, l.drops);
        // A listener that was not there at the last look dropped all it has since then.
        const std::uint32_t before = !is_new ? last->second : first ? l.drops : 0;
        last->second = l.drops;
        if (l.drops == before)
            continue;
        const Connection* known = table_.find(l.cookie, l.tuple.netns);
        if (known == nullptr) // known by its address
            known = table_.find(l.tuple);
        Connection c = known != nullptr ? *known : Connection{};
        c.id = known != nullptr ? known->id : l.cookie;
        c.tuple = l.tuple;
        c.family = static_cast<std::uint8_t>(family);
        c.role = Role::server;
        if (c.owner.known())
            c.owner.from = PidFrom::listener;
        const Overflow what{l.acceptq > l.acceptq_max ? Queue::accept : Queue::syn,
                            {},
                            Action::drop,
                            false,
                            {},
                            l.acceptq,
                            l.acceptq_max,
                            l.drops - before,
                            poll_ms};
        counts_.overflows += what.n;
        seen_in(l.tuple.netns).polled_drops += what.n;
        emit(c, ts_ns, {}, what);
    }
}

} // namespace tcpsaga
