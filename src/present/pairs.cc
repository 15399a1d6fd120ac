// SPDX-License-Identifier: BSD-2-Clause
#include <list>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "tcpsaga/present.h"

namespace tcpsaga {

/// Ends that wait for their other ends, the oldest first.
class PairDesk {
public:
    PairDesk(const Output& out, std::optional<std::uint64_t> count) : out_(out), count_(count) {}

    void on_end(Sink& next, const PairsHost& host, const Event& e, const event::Close& life)
    {
        constexpr std::size_t most = 65536;
        const Peer& peer = *life.peer;
        const std::uint32_t there = life.peer_host ? life.peer_host->number : host.number;
        const auto other = held_.find({there, peer.netns, peer.conn});
        if (other == held_.end()) {
            queue_.push_back({*e.conn, e, &next, host, there});
            held_[key_of(queue_.back())] = std::prev(queue_.end());
            if (queue_.size() > most)
                tell(queue_.begin());
            return;
        }
        const Held first = take(other->second);
        const Held second{*e.conn, e, &next, host, there};
        e.conn->role == Role::server ? tell_both(first, second, second)
                                     : tell_both(second, first, second);
    }

    /// Nothing more comes from there: whose other end is there has waited in vain.
    void on_end_of(std::uint32_t host)
    {
        ended_.insert(host);
        for (auto it = queue_.begin(); it != queue_.end() && (!count_ || out_.lines() < *count_);) {
            const auto at = it++;
            if (ended_.contains(at->other_host))
                tell(at);
        }
    }

private:
    using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>; // host, namespace, id
    struct Held {
        Connection connection;
        Event event;
        Sink* next;
        PairsHost host;
        std::uint32_t other_host;
    };
    using Queue = std::list<Held>;

    static Key key_of(const Held& h)
    {
        return {h.host.number, h.connection.tuple.netns, h.connection.id};
    }

    Held take(Queue::iterator at)
    {
        Held held = std::move(*at);
        if (const auto known = held_.find(key_of(held));
            known != held_.end() && known->second == at)
            held_.erase(known);
        queue_.erase(at);
        return held;
    }

    static void tell_both(const Held& client, const Held& server, const Held& last)
    {
        Event both = client.event;
        both.conn = &client.connection;
        both.ts_ns = last.event.ts_ns + static_cast<std::uint64_t>(last.host.utc_offset_ns -
                                                                   client.host.utc_offset_ns);
        auto& life = std::get<event::Close>(both.what);
        if (life.peer)
            life.peer->process = server.connection.owner;
        life.other = &std::get<event::Close>(server.event.what);
        client.next->on_event(both);
    }

    void tell(Queue::iterator at)
    {
        Held held = take(at);
        held.event.conn = &held.connection;
        held.next->on_event(held.event);
    }

    const Output& out_;
    std::optional<std::uint64_t> count_;
    Queue queue_;
    std::map<Key, Queue::iterator> held_;
    std::set<std::uint32_t> ended_;
};

namespace {

class Pairs : public Sink {
public:
    Pairs(std::unique_ptr<Sink> next, std::shared_ptr<PairDesk> desk, const PairsHost& host)
        : next_(std::move(next)), desk_(std::move(desk)), host_(host)
    {
    }

    void on_settings(const Settings& s) override { next_->on_settings(s); }
    void on_event(const Event& e) override
    {
        const auto* life = std::get_if<event::Close>(&e.what);
        if (life != nullptr && life->peer && life->peer->shown)
            return desk_->on_end(*next_, host_, e, *life);
        const auto* summary = std::get_if<event::Summary>(&e.what);
        if (summary != nullptr && summary->final)
            desk_->on_end_of(host_.number);
        next_->on_event(e);
    }

private:
    std::unique_ptr<Sink> next_;
    std::shared_ptr<PairDesk> desk_;
    PairsHost host_;
};

} // namespace

std::shared_ptr<PairDesk> make_pair_desk(const Output& out, std::optional<std::uint64_t> count)
{
    return std::make_shared<PairDesk>(out, count);
}

void end_pairs(PairDesk& desk, std::uint32_t host)
{
    desk.on_end_of(host);
}

std::unique_ptr<Sink> make_pairs(std::unique_ptr<Sink> next, std::shared_ptr<PairDesk> desk,
                                 const PairsHost& host)
{
    return std::make_unique<Pairs>(std::move(next), std::move(desk), host);
}

} // namespace tcpsaga
