// SPDX-License-Identifier: BSD-2-Clause
#include "event_line.h"

#include <functional>
#include <map>

#include "fields.h"

namespace tcpsaga::fleet {
namespace {

int errno_of(const std::string& name)
{
    static const std::map<std::string, int, std::less<>> all = [] {
        std::map<std::string, int, std::less<>> m;
        constexpr int most = 4096;
        for (int err = 1; err < most; err++)
            m.emplace(errno_name(err), err);
        return m;
    }();
    const auto found = all.find(name);
    return found == all.end() ? 0 : found->second;
}

Process process(const json& j)
{
    Process p;
    p.pid = number<std::uint32_t>(j, "pid");
    p.uid = number<std::uint32_t>(j, "uid");
    text(j, "comm").copy(p.comm.data(), p.comm.size() - 1);
    return p;
}

/// So many values as make the percentiles what they were.
Histogram histogram(const json& j, const char* key)
{
    Histogram h;
    const json* v = find(j, key);
    if (v == nullptr || !v->is_object())
        return h;
    for (const auto& [name, times] :
         {std::pair("p50", 50), std::pair("p90", 40), std::pair("p99", 9), std::pair("max", 1)})
        for (int i = 0; i < times; i++)
            h.add(number(*v, name));
    return h;
}

template <class Visit>
void for_each(const json& j, const char* key, const Visit& visit)
{
    const json* v = find(j, key);
    if (v == nullptr)
        return;
    if (!v->is_array())
        throw Malformed{key};
    for (const json& element : *v)
        if (element.is_object())
            visit(element);
}

event::ListenerSummary listener(const json& j)
{
    event::ListenerSummary l;
    l.conn = number(j, "conn");
    l.netns = number<std::uint32_t>(j, "netns");
    l.local = {address(j, "laddr"), number<std::uint16_t>(j, "lport")};
    if (find(j, "pid") != nullptr) {
        l.owner = process(j);
        l.owner.from = PidFrom::snapshot;
    }
    l.births = number(j, "births");
    l.accepts = number(j, "accepts");
    l.new_accepts = number_if<std::uint64_t>(j, "new_accepts");
    l.acceptq_high = number<std::uint32_t>(j, "acceptq_high");
    l.acceptq_max = number<std::uint32_t>(j, "acceptq_max");
    l.asked = number_if<std::uint32_t>(j, "backlog_asked");
    if (find(j, "ended") != nullptr)
        l.ended = name(j, "ended", event::UnlistenWhy::process_exit);
    l.handshake_us = histogram(j, "handshake_us");
    l.accept_wait_us = histogram(j, "accept_wait_us");
    return l;
}

event::TimeWaitGroup time_wait_group(const json& j)
{
    event::TimeWaitGroup g;
    g.netns = number<std::uint32_t>(j, "netns");
    g.role = name(j, "role", Role::server, Maybe<Role>(Role::unknown));
    g.end = g.role == Role::server
                ? Endpoint{{}, number<std::uint16_t>(j, "lport")}
                : Endpoint{address(j, "raddr"), number<std::uint16_t>(j, "rport")};
    g.n = number(j, "n");
    return g;
}

event::Interval interval(const json& j)
{
    event::Interval i;
    for (const auto& [key, to] :
         {std::pair("us", &i.us), std::pair("opens", &i.opens), std::pair("births", &i.births),
          std::pair("accepts", &i.accepts), std::pair("closes", &i.closes),
          std::pair("connect_errors", &i.connect_errors), std::pair("overflows", &i.overflows),
          std::pair("accept_errors", &i.accept_errors), std::pair("retransmits", &i.retransmits),
          std::pair("time_wait_in", &i.time_wait_in), std::pair("time_wait_out", &i.time_wait_out)})
        *to = number(j, key);
    return i;
}

void count_ends(const json& j, event::Summary& s)
{
    if (const json* ends = find(j, "closes_by_end"); ends != nullptr && ends->is_object())
        for (const auto& [key, n] : ends->items())
            if (const auto end = named(key, event::End::never_accepted); end && n.is_number())
                s.closes_by_end.at(static_cast<std::size_t>(*end)) = n.get<std::uint64_t>();
    if (const json* errors = find(j, "connect_errors_by_errno");
        errors != nullptr && errors->is_object())
        for (const auto& [key, n] : errors->items())
            if (n.is_number())
                s.connect_errors_by_errno[errno_of(key)] = n.get<std::uint64_t>();
}

event::Summary summary(const json& j)
{
    event::Summary s;
    for (const auto& [key, to] : {std::pair("opens", &s.opens),
                                  std::pair("births", &s.births),
                                  std::pair("accepts", &s.accepts),
                                  std::pair("closes", &s.closes),
                                  std::pair("alive", &s.alive),
                                  std::pair("events", &s.events),
                                  std::pair("records", &s.records),
                                  std::pair("lost_ring", &s.lost_ring),
                                  std::pair("lost_table", &s.lost_table),
                                  std::pair("lost_output", &s.lost_output),
                                  std::pair("lost_missed", &s.lost_missed),
                                  std::pair("lost_recording", &s.lost_recording),
                                  std::pair("overflows", &s.overflows),
                                  std::pair("accept_errors", &s.accept_errors),
                                  std::pair("connect_errors", &s.connect_errors),
                                  std::pair("drops", &s.drops),
                                  std::pair("retransmits", &s.retransmits),
                                  std::pair("time_wait_in", &s.time_wait_in),
                                  std::pair("time_wait_out", &s.time_wait_out),
                                  std::pair("time_wait_overflows", &s.time_wait_overflows),
                                  std::pair("bind_errors", &s.bind_errors),
                                  std::pair("synack_timeouts", &s.synack_timeouts),
                                  std::pair("time_wait_alive", &s.time_wait_alive)})
        *to = number(j, key);
    s.final = flag(j, "final");
    count_ends(j, s);
    for_each(j, "time_waits", [&](const json& g) { s.time_waits.push_back(time_wait_group(g)); });
    for_each(j, "listeners", [&](const json& l) { s.listeners.push_back(listener(l)); });
    for_each(j, "top_remotes", [&](const json& t) {
        s.top_remotes.push_back({address(t, "raddr"), number(t, "opens"), number(t, "births")});
    });
    for_each(j, "top_processes", [&](const json& t) {
        s.top_processes.push_back({process(t), number(t, "opens"), number(t, "accepts")});
    });
    for_each(j, "audit", [&](const json& a) {
        s.audit.push_back({number<std::uint32_t>(a, "netns"), text(a, "counter"),
                           number(a, "kernel"), number(a, "seen"), text(a, "why")});
    });
    if (const json* i = find(j, "interval"); i != nullptr && i->is_object())
        s.interval = interval(*i);
    return s;
}

std::optional<event::PortUse> port_use(const json& j)
{
    const json* range = find(j, "port_range");
    if (range == nullptr || !range->is_array() || range->size() != 2 ||
        !(*range)[0].is_number_unsigned() || !(*range)[1].is_number_unsigned())
        return {};
    return event::PortUse{(*range)[0].get<std::uint16_t>(), (*range)[1].get<std::uint16_t>(),
                          number<std::uint32_t>(j, "ports_time_wait"),
                          number<std::uint32_t>(j, "ports_live")};
}

event::Close close_of(const json& j, std::string_view why)
{
    event::Close c{number(j, "tx_bytes"),
                   number(j, "rx_bytes"),
                   number_if<std::uint64_t>(j, "duration_us"),
                   number_if<std::uint64_t>(j, "established_us"),
                   number_if<std::uint64_t>(j, "handshake_us"),
                   number_if<std::uint64_t>(j, "accept_wait_us"),
                   number_if<std::uint64_t>(j, "srtt_us"),
                   number<std::uint32_t>(j, "retransmits"),
                   name(j, "end", event::End::never_accepted),
                   why};
    if (const json* peer = find(j, "peer"); peer != nullptr && peer->is_object()) {
        Peer p;
        p.conn = number(*peer, "conn");
        p.netns = number<std::uint32_t>(*peer, "netns");
        p.process = process(*peer);
        p.process.from = find(*peer, "pid") != nullptr ? PidFrom::snapshot : PidFrom::nobody;
        p.shown = true;
        c.peer = p;
    }
    return c;
}

event::Overflow overflow(const json& j)
{
    event::Overflow o{};
    o.queue = name(j, "queue", event::Queue::accept);
    if (find(j, "stage") != nullptr)
        o.stage = name(j, "stage", event::Stage::ack);
    o.action = name(j, "action", event::Action::reset);
    o.max_syn_backlog = flag(j, "max_syn_backlog");
    o.synq = number_if<std::uint32_t>(j, "synq");
    o.acceptq = number_if<std::uint32_t>(j, "acceptq");
    o.acceptq_max = number_if<std::uint32_t>(j, "acceptq_max");
    o.n = number(j, "n");
    o.poll_ms = number_if<std::uint64_t>(j, "poll_ms");
    return o;
}

int errno_in(const json& j)
{
    return errno_of(text(j, "errno"));
}

using Words = std::function<std::string_view(const std::string&)>;
using Parse = std::function<event::Payload(const json&, const Words&)>;

event::StateChange state_change(const json& j)
{
    return {name(j, "old", State::new_syn_recv), name(j, "new", State::new_syn_recv),
            number_if<std::uint64_t>(j, "us"), flag(j, "inferred")};
}

event::Payload accept_error(const json& j, const Words&)
{
    return event::AcceptError{errno_in(j), number_if<std::uint64_t>(j, "fd_limit"),
                              number_if<std::uint32_t>(j, "acceptq"),
                              number_if<std::uint32_t>(j, "acceptq_max"), number(j, "n")};
}

event::Payload accept(const json& j, const Words&)
{
    return event::Accept{
        number_if<std::uint64_t>(j, "accept_wait_us"), number_if<std::uint64_t>(j, "handshake_us"),
        number_if<std::uint32_t>(j, "acceptq"), number_if<std::uint32_t>(j, "acceptq_max")};
}

event::Payload retransmit(const json& j, const Words&)
{
    return event::Retransmit{name(j, "what", event::Retransmitted::fin),
                             number<std::uint32_t>(j, "nth"),
                             number<std::uint32_t>(j, "segments", 1), errno_in(j)};
}

/// By the value of `event`.
const std::map<std::string, Parse, std::less<>>& parsers()
{
    using namespace event;
    static const std::map<std::string, Parse, std::less<>> all{
        {"listen",
         [](const json& j, const Words&) {
             return Listen{number<std::uint32_t>(j, "backlog"),
                           number_if<std::uint32_t>(j, "backlog_asked")};
         }},
        {"unlisten",
         [](const json& j, const Words&) {
             return Unlisten{name(j, "why", UnlistenWhy::process_exit)};
         }},
        {"bind_error",
         [](const json& j, const Words&) {
             return BindError{false, errno_in(j)};
         }},
        {"listen_error",
         [](const json& j, const Words&) {
             return BindError{true, errno_in(j)};
         }},
        {"connect", [](const json&, const Words&) { return Connect{}; }},
        {"connect_error",
         [](const json& j, const Words&) {
             return ConnectError{errno_in(j), port_use(j)};
         }},
        {"synack_timeout",
         [](const json& j, const Words&) {
             return SynackTimeout{number<std::uint32_t>(j, "retransmits")};
         }},
        {"state", [](const json& j, const Words&) { return state_change(j); }},
        {"accept", accept},
        {"accept_error", accept_error},
        {"time_wait",
         [](const json& j, const Words&) {
             return TimeWait{
                 name(j, "why", TimeWaitEnd::overflow, Maybe<TimeWaitEnd>(TimeWaitEnd::unknown)),
                 number_if<std::uint64_t>(j, "held_ms")};
         }},
        {"overflow", [](const json& j, const Words&) { return event::Payload(overflow(j)); }},
        {"reset",
         [](const json& j, const Words& words) {
             return Reset{text(j, "dir") == "sent", words(text(j, "reason"))};
         }},
        {"retransmit", retransmit},
        {"drop",
         [](const json& j, const Words&) {
             return Drop{text(j, "reason"), text(j, "place"), number(j, "n")};
         }},
        {"close",
         [](const json& j, const Words& words) { return close_of(j, words(text(j, "why"))); }},
        {"stuck",
         [](const json& j, const Words&) {
             return Stuck{name(j, "state", State::new_syn_recv), number(j, "us")};
         }},
        {"lost",
         [](const json& j, const Words&) {
             return Lost{number(j, "n"), name(j, "where", LostWhere::recording)};
         }},
        {"summary", [](const json& j, const Words&) { return event::Payload(summary(j)); }},
    };
    return all;
}

Connection connection_of(const json& j, const Process& actor)
{
    Connection c;
    c.id = number(j, "conn");
    c.tuple.netns = number<std::uint32_t>(j, "netns");
    const std::string family = text(j, "family");
    c.family = family == "ipv4" ? 4 : family == "ipv6" ? 6 : 0;
    c.tuple.local = {address(j, "laddr"), number<std::uint16_t>(j, "lport")};
    c.tuple.remote = {address(j, "raddr"), number<std::uint16_t>(j, "rport")};
    c.role = name(j, "role", Role::server, Maybe<Role>(Role::unknown));
    c.closed_by = name(j, "closed_by", ClosedBy::both, Maybe<ClosedBy>(ClosedBy::unknown));
    c.seen_start = flag(j, "seen_start", true);
    c.owner = actor;
    c.accepted = c.role == Role::server && actor.known() && actor.from != PidFrom::listener;
    return c;
}

/// The times of a life, from its last line; a child begins with what ends the handshake.
void add_times(Connection& c, const event::Close& life, std::uint64_t ts_ns)
{
    const auto before = [&](const event::Micros& us) {
        return us && *us * 1000 < ts_ns ? ts_ns - *us * 1000 : 0;
    };
    c.started_ns = before(life.duration_us);
    c.established_ns = before(life.established_us);
    c.handshake_us = life.handshake_us;
    c.accept_wait_us = life.accept_wait_us;
    if (c.role == Role::server)
        c.accepted = life.end != event::End::never_accepted;
}

} // namespace

struct EventReader::Parser {
    EventReader& to;

