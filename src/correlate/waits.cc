// SPDX-License-Identifier: BSD-2-Clause
/* Per listener: how deep its queue was and how long its children waited. */
#include <algorithm>

#include "tcpsaga/correlator.h"

namespace tcpsaga {

event::ListenerSummary& Correlator::listener_at(const Tuple& local, std::uint64_t listener)
{
    // Past this many, all further ones share an entry without a name.
    constexpr std::size_t most = 4096;
    ListenerKey key{local.netns, local.local.port, listener};
    if (last_listener_.second != nullptr && last_listener_.first == key)
        return *last_listener_.second;
    last_listener_.first = key;
    if (listeners_.size() >= most && !listeners_.contains(key))
        key = {};
    const auto [it, is_new] = listeners_.try_emplace(key);
    event::ListenerSummary& s = it->second;
    if (is_new && key != ListenerKey{}) {
        s.conn = listener;
        s.netns = local.netns;
        s.local = local.local;
    }
    last_listener_.second = &s;
    return s;
}

event::ListenerSummary& Correlator::listener_of(const Connection& child)
{
    return listener_at(child.tuple, child.listener);
}

event::ListenerSummary& Correlator::listener_entry(const Connection& listener)
{
    event::ListenerSummary& s = listener_at(listener.tuple, listener.id);
    if (s.netns == 0)
        return s; // the one for all that there is no room for
    s.local = listener.tuple.local;
    if (listener.owner.known())
        s.owner = listener.owner;
    return s;
}

void Correlator::describe(event::ListenerSummary& s, const event::Listen& what)
{
    if (s.netns == 0)
        return;
    s.acceptq_max = what.backlog;
    if (what.asked)
        s.asked = what.asked;
    s.ended.reset(); // the same socket may listen again
}

/// A child of `listener` (null: not known) is about to be queued; `queue` as it was before.
void Correlator::measure_birth(Connection& c, const Connection* listener, const ts_queue* queue)
{
    c.listener = listener != nullptr ? listener->id : 0;
    event::ListenerSummary& s = listener != nullptr ? listener_entry(*listener) : listener_of(c);
    s.births++;
    if (queue != nullptr && queue->acceptq_max != 0) {
        s.acceptq_high = std::max(s.acceptq_high, queue->acceptq + 1);
        s.acceptq_max = queue->acceptq_max;
    }
}

} // namespace tcpsaga
