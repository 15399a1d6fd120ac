// SPDX-License-Identifier: BSD-2-Clause
/* Per listener: how deep its queue was and how long its children waited. */
#include <algorithm>

#include "tcpsaga/correlator.h"

namespace tcpsaga {

event::ListenerSummary& Correlator::listener_of(const Connection& child)
{
    // Past this many, all further ones share an entry without a name.
    constexpr std::size_t most = 4096;
    ListenerKey key{child.tuple.netns, child.tuple.local.port, child.listener};
    if (listeners_.size() >= most && !listeners_.contains(key))
        key = {};
    const auto [it, is_new] = listeners_.try_emplace(key);
    event::ListenerSummary& s = it->second;
    if (is_new && key != ListenerKey{}) {
        s.conn = child.listener;
        s.netns = child.tuple.netns;
        s.local = child.tuple.local;
    }
    return s;
}

/// A child of `listener` (null: not known) is about to be queued; `queue` as it was before.
void Correlator::measure_birth(Connection& c, const Connection* listener, const ts_queue* queue)
{
    c.listener = listener != nullptr ? listener->id : 0;
    event::ListenerSummary& s = listener_of(c);
    s.births++;
    if (listener != nullptr && s.netns != 0)
        s.local = listener->tuple.local;
    if (listener != nullptr && listener->owner.known())
        s.owner = listener->owner;
    if (queue != nullptr && queue->acceptq_max != 0) {
        s.acceptq_high = std::max(s.acceptq_high, queue->acceptq + 1);
        s.acceptq_max = queue->acceptq_max;
    }
}

} // namespace tcpsaga
