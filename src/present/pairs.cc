// SPDX-License-Identifier: BSD-2-Clause
#include <list>
#include <map>
#include <utility>

#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

class Pairs : public Sink {
public:
    Pairs(std::unique_ptr<Sink> next, const Output& out, std::optional<std::uint64_t> count)
        : next_(std::move(next)), out_(out), count_(count)
    {
    }

    void on_settings(const Settings& s) override { next_->on_settings(s); }
    void on_event(const Event& e) override
    {
        const auto* life = std::get_if<event::Close>(&e.what);
        if (life != nullptr && life->peer && life->peer->shown)
            return on_end(e, *life->peer);
        const auto* summary = std::get_if<event::Summary>(&e.what);
        if (summary != nullptr && summary->final)
            while (!queue_.empty() && (!count_ || out_.lines() < *count_))
                tell_oldest();
        next_->on_event(e);
    }

private:
    using Key = std::pair<std::uint32_t, std::uint64_t>; // namespace, Connection::id
    struct Held {
        Connection connection;
        Event event;
    };
    using Queue = std::list<Held>;

    static Key key_of(const Connection& c) { return {c.tuple.netns, c.id}; }

    void on_end(const Event& e, const Peer& peer)
    {
        constexpr std::size_t most = 65536;
        const auto other = held_.find({peer.netns, peer.conn});
        if (other == held_.end()) {
            queue_.push_back({*e.conn, e});
            held_[key_of(*e.conn)] = std::prev(queue_.end());
            if (queue_.size() > most)
                tell_oldest();
            return;
        }
        const Held first = take(other->second);
        Event first_event = first.event;
        first_event.conn = &first.connection;
        e.conn->role == Role::server ? tell(first_event, e, e.ts_ns)
                                     : tell(e, first_event, e.ts_ns);
    }

    Held take(Queue::iterator at)
    {
        Held held = std::move(*at);
        if (const auto known = held_.find(key_of(held.connection));
            known != held_.end() && known->second == at)
            held_.erase(known);
        queue_.erase(at);
        return held;
    }

    void tell(const Event& client, const Event& server, std::uint64_t ts_ns)
    {
        Event both = client;
        both.ts_ns = ts_ns;
        auto& life = std::get<event::Close>(both.what);
        if (life.peer)
            life.peer->process = server.conn->owner;
        life.other = &std::get<event::Close>(server.what);
        next_->on_event(both);
    }

    void tell_oldest()
    {
        Held held = take(queue_.begin());
        held.event.conn = &held.connection;
        next_->on_event(held.event);
    }

    std::unique_ptr<Sink> next_;
    const Output& out_;
    std::optional<std::uint64_t> count_;
    Queue queue_; ///< whose other end is not over yet, the oldest first
    std::map<Key, Queue::iterator> held_;
};

} // namespace

std::unique_ptr<Sink> make_pairs(std::unique_ptr<Sink> next, const Output& out,
                                 std::optional<std::uint64_t> count)
{
    return std::make_unique<Pairs>(std::move(next), out, count);
}

} // namespace tcpsaga
