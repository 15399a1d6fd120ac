// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/host_pairing.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

namespace tcpsaga {
namespace {

constexpr std::int64_t measured_ns = 1'000'000; // what the times of a handshake may be off
constexpr std::int64_t drift_ppm = 100;         // of a clock that nobody sets
constexpr std::size_t most_ranges = 16;         // those that are wrong are many, and small
constexpr std::uint32_t heavy = 1000;

std::uint32_t fold(std::uint64_t hash)
{
    return static_cast<std::uint32_t>(hash >> 32);
}

std::uint32_t hash_of(const HostConn& id)
{
    constexpr std::uint64_t factor = 0x9e3779b97f4a7c15; // 2^64 / golden ratio
    return fold(((id.conn * factor) ^ (std::uint64_t{id.host} << 32 | id.netns)) * factor);
}

std::uint32_t hash_of(const Endpoint& local, const Endpoint& remote)
{
    return fold(TupleHash{}(Tuple{local, remote, 0}));
}

bool is_mirrored(const Tuple& a, const Tuple& b)
{
    return a.local == b.remote && a.remote == b.local;
}

bool fit(Role a, Role b)
{
    return a == Role::unknown || b == Role::unknown || a != b;
}

bool is_link_local(const Address& a)
{
    if (a.is_v4())
        return a.bytes[12] == 169 && a.bytes[13] == 254;
    return a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80;
}

/// When it was over, as far as is known.
std::int64_t last_of(const HostEnd& e)
{
    return e.closed_ns != 0 ? e.closed_ns : std::numeric_limits<std::int64_t>::max() / 2;
}

} // namespace

HostEnd host_end_of(const Connection& c, std::uint32_t host, std::int64_t utc_offset_ns,
                    std::uint64_t ts_ns)
{
    const auto utc = [&](std::uint64_t ns) {
        return ns == 0 ? 0 : static_cast<std::int64_t>(ns) + utc_offset_ns;
    };
    HostEnd e;
    e.id = {host, c.tuple.netns, c.id};
    e.tuple = c.tuple;
    e.role = c.role;
    e.process = c.owner;
    e.first_ns = utc(c.started_ns != 0 ? c.started_ns : ts_ns);
    e.up_ns = utc(c.established_ns);
    if (c.role == Role::client)
        e.syn_ns = utc(c.started_ns);
    else if (c.started_ns != 0 && c.handshake_us) // a child begins with what ends the handshake
        e.syn_ns = utc(c.started_ns) - static_cast<std::int64_t>(*c.handshake_us * 1000);
    return e;
}

bool may_cross_hosts(const Tuple& t)
{
    const auto stays = [](const Address& a) { return is_loopback(a) || is_link_local(a); };
    return t.local.port != 0 && t.remote.port != 0 && !stays(t.local.addr) && !stays(t.remote.addr);
}

// ---- the ends ---------------------------------------------------------------------------

void HostPairing::add(const HostEnd& e)
{
    if (!may_cross_hosts(e.tuple))
        return;
    std::uint32_t slot = find(e.id);
    if (slot == none) {
        retire_elder(e);
        slot = insert(e);
    } else if (slots_[slot].end.syn_ns != 0) { // it has voted
        slots_[slot].end.process = e.process;
        return;
    } else {
        const HostEnd before = slots_[slot].end;
        slots_[slot].end = e;
        slots_[slot].end.first_ns = std::min(before.first_ns, e.first_ns);
        slots_[slot].end.closed_ns = before.closed_ns;
    }
    vote(slots_[slot].end);
}

void HostPairing::close(const HostConn& id, std::int64_t utc_ns, const Process& owner)
{
    const std::uint32_t slot = find(id);
    if (slot == none)
        return;
    slots_[slot].end.closed_ns = utc_ns;
    slots_[slot].end.process = owner;
}

void HostPairing::forget(const HostConn& id)
{
    const std::uint32_t slot = find(id);
    if (slot == none)
        return;
    if (const std::uint32_t other = slots_[slot].other; other != none)
        slots_[other].other = none;
    erase(slot);
}

const HostEnd* HostPairing::other_end(const HostConn& id)
{
    const std::uint32_t slot = find(id);
    const std::uint32_t other = slot == none ? none : settle(slot);
    return other == none ? nullptr : &slots_[other].end;
}

void HostPairing::forget_closed_before(std::int64_t utc_ns)
{
    const auto over = [&](const Slot& s) {
        return s.end.closed_ns != 0 && s.end.closed_ns < utc_ns;
    };
    for (std::uint32_t slot = 0; slot < slots_.size(); slot++) {
        const Slot& s = slots_[slot];
        if (!s.used || !over(s) || (s.other != none && !over(slots_[s.other])))
            continue;
        if (s.other != none)
            erase(s.other);
        erase(slot);
    }
}

std::uint32_t HostPairing::find(const HostConn& id) const
{
    return by_id_.find(hash_of(id), [&](std::uint32_t s) { return slots_[s].end.id == id; });
}

std::uint32_t HostPairing::insert(const HostEnd& e)
{
    std::uint32_t slot = 0;
    if (free_.empty()) {
        slot = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        slot = free_.back();
        free_.pop_back();
    }
    slots_[slot] = {e, none, true, true};
    by_id_.insert(hash_of(e.id), slot);
    by_tuple_.insert(hash_of(e.tuple.local, e.tuple.remote), slot);
    return slot;
}

/// Those before it with its 4-tuple are over. What is too old for any other end is not looked at
/// again, so that the users of one 4-tuple never are many.
void HostPairing::retire_elder(const HostEnd& e)
{
    std::vector<std::uint32_t> old;
    by_tuple_.for_each(hash_of(e.tuple.local, e.tuple.remote), [&](std::uint32_t slot) {
        HostEnd& elder = slots_[slot].end;
        const bool same = elder.id.host == e.id.host && elder.id.netns == e.id.netns &&
                          elder.tuple.local == e.tuple.local &&
                          elder.tuple.remote == e.tuple.remote;
        if (same && elder.closed_ns == 0)
            elder.closed_ns = e.first_ns;
        if (same && elder.closed_ns < e.first_ns - 2 * window_ns_)
            old.push_back(slot);
    });
    for (const std::uint32_t slot : old) {
        settle(slot);
        unindex(slot);
    }
}

void HostPairing::unindex(std::uint32_t slot)
{
    const Tuple& t = slots_[slot].end.tuple;
    if (std::exchange(slots_[slot].indexed, false))
        by_tuple_.erase(hash_of(t.local, t.remote), slot);
}

void HostPairing::erase(std::uint32_t slot)
{
    unindex(slot);
    by_id_.erase(hash_of(slots_[slot].end.id), slot);
    slots_[slot] = {};
    free_.push_back(slot);
}

/// Those on other hosts that might be its other end by address, port and role.
template <class Visit>
void HostPairing::for_each_mirrored(const HostEnd& e, const Visit& visit) const
{
    by_tuple_.for_each(hash_of(e.tuple.remote, e.tuple.local), [&](std::uint32_t slot) {
        const HostEnd& other = slots_[slot].end;
        if (other.id.host != e.id.host && is_mirrored(other.tuple, e.tuple) &&
            fit(other.role, e.role))
            visit(slot);
    });
}

// ---- the clocks -------------------------------------------------------------------------

/// How much wider a range has become by then.
std::int64_t HostPairing::Range::slack(std::int64_t when) const
{
    return measured_ns + std::abs(when - at) / 1'000'000 * drift_ppm;
}

bool HostPairing::Range::agrees(const Range& other) const
{
    const std::int64_t wider = slack(other.at);
    return other.low <= high + wider && other.high >= low - wider;
}

/// What the clocks were apart, had these two ends been one connection's. nullopt: it cannot be
/// told.
std::optional<HostPairing::Range> HostPairing::range_of(const HostEnd& a, const HostEnd& b)
{
    const HostEnd& client = a.role == Role::client ? a : b;
    const HostEnd& server = a.role == Role::client ? b : a;
    if (client.role != Role::client || server.role != Role::server || client.syn_ns == 0 ||
        client.up_ns == 0 || server.syn_ns == 0)
        return {};
    const std::int64_t low = server.syn_ns - client.up_ns;
    const std::int64_t high = server.syn_ns - client.syn_ns;
    if (client.id.host < server.id.host)
        return Range{low, high, server.syn_ns};
    return Range{-high, -low, server.syn_ns};
}

/// Each that might be the other end says what the clocks are apart; the right ones agree.
void HostPairing::vote(const HostEnd& e)
{
    for_each_mirrored(e, [&](std::uint32_t slot) {
        const HostEnd& other = slots_[slot].end;
        const auto range = range_of(e, other);
        if (!range || range->low > window_ns_ || range->high < -window_ns_)
            return;
        auto& all = clocks_[std::minmax({e.id.host, other.id.host})];
        const auto known =
            std::ranges::find_if(all, [&](const Range& r) { return r.agrees(*range); });
        if (known == all.end()) {
            if (all.size() == most_ranges)
                all.erase(std::ranges::min_element(all, {}, &Range::weight));
            all.push_back(*range);
            return;
        }
        const std::int64_t drifted = 2 * (known->slack(range->at) - measured_ns);
        known->n++;
        if (range->high - range->low <= known->high - known->low + drifted)
            *known = {range->low, range->high, range->at, known->n, known->weight};
        if (++known->weight == heavy) // a clock that was set anew is believed soon
            for (Range& r : all)
                r.weight /= 2;
    });
}

/// Of these two hosts; null: nothing is known.
const HostPairing::Range* HostPairing::best(std::uint32_t a, std::uint32_t b) const
{
    const auto found = clocks_.find(std::minmax({a, b}));
    if (found == clocks_.end() || found->second.empty())
        return nullptr;
    return &*std::ranges::min_element(found->second, [](const Range& x, const Range& y) {
        return x.weight != y.weight ? x.weight > y.weight
                                    : std::abs(x.middle()) < std::abs(y.middle());
    });
}

std::vector<ClockSkew> HostPairing::skews() const
{
    std::vector<ClockSkew> all;
    for (const auto& [hosts, ranges] : clocks_)
        if (const Range* r = best(hosts.first, hosts.second))
            all.push_back({hosts.second, hosts.first, r->middle(), (r->high - r->low) / 2, r->n});
    return all;
}

// ---- the pairs --------------------------------------------------------------------------

/// The smaller, the better do they fit; nullopt: not at all.
std::optional<std::int64_t> HostPairing::fitness(const HostEnd& a, const HostEnd& b) const
{
    const Range* clocks = best(a.id.host, b.id.host);
    if (const auto range = range_of(a, b)) {
        if (clocks == nullptr || !clocks->agrees(*range))
            return {};
        return std::abs(range->middle() - clocks->middle());
    }
    const std::int64_t ahead = clocks == nullptr ? 0 : clocks->middle();
    const HostEnd& first = a.id.host < b.id.host ? a : b;
    const HostEnd& second = a.id.host < b.id.host ? b : a;
    const std::int64_t together = std::min(last_of(first), last_of(second) - ahead) -
                                  std::max(first.first_ns, second.first_ns - ahead);
    if (together <= 0)
        return {};
    return std::numeric_limits<std::int64_t>::max() - together; // behind all that are measured
}

/// Of those that are nobody's.
std::uint32_t HostPairing::pick(std::uint32_t slot) const
{
    const HostEnd& e = slots_[slot].end;
    std::uint32_t found = none;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for_each_mirrored(e, [&](std::uint32_t candidate) {
        if (slots_[candidate].other != none)
            return;
        if (const auto f = fitness(e, slots_[candidate].end); f && *f < least) {
            least = *f;
            found = candidate;
        }
    });
    return found;
}

/// Takes the one that fits best, unless that one has a better.
std::uint32_t HostPairing::settle(std::uint32_t slot)
{
    if (slots_[slot].other != none || !slots_[slot].indexed)
        return slots_[slot].other;
    const std::uint32_t other = pick(slot);
    if (other == none || pick(other) != slot)
        return none;
    slots_[slot].other = other;
    slots_[other].other = slot;
    pairs_++;
    return other;
}

} // namespace tcpsaga