    /// Kept as long as the reader, and not without limit: what is beyond it is no kernel's name.
    [[nodiscard]] std::string_view word(const std::string& w) const
    {
        constexpr std::size_t most = 1024;
        if (to.words_.size() >= most && !to.words_.contains(w))
            return {};
        return *to.words_.insert(w).first;
    }
    void read(const json& j) const
    {
        if (number(j, "v") != 1)
            throw Malformed{"v"};
        const auto parse = parsers().find(text(j, "event"));
        if (parse == parsers().end())
            throw Malformed{"event"};
        to.host_ = text(j, "host");
        to.event_ = {};
        to.event_.ts_ns = utc_of(text(j, "ts"));
        if (find(j, "pid") != nullptr) {
            to.event_.actor = process(j);
            to.event_.actor.from = name(j, "pid_from", PidFrom::listener);
        }
        to.event_.what = parse->second(j, [this](const std::string& w) { return word(w); });
        if (find(j, "netns") != nullptr) {
            to.connection_ = connection_of(j, to.event_.actor);
            if (const auto* life = std::get_if<event::Close>(&to.event_.what))
                add_times(to.connection_, *life, to.event_.ts_ns);
            to.event_.conn = &to.connection_;
        }
        const bool about_all = std::holds_alternative<event::Lost>(to.event_.what) ||
                               std::holds_alternative<event::Summary>(to.event_.what);
        if (about_all == (to.event_.conn != nullptr))
            throw Malformed{"netns"};
        to.home_ = {text(j, "cgroup"), text(j, "container"), text(j, "pod"),
                    number<std::uint32_t>(j, "ns_pid")};
        to.netns_name_ = text(j, "netns_name");
    }
};

bool EventReader::read(std::string_view line)
{
    const json j = json::parse(line, nullptr, false);
    why_.clear();
    if (!j.is_object()) {
        why_ = "it is no JSON object";
        return false;
    }
    if (find(j, "finding") != nullptr)
        return false;
    try {
        Parser{*this}.read(j);
        return true;
    } catch (const Malformed& m) {
        why_ = "'" + m.what + "' is missing, or not as it should be";
        return false;
    }
}

} // namespace tcpsaga::fleet
