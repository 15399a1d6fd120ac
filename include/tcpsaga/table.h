// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <list>
#include <memory_resource>
#include <unordered_map>

#include "tcpsaga/connection.h"

namespace tcpsaga {

/// The sockets that are alive, found by kernel id and namespace, or by 4-tuple. Bounded:
/// past `capacity` the one that was touched longest ago makes room, and is counted.
/// References stay valid until that entry is erased or evicted.
class ConnectionTable {
public:
    explicit ConnectionTable(std::size_t capacity);

    Connection* find(std::uint64_t kernel_id, std::uint32_t netns);
    Connection* find(const Tuple& tuple);
    /// A new entry; an older one under the same id or tuple is forgotten first.
    Connection& insert(std::uint64_t kernel_id, const Tuple& tuple);
    void rekey(Connection& c, std::uint64_t kernel_id);
    void retuple(Connection& c, const Tuple& tuple);
    void touch(const Connection& c);
    void erase(const Connection& c);

    /// All, in no order of meaning.
    template <class Visitor>
    void for_each(const Visitor& visit) const
    {
        for (const Connection& c : entries_)
            visit(c);
    }
    /// The same; `visit` must not erase.
    template <class Visitor>
    void for_each(const Visitor& visit)
    {
        for (Connection& c : entries_)
            visit(c);
    }

    [[nodiscard]] std::size_t size() const { return by_id_.size(); }
    [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

private:
    struct Id {
        std::uint64_t kernel_id;
        std::uint32_t netns;
        bool operator==(const Id&) const = default;
    };
    struct IdHash {
        std::size_t operator()(const Id& id) const noexcept
        {
            return (id.kernel_id ^ std::uint64_t{id.netns} << 32) * 0x9e3779b97f4a7c15;
        }
    };
    using List = std::pmr::list<Connection>; // most recently touched first
    static Id id_of(const Connection& c) { return {c.kernel_id, c.tuple.netns}; }
    void forget(List::iterator it);

    std::size_t capacity_;
    std::uint64_t evicted_ = 0;
    std::pmr::unsynchronized_pool_resource pool_; // steady state: no malloc per connection
    List entries_{&pool_};
    std::pmr::unordered_map<Id, List::iterator, IdHash> by_id_{&pool_};
    std::pmr::unordered_map<Tuple, List::iterator, TupleHash> by_tuple_{&pool_};
};

} // namespace tcpsaga
