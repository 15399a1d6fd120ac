// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "tcpsaga/connection.h"

namespace tcpsaga {

/// Where the entries of a table are, by 32 bits of their keys' hashes: open addressing with linear
/// probing, so that a look-up reads one cache line of the index as a rule. The keys themselves are
/// in the entries.
class SlotIndex {
public:
    static constexpr std::uint32_t none = UINT32_MAX;

    /// The slot with this hash that `same(slot)` accepts; `none` when there is none.
    template <class Same>
    [[nodiscard]] std::uint32_t find(std::uint32_t hash, const Same& same) const
    {
        for (std::uint32_t at = hash & mask(); places_[at].slot != none; at = (at + 1) & mask())
            if (places_[at].hash == hash && same(places_[at].slot))
                return places_[at].slot;
        return none;
    }
    /// Every slot with this hash.
    template <class Visit>
    void for_each(std::uint32_t hash, const Visit& visit) const
    {
        for (std::uint32_t at = hash & mask(); places_[at].slot != none; at = (at + 1) & mask())
            if (places_[at].hash == hash)
                visit(places_[at].slot);
    }
    /// Has the processor fetch what find() reads first.
    void fetch(std::uint32_t hash) const { __builtin_prefetch(&places_[hash & mask()]); }
    /// The first slot with this hash, `none` without one: most likely what find() will give.
    [[nodiscard]] std::uint32_t guess(std::uint32_t hash) const
    {
        return find(hash, [](std::uint32_t) { return true; });
    }
    void insert(std::uint32_t hash, std::uint32_t slot);
    /// Puts another slot in this one's place.
    void replace(std::uint32_t hash, std::uint32_t slot, std::uint32_t by);
    /// False when it was not there.
    bool erase(std::uint32_t hash, std::uint32_t slot);
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    struct Place {
        std::uint32_t hash = 0;
        std::uint32_t slot = none;
    };
    [[nodiscard]] std::uint32_t mask() const
    {
        return static_cast<std::uint32_t>(places_.size() - 1);
    }
    [[nodiscard]] std::uint32_t where(std::uint32_t hash, std::uint32_t slot) const;
    void grow();

    std::vector<Place> places_ = std::vector<Place>(64); // a power of two
    std::size_t size_ = 0;
};

/// The sockets that are alive, found by kernel id and namespace, or by 4-tuple. Bounded:
/// past `capacity` the one that was touched longest ago makes room, and is counted.
/// References stay valid until that entry is erased or evicted. Functions that take a Connection
/// want one of the table's own.
class ConnectionTable {
public:
    explicit ConnectionTable(std::size_t capacity);

    Connection* find(std::uint64_t kernel_id, std::uint32_t netns)
    {
        const std::uint32_t slot = by_id_.find(hash_of(kernel_id, netns), [&](std::uint32_t s) {
            const Entry& e = entry(s);
            return e.kernel_id == kernel_id && e.tuple.netns == netns;
        });
        return slot == SlotIndex::none ? nullptr : &entry(slot);
    }
    Connection* find(const Tuple& tuple)
    {
        const std::uint32_t slot = by_tuple_.find(hash_of(tuple), [&](std::uint32_t s) {
            return entry(s).tuple == tuple;
        });
        return slot == SlotIndex::none ? nullptr : &entry(slot);
    }
    /// Sockets that will be looked for soon, by the hashes of one and of its other end; 0 may be
    /// anybody's.
    struct Soon {
        std::uint32_t id = 0, tuple = 0, mirrored = 0;
    };
    /// Memory that find() and what follows will read is fetched without waiting for it: with `soon`
    /// the indexes', and some work later with fetch_entries() the entries'.
    [[nodiscard]] Soon fetch_indexes(std::uint64_t kernel_id, const Tuple& tuple) const
    {
        const Soon soon{hash_of(kernel_id, tuple.netns), hash_of(tuple),
                        hash_of({tuple.remote, tuple.local, tuple.netns})};
        by_id_.fetch(soon.id);
        by_tuple_.fetch(soon.tuple);
        by_tuple_.fetch(soon.mirrored);
        return soon;
    }
    void fetch_entries(const Soon& soon) const
    {
        fetch_entry(by_id_.guess(soon.id));
        fetch_entry(by_tuple_.guess(soon.mirrored));
    }
    /// A new entry. An older one under the same id is forgotten first; one with the same tuple is
    /// no longer found by it.
    Connection& insert(std::uint64_t kernel_id, const Tuple& tuple);
    void rekey(Connection& c, std::uint64_t kernel_id);
    void retuple(Connection& c, const Tuple& tuple);
    /// From now on it may be found by its ends alone, until it is withdrawn or goes.
    void offer(const Connection& c);
    void withdraw(const Connection& c) { withdraw(own(c)); }
    /// The one that is offered with these ends, in whatever namespace; nullptr: none or several.
    Connection* find_offered(const Tuple& ends);
    void touch(const Connection& c) { own(c).touched = ++clock_; }
    void erase(const Connection& c) { forget(own(c)); }

