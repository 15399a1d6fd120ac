// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/table.h"

#include <algorithm>
#include <utility>

namespace tcpsaga {

// ---- the index ------------------------------------------------------------------------

void SlotIndex::insert(std::uint32_t hash, std::uint32_t slot)
{
    if (size_ + 1 > places_.size() / 4 * 3)
        grow();
    std::uint32_t at = hash & mask();
    while (places_[at].slot != none)
        at = (at + 1) & mask();
    places_[at] = {hash, slot};
    size_++;
}

std::uint32_t SlotIndex::where(std::uint32_t hash, std::uint32_t slot) const
{
    for (std::uint32_t at = hash & mask(); places_[at].slot != none; at = (at + 1) & mask())
        if (places_[at].slot == slot)
            return at;
    return none;
}

void SlotIndex::replace(std::uint32_t hash, std::uint32_t slot, std::uint32_t by)
{
    places_[where(hash, slot)].slot = by;
}

bool SlotIndex::erase(std::uint32_t hash, std::uint32_t slot)
{
    std::uint32_t hole = where(hash, slot);
    if (hole == none)
        return false;
    size_--;
    // What probed past this place moves up (Knuth, 6.4, algorithm R).
    for (std::uint32_t at = (hole + 1) & mask(); places_[at].slot != none; at = (at + 1) & mask()) {
        const std::uint32_t home = places_[at].hash & mask();
        if (((at - home) & mask()) >= ((at - hole) & mask())) {
            places_[hole] = places_[at];
            hole = at;
        }
    }
    places_[hole] = {};
    return true;
}

void SlotIndex::grow()
{
    const std::vector<Place> old = std::exchange(places_, std::vector<Place>(places_.size() * 2));
    for (const Place& p : old) {
        if (p.slot == none)
            continue;
        std::uint32_t at = p.hash & mask();
        while (places_[at].slot != none)
            at = (at + 1) & mask();
        places_[at] = p;
    }
}

// ---- the table ------------------------------------------------------------------------

ConnectionTable::ConnectionTable(std::size_t capacity) : capacity_(capacity) {}

Connection& ConnectionTable::insert(std::uint64_t kernel_id, const Tuple& tuple)
{
    if (Connection* known = find(kernel_id, tuple.netns))
        erase(*known);
    if (size() >= capacity_ && size() != 0)
        evict();
    Entry& e = take_slot();
    touch(e);
    e.kernel_id = kernel_id;
    by_id_.insert(hash_of(kernel_id, tuple.netns), e.slot);
    index_tuple(e, tuple);
    return e;
}

ConnectionTable::Entry& ConnectionTable::take_slot()
{
    std::uint32_t slot = slots_;
    if (!free_.empty()) {
        slot = free_.back();
        free_.pop_back();
    } else if (slots_++ % chunk_size == 0) {
        chunks_.push_back(std::make_unique<Entry[]>(chunk_size)); // NOLINT(*-avoid-c-arrays)
    }
    Entry& e = entry(slot);
    static_cast<Connection&>(e) = {};
    e.slot = slot;
    e.offered = false;
    return e;
}

/// The tuple is this entry's from now on, whoever had it before.
void ConnectionTable::index_tuple(Entry& e, const Tuple& tuple)
{
    e.tuple = tuple;
    e.tuple_hash = hash_of(tuple);
    const std::uint32_t elder = by_tuple_.find(e.tuple_hash, [&](std::uint32_t s) {
        return s != e.slot && entry(s).tuple == tuple;
    });
    if (elder == SlotIndex::none)
        by_tuple_.insert(e.tuple_hash, e.slot);
    else
        by_tuple_.replace(e.tuple_hash, elder, e.slot);
}

void ConnectionTable::rekey(Connection& c, std::uint64_t kernel_id)
{
    auto& e = own(c);
    if (Connection* other = find(kernel_id, c.tuple.netns); other != nullptr && other != &c)
        erase(*other);
    by_id_.erase(hash_of(e.kernel_id, e.tuple.netns), e.slot);
    e.kernel_id = kernel_id;
    by_id_.insert(hash_of(kernel_id, e.tuple.netns), e.slot);
}

void ConnectionTable::retuple(Connection& c, const Tuple& tuple)
{
    auto& e = own(c);
    if (e.tuple == tuple && find(tuple) == &c)
        return;
    withdraw(e);
    by_tuple_.erase(e.tuple_hash, e.slot);
    index_tuple(e, tuple);
}

void ConnectionTable::offer(const Connection& c)
{
    auto& e = own(c);
    if (std::exchange(e.offered, true))
        return;
    e.ends_hash = spread(TupleHash::ends(e.tuple));
    offered_.insert(e.ends_hash, e.slot);
}

void ConnectionTable::withdraw(Entry& e)
{
    if (std::exchange(e.offered, false))
        offered_.erase(e.ends_hash, e.slot);
}

Connection* ConnectionTable::find_offered(const Tuple& ends)
{
    Entry* found = nullptr;
    bool several = false;
    offered_.for_each(spread(TupleHash::ends(ends)), [&](std::uint32_t slot) {
        Entry& e = entry(slot);
        if (e.tuple.local != ends.local || e.tuple.remote != ends.remote)
            return;
        several = found != nullptr;
        found = &e;
    });
    return several ? nullptr : found;
}

/// Room for one more.
void ConnectionTable::evict()
{
    for (;;) {
        if (stale_.empty())
            find_stale();
        const Stale oldest = stale_.back();
        stale_.pop_back();
        if (Entry& e = entry(oldest.slot); e.touched == oldest.touched) {
            evicted_++;
            return forget(e);
        }
    }
}

/// The oldest sixteenth, oldest last. What is touched or made later is younger than all of it.
void ConnectionTable::find_stale()
{
    for (std::uint32_t slot = 0; slot < slots_; slot++)
        if (const Entry& e = entry(slot); e.touched != 0)
            stale_.push_back({e.touched, slot});
    const std::size_t n = stale_.size() / 16 + 1;
    const auto older = [](const Stale& a, const Stale& b) { return a.touched < b.touched; };
    std::nth_element(stale_.begin(), stale_.begin() + static_cast<std::ptrdiff_t>(n - 1),
                     stale_.end(), older);
    stale_.resize(n);
    stale_.shrink_to_fit();
    std::sort(stale_.rbegin(), stale_.rend(), older);
}

void ConnectionTable::forget(Entry& e)
{
    withdraw(e);
    by_tuple_.erase(e.tuple_hash, e.slot); // unless it belongs to a younger connection by now
    by_id_.erase(hash_of(e.kernel_id, e.tuple.netns), e.slot);
    e.touched = 0;
    free_.push_back(e.slot);
}

} // namespace tcpsaga
