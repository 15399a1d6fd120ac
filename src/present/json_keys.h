// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* An event's keys as JSON. */
#include <optional>

#include "room.h"
#include "tcpsaga/event.h"

namespace tcpsaga {

// NOLINTBEGIN(*-avoid-c-arrays): literals, whose size the compiler knows

template <std::size_t N>
char* put_key(char* to, const char (&key)[N])
{
    return put(put(put(to, ",\""), key), "\":");
}
template <std::size_t N>
void begin(Room& room, const char (&key)[N])
{
    room.go_to(put_key(room.at(), key));
}

/// As append_json_string(); most names are as they are.
void put_string(Room& room, std::string_view text);

/// name_of() each state, and of one more, which none has.
extern const std::array<PaddedName, 14> state_names;
inline const PaddedName& state_name(State s)
{
    return state_names[std::min(static_cast<std::size_t>(s), state_names.size() - 1)]; // NOLINT
}

/// The keys of one payload, each with its leading comma. There is room for any but a summary's.
struct Keys {
    Room& room;

    template <std::size_t N>
    void number(const char (&key)[N], std::uint64_t value) const
    {
        room.go_to(put_number(put_key(room.at(), key), value));
    }
    template <std::size_t N, class T>
    void number(const char (&key)[N], const std::optional<T>& value) const
    {
        if (value)
            number(key, std::uint64_t{*value});
    }
    /// For names of our own and the kernel's, which need no escape.
    template <std::size_t N>
    void name(const char (&key)[N], std::string_view value) const
    {
        if (value.empty())
            return;
        room.go_to(put(put(put(put_key(room.at(), key), "\""), value), "\""));
    }
    void operator()(const event::Listen& e) const
    {
        number("backlog", e.backlog);
        number("backlog_asked", e.asked);
    }
    void operator()(const event::Unlisten& e) const { name("why", name_of(e.why)); }
    void operator()(const event::Connect&) const {}
    void operator()(const event::ConnectError& e) const
    {
        if (e.err != 0)
            name("errno", errno_name(e.err));
        if (e.ports)
            ports(*e.ports);
    }
    void ports(const event::PortUse& use) const
    {
        room.put(R"(,"port_range":[)");
        room.number(use.low);
        room.put(',');
        room.number(use.high);
        room.put(']');
        number("ports_time_wait", std::uint64_t{use.time_wait});
        number("ports_live", std::uint64_t{use.live});
    }
    void operator()(const event::BindError& e) const { name("errno", errno_name(e.err)); }
    void operator()(const event::SynackTimeout& e) const { number("retransmits", e.retransmits); }
    void operator()(const event::StateChange& e) const
    {
        char* to = put(room.at(), R"(,"old":")");
        to = put(put(to, state_name(e.old_state)), R"(","new":")");
        to = put(put(to, state_name(e.new_state)), "\"");
        if (e.us)
            to = put_number(put(to, R"(,"us":)"), *e.us);
        if (e.inferred)
            to = put(to, R"(,"inferred":true)");
        room.go_to(to);
    }
    void operator()(const event::Accept& e) const
    {
        number("accept_wait_us", e.accept_wait_us);
        number("handshake_us", e.handshake_us);
        number("acceptq", e.acceptq);
        number("acceptq_max", e.acceptq_max);
    }
    void operator()(const event::AcceptError& e) const
    {
        if (e.err != 0)
            name("errno", errno_name(e.err));
        number("fd_limit", e.fd_limit);
        number("acceptq", e.acceptq);
        number("acceptq_max", e.acceptq_max);
        number("n", e.n);
    }
    void operator()(const event::TimeWait& e) const
    {
        name("why", name_of(e.why));
        number("held_ms", e.held_ms);
    }
    void operator()(const event::Overflow& e) const
    {
        name("queue", name_of(e.queue));
        if (e.stage)
            name("stage", name_of(*e.stage));
        name("action", name_of(e.action));
        if (e.max_syn_backlog)
            room.put(R"(,"max_syn_backlog":true)");
        number("synq", e.synq);
        number("acceptq", e.acceptq);
        number("acceptq_max", e.acceptq_max);
        number("n", e.n);
        if (e.poll_ms)
            room.put(R"(,"polled":true)");
        number("poll_ms", e.poll_ms);
    }
    void operator()(const event::Reset& e) const
    {
        name("dir", e.sent ? "sent" : "received");
        name("reason", e.reason);
    }
    void operator()(const event::Retransmit& e) const
    {
        name("what", name_of(e.what));
        number("nth", e.nth);
        if (e.segments != 1)
            number("segments", e.segments);
        if (e.err != 0)
            name("errno", errno_name(e.err));
    }
    void operator()(const event::Drop& e) const
    {
        name("reason", e.reason);
        name("place", e.place);
        number("n", e.n);
    }
    void operator()(const event::Close& e) const
    {
        number("tx_bytes", e.tx_bytes);
        number("rx_bytes", e.rx_bytes);
        number("duration_us", e.duration_us);
        number("established_us", e.established_us);
        number("handshake_us", e.handshake_us);
        number("accept_wait_us", e.accept_wait_us);
        number("srtt_us", e.srtt_us);
        number("retransmits", e.retransmits);
        name("end", name_of(e.end));
        name("why", e.why);
        if (e.peer)
            peer(*e.peer, e);
    }
    void peer(const Peer& p, const event::Close& life) const
    {
        room.put(R"(,"peer":{"conn":)");
        room.number(p.conn);
        if (life.peer_host) {
            begin(room, "host");
            put_string(room, life.peer_host->name);
        }
        if (p.process.known()) {
            number("pid", std::uint64_t{p.process.pid});
            begin(room, "comm");
            put_string(room, p.process.name());
        }
        if (const event::Close* other = life.other; other != nullptr) {
            number("netns", std::uint64_t{p.netns});
            number("accept_wait_us", other->accept_wait_us);
            number("retransmits", other->retransmits);
            name("end", name_of(other->end));
        }
        room.put('}');
    }
    void operator()(const event::Stuck& e) const
    {
        name("state", name_of(e.state));
        number("us", e.us);
    }
    void operator()(const event::Lost& e) const
    {
        number("n", e.n);
        name("where", name_of(e.where));
    }
    void operator()(const event::Summary&) const {} // see SummaryKeys
};

/// Appends a summary's keys, whose lists may be long.
void append_summary(fmt::memory_buffer& to, const event::Summary& summary);

// NOLINTEND(*-avoid-c-arrays)

} // namespace tcpsaga
