// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/table.h"

namespace tcpsaga {

ConnectionTable::ConnectionTable(std::size_t capacity) : capacity_(capacity) {}

Connection* ConnectionTable::find(std::uint64_t kernel_id, std::uint32_t netns)
{
    const auto it = by_id_.find({kernel_id, netns});
    return it == by_id_.end() ? nullptr : &*it->second;
}

Connection* ConnectionTable::find(const Tuple& tuple)
{
    const auto it = by_tuple_.find(tuple);
    return it == by_tuple_.end() ? nullptr : &*it->second;
}

Connection& ConnectionTable::insert(std::uint64_t kernel_id, const Tuple& tuple)
{
    if (const auto it = by_id_.find({kernel_id, tuple.netns}); it != by_id_.end())
        forget(it->second);
    if (entries_.size() >= capacity_ && !entries_.empty()) {
        evicted_++;
        forget(std::prev(entries_.end()));
    }
    Connection& c = entries_.emplace_front();
    c.kernel_id = kernel_id;
    c.tuple = tuple;
    by_id_[id_of(c)] = entries_.begin();
    by_tuple_[tuple] = entries_.begin();
    return c;
}

void ConnectionTable::rekey(Connection& c, std::uint64_t kernel_id)
{
    auto node = by_id_.extract(id_of(c));
    c.kernel_id = kernel_id;
    node.key() = id_of(c);
    by_id_.insert(std::move(node));
}

void ConnectionTable::retuple(Connection& c, const Tuple& tuple)
{
    const auto self = by_id_.at(id_of(c));
    if (const auto it = by_tuple_.find(c.tuple); it != by_tuple_.end() && it->second == self)
        by_tuple_.erase(it);
    c.tuple = tuple;
    by_tuple_[tuple] = self;
}

void ConnectionTable::touch(const Connection& c)
{
    entries_.splice(entries_.begin(), entries_, by_id_.at(id_of(c)));
}

void ConnectionTable::erase(const Connection& c)
{
    forget(by_id_.at(id_of(c)));
}

void ConnectionTable::forget(List::iterator it)
{
    // A reused 4-tuple may already belong to a younger connection.
    if (const auto t = by_tuple_.find(it->tuple); t != by_tuple_.end() && t->second == it)
        by_tuple_.erase(t);
    by_id_.erase(id_of(*it));
    entries_.erase(it);
}

} // namespace tcpsaga