    /// All, in no order of meaning.
    template <class Visitor>
    void for_each(const Visitor& visit) const
    {
        for (std::uint32_t slot = 0; slot < slots_; slot++)
            if (const Entry& e = entry(slot); e.touched != 0)
                visit(static_cast<const Connection&>(e));
    }
    /// The same; `visit` must not erase.
    template <class Visitor>
    void for_each(const Visitor& visit)
    {
        for (std::uint32_t slot = 0; slot < slots_; slot++)
            if (Entry& e = entry(slot); e.touched != 0)
                visit(static_cast<Connection&>(e));
    }

    [[nodiscard]] std::size_t size() const { return by_id_.size(); }
    [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

private:
    struct Entry : Connection {
        std::uint64_t touched = 0; ///< the clock then; 0: free
        std::uint32_t slot = 0;
        std::uint32_t tuple_hash = 0;
        std::uint32_t ends_hash = 0;
        bool offered = false;
    };
    struct Stale {
        std::uint64_t touched;
        std::uint32_t slot;
    };
    // Chunks do not move, and grow the table without a pause.
    static constexpr std::uint32_t chunk_size = 256;
    [[nodiscard]] Entry& entry(std::uint32_t slot)
    {
        return chunks_[slot / chunk_size][slot % chunk_size];
    }
    [[nodiscard]] const Entry& entry(std::uint32_t slot) const
    {
        return chunks_[slot / chunk_size][slot % chunk_size];
    }
    [[nodiscard]] Entry& own(const Connection& c)
    {
        return entry(static_cast<const Entry&>(c).slot); // NOLINT: all of ours are entries
    }
    /// Fibonacci hashing (Knuth, 6.4): the high half depends on all bits.
    static std::uint32_t spread(std::uint64_t bits)
    {
        return static_cast<std::uint32_t>(bits * 0x9e3779b97f4a7c15 >> 32);
    }
    static std::uint32_t hash_of(std::uint64_t kernel_id, std::uint32_t netns)
    {
        return spread(kernel_id ^ std::uint64_t{netns} << 32);
    }
    static std::uint32_t hash_of(const Tuple& t) { return spread(TupleHash{}(t)); }
    void fetch_entry(std::uint32_t slot) const
    {
        constexpr std::size_t line = 64;
        if (slot == SlotIndex::none)
            return;
        const auto* const bytes = reinterpret_cast<const char*>(&entry(slot)); // NOLINT
        for (std::size_t at = 0; at < sizeof(Entry); at += line)
            __builtin_prefetch(bytes + at, 1);
    }
    Entry& take_slot();
    void withdraw(Entry& e);
    void index_tuple(Entry& e, const Tuple& tuple);
    void evict();
    void find_stale();
    void forget(Entry& e);

    std::size_t capacity_;
    std::uint64_t evicted_ = 0;
    std::uint64_t clock_ = 0;                      // counts touches
    std::uint32_t slots_ = 0;                      // that have ever been in use
    std::vector<std::unique_ptr<Entry[]>> chunks_; // NOLINT: an array of its own
    std::vector<std::uint32_t> free_;
    std::vector<Stale> stale_; // the next to evict at the end, unless touched since
    SlotIndex by_id_, by_tuple_;
    SlotIndex offered_; ///< by their ends
};

} // namespace tcpsaga
