// SPDX-License-Identifier: BSD-2-Clause
#include "worst.h"

#include <algorithm>
#include <set>

namespace tcpsaga {
namespace {

Life life_of(const Event& e, const event::Close& close)
{
    const Connection& c = *e.conn;
    Life life{e.ts_ns,
              c.id,
              c.tuple,
              c.role,
              c.closed_by,
              c.seen_start,
              c.owner.known() ? c.owner : e.actor,
              close,
              std::string(close.why)};
    life.close.why = {};
    return life;
}

bool ranks_higher(const std::pair<std::uint64_t, Life>& a, const std::pair<std::uint64_t, Life>& b)
{
    return a.first > b.first;
}

} // namespace

Worst::Worst()
{
    ends_.fill({most_ends});
}

void Worst::add(const Event& e, const event::Close& close)
{
    offer(waits_, close.accept_wait_us.value_or(0), e, close);
    offer(handshakes_, close.handshake_us.value_or(0), e, close);
    offer(retransmits_, close.retransmits, e, close);
    if (close.end != event::End::fin) // 1: it counts however short it was
        offer(ends_.at(static_cast<std::size_t>(close.end)), close.duration_us.value_or(0) + 1, e,
              close);
}

void Worst::offer(Top& top, std::uint64_t rank, const Event& e, const event::Close& close)
{
    auto& heap = top.heap;
    if (rank == 0 || (heap.size() == top.most && rank <= heap.front().first))
        return;
    if (heap.size() == top.most) {
        std::ranges::pop_heap(heap, ranks_higher);
        heap.pop_back();
    }
    heap.emplace_back(rank, life_of(e, close));
    std::ranges::push_heap(heap, ranks_higher);
}

std::vector<Life> Worst::all() const
{
    std::vector<Life> lives;
    std::set<std::pair<std::uint64_t, std::uint64_t>> known; // a connection ends once
    const auto take = [&](const Top& top) {
        for (const auto& [rank, life] : top.heap)
            if (known.insert({life.ts_ns, life.conn}).second)
                lives.push_back(life);
    };
    for (const Top* top : {&waits_, &handshakes_, &retransmits_})
        take(*top);
    for (const Top& top : ends_)
        take(top);
    std::ranges::sort(lives, [](const Life& a, const Life& b) {
        const auto key = [](const Life& l) {
            return std::pair(~l.close.accept_wait_us.value_or(0), std::pair(l.ts_ns, l.conn));
        };
        return key(a) < key(b);
    });
    return lives;
}

} // namespace tcpsaga
