// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "room.h"
#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

using Out = std::back_insert_iterator<fmt::memory_buffer>;

void begin(Room& room, std::string_view key)
{
    room.put(",\"");
    room.put(key);
    room.put("\":");
}

/// As append_json_string(); most names are as they are.
void put_string(Room& room, std::string_view text)
{
    const auto plain = [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; };
    if (!std::ranges::all_of(text, plain)) {
        fmt::memory_buffer escaped;
        append_json_string(escaped, text);
        return room.put({escaped.data(), escaped.size()});
    }
    room.put('"');
    room.put(text);
    room.put('"');
}

/// The keys of one payload, each with its leading comma. There is room for any but a summary's.
struct Keys {
    Room& room;

    void number(std::string_view key, std::uint64_t value) const
    {
        begin(room, key);
        room.number(value);
    }
    template <class T>
    void number(std::string_view key, const std::optional<T>& value) const
    {
        if (value)
            number(key, std::uint64_t{*value});
    }
    /// For names of our own and the kernel's, which need no escape.
    void name(std::string_view key, std::string_view value) const
    {
        if (value.empty())
            return;
        begin(room, key);
        room.put('"');
        room.put(value);
        room.put('"');
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
        name("old", name_of(e.old_state));
        name("new", name_of(e.new_state));
        number("us", e.us);
        if (e.inferred)
            room.put(R"(,"inferred":true)");
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

/// A summary's, whose lists may be long.
struct SummaryKeys {
    fmt::memory_buffer& buffer;
    Out out = std::back_inserter(buffer);

    template <class T>
    void number(std::string_view key, const T& value) const
    {
        Room room(buffer, key.size() + 24);
        Keys{room}.number(key, value);
    }
    void name(std::string_view key, std::string_view value) const
    {
        Room room(buffer, key.size() + value.size() + 6);
        Keys{room}.name(key, value);
    }
    void percentiles(std::string_view key, const Histogram& h) const
    {
        if (h.count() > 0)
            fmt::format_to(out, R"(,"{}":{{"p50":{},"p90":{},"p99":{},"max":{}}})", key,
                           h.percentile(50), h.percentile(90), h.percentile(99), h.max());
    }
    void listeners(const std::vector<event::ListenerSummary>& all) const
    {
        const char* separator = R"(,"listeners":[)";
        for (const event::ListenerSummary& l : all) {
            fmt::format_to(out, R"({}{{"netns":{},"laddr":"{}","lport":{})", separator, l.netns,
                           to_string(l.local.addr), l.local.port);
            if (l.conn != 0)
                number("conn", l.conn);
            if (l.owner.known()) {
                fmt::format_to(out, R"(,"pid":{},"comm":)", l.owner.pid);
                append_json_string(buffer, l.owner.name());
            }
            number("backlog_asked", l.asked);
            if (l.ended)
                name("ended", name_of(*l.ended));
            number("births", l.births);
            number("accepts", l.accepts);
            number("new_accepts", l.new_accepts);
            if (l.depth_known())
                number("acceptq_high", l.acceptq_high);
            if (l.acceptq_max != 0)
                number("acceptq_max", l.acceptq_max);
            percentiles("handshake_us", l.handshake_us);
            percentiles("accept_wait_us", l.accept_wait_us);
            fmt::format_to(out, "}}");
            separator = ",";
        }
        fmt::format_to(out, "]");
    }
    void time_waits(const std::vector<event::TimeWaitGroup>& groups) const
    {
        const char* separator = R"(,"time_waits":[)";
        for (const event::TimeWaitGroup& g : groups) {
            fmt::format_to(out, R"({}{{"netns":{})", separator, g.netns);
            name("role", name_of(g.role));
            if (g.role == Role::server)
                number("lport", g.end.port);
            else
                fmt::format_to(out, R"(,"raddr":"{}","rport":{})", to_string(g.end.addr),
                               g.end.port);
            fmt::format_to(out, R"(,"n":{}}})", g.n);
            separator = ",";
        }
        fmt::format_to(out, "]");
    }
    void ends(const event::Summary& e) const
    {
        std::string by_end;
        for (std::size_t i = 0; i < e.closes_by_end.size(); i++)
            if (e.closes_by_end.at(i) != 0)
                by_end += fmt::format(R"({}"{}":{})", by_end.empty() ? "" : ",",
                                      name_of(static_cast<event::End>(i)), e.closes_by_end.at(i));
        if (!by_end.empty())
            fmt::format_to(out, R"(,"closes_by_end":{{{}}})", by_end);
        std::string by_errno;
        for (const auto& [err, n] : e.connect_errors_by_errno)
            by_errno += fmt::format(R"({}"{}":{})", by_errno.empty() ? "" : ",",
                                    err != 0 ? errno_name(err) : "unknown", n);
        if (!by_errno.empty())
            fmt::format_to(out, R"(,"connect_errors_by_errno":{{{}}})", by_errno);
    }
    void tops(const event::Summary& e) const
    {
        const char* separator = R"(,"top_remotes":[)";
        for (const event::TopRemote& t : e.top_remotes) {
            fmt::format_to(out, R"({}{{"raddr":"{}","opens":{},"births":{}}})", separator,
                           to_string(t.addr), t.made, t.got);
            separator = ",";
        }
        fmt::format_to(out, "{}", e.top_remotes.empty() ? "" : "]");
        separator = R"(,"top_processes":[)";
        for (const event::TopProcess& t : e.top_processes) {
            fmt::format_to(out, R"({}{{"pid":{},"comm":)", separator, t.process.pid);
            append_json_string(buffer, t.process.name());
            fmt::format_to(out, R"(,"opens":{},"accepts":{}}})", t.made, t.got);
            separator = ",";
        }
        fmt::format_to(out, "{}", e.top_processes.empty() ? "" : "]");
    }
    void interval(const event::Interval& i) const
    {
        const double seconds = static_cast<double>(std::max<std::uint64_t>(i.us, 1)) / 1e6;
        fmt::format_to(out, R"(,"interval":{{"us":{},"opens":{},"births":{},"accepts":{})", i.us,
                       i.opens, i.births, i.accepts);
        number("closes", i.closes);
        number("connect_errors", i.connect_errors);
        number("overflows", i.overflows);
        number("accept_errors", i.accept_errors);
        number("retransmits", i.retransmits);
        number("time_wait_in", i.time_wait_in);
        number("time_wait_out", i.time_wait_out);
        fmt::format_to(out,
                       R"(,"opens_per_s":{:.1f},"accepts_per_s":{:.1f},"closes_per_s":{:.1f}}})",
                       static_cast<double>(i.opens) / seconds,
                       static_cast<double>(i.accepts) / seconds,
                       static_cast<double>(i.closes) / seconds);
    }
    void audit(const std::vector<event::AuditRow>& rows) const
    {
        const char* separator = R"(,"audit":[)";
        for (const event::AuditRow& row : rows) {
            fmt::format_to(out, R"({}{{"netns":{},"counter":"{}","kernel":{},"seen":{})", separator,
                           row.netns, row.counter, row.kernel, row.seen);
            name("why", row.why);
            fmt::format_to(out, "}}");
            separator = ",";
        }
        fmt::format_to(out, "]");
    }
    void operator()(const event::Summary& e) const
    {
        number("opens", e.opens);
        number("births", e.births);
        number("accepts", e.accepts);
        number("closes", e.closes);
        number("alive", e.alive);
        number("events", e.events);
        number("records", e.records);
        number("lost", e.lost());
        number("lost_ring", e.lost_ring);
        number("lost_table", e.lost_table);
        number("lost_output", e.lost_output);
        number("lost_missed", e.lost_missed);
        if (e.lost_recording != 0) // only of a recording
            number("lost_recording", e.lost_recording);
        number("overflows", e.overflows);
        number("accept_errors", e.accept_errors);
        number("connect_errors", e.connect_errors);
        if (e.drops != 0) // only with --drops
            number("drops", e.drops);
        number("retransmits", e.retransmits);
        number("time_wait_in", e.time_wait_in);
        number("time_wait_out", e.time_wait_out);
        number("time_wait_overflows", e.time_wait_overflows);
        number("bind_errors", e.bind_errors);
        number("synack_timeouts", e.synack_timeouts);
        number("time_wait_alive", e.time_wait_alive);
        if (!e.time_waits.empty())
            time_waits(e.time_waits);
        if (e.final)
            fmt::format_to(out, ",\"final\":true");
        ends(e);
        tops(e);
        if (e.interval)
            interval(*e.interval);
        if (!e.listeners.empty())
            listeners(e.listeners);
        if (!e.audit.empty())
            audit(e.audit);
    }
};

/// What the lines of one connection share. The next one is at the same place as a rule, so it is
/// made once in a life, not once in a line.
class SharedText {
public:
    std::string_view of(const Connection& c)
    {
        Entry& e = entries_[c.id % entries_.size()];
        if (e.id != c.id || e.role != c.role || e.family != c.family || e.tuple != c.tuple) {
            e.id = c.id;
            e.role = c.role;
            e.family = c.family;
            e.tuple = c.tuple;
            fmt::memory_buffer text;
            {
                Room room(text, e.text.size());
                write(room, c); // 267 bytes at most
            }
            e.size = text.size();
            std::memcpy(e.text.data(), text.data(), text.size());
        }
        return {e.text.data(), e.size};
    }

private:
    struct Entry {
        std::uint64_t id = 0;
        Tuple tuple;
        Role role = Role::unknown;
        std::uint8_t family = 0xff;
        std::size_t size = 0;
        std::array<char, 312> text{};
    };

    static void write(Room& room, const Connection& c)
    {
        const Keys keys{room};
        if (c.id != 0)
            keys.number("conn", c.id);
        keys.number("netns", c.tuple.netns);
        if (c.family == 0)
            return;
        keys.name("family", c.family == 4 ? "ipv4" : "ipv6");
        address(room, "laddr", c.tuple.local.addr);
        if (c.tuple.local.port != 0)
            keys.number("lport", c.tuple.local.port);
        if (c.tuple.remote.port != 0) { // a listener has no peer
            address(room, "raddr", c.tuple.remote.addr);
            keys.number("rport", c.tuple.remote.port);
            if (c.tuple.local.port != 0)
                keys.name("community_id", community_id(c.tuple));
        }
        keys.name("role", name_of(c.role));
    }
    static void address(Room& room, std::string_view key, const Address& a)
    {
        begin(room, key);
        room.put('"');
        room.address(a);
        room.put('"');
    }

    std::vector<Entry> entries_ = std::vector<Entry>(1024);
};

class Json : public Sink {
public:
    Json(Output& out, PresentOptions options)
        : out_(out), options_(std::move(options)),
          all_(options_.kinds.empty() && options_.states.empty())
    {
        append_json_string(host_, options_.host);
    }

    void on_event(const Event& e) override
    {
        if (!all_ && !wanted(options_, e))
            return;
        const auto* summary = std::get_if<event::Summary>(&e.what);
        line(e);
        if (summary != nullptr)
            SummaryKeys{out_.buffer()}(*summary);
        out_.buffer().append(std::string_view("}\n"));
        out_.line_done();
    }

private:
    /// All but the closing brace, and a summary's keys.
    void line(const Event& e)
    {
        constexpr std::size_t most = 4096; // names of the kernel's functions have up to 512 bytes
        const std::string_view actor = e.actor.known() ? text_of(e.actor) : std::string_view();
        const std::string_view netns = netns_of(e);
        Room room(out_.buffer(),
                  most + host_.size() + actor.size() + netns.size() + other_host_size(e));
        room.put(R"({"v":1,"ts":")");
        put_rfc3339(room, static_cast<std::int64_t>(e.ts_ns) + options_.utc_offset_ns);
        room.put(R"(","event":")");
        room.put(kind_of(e));
        room.put(R"(","host":)");
        room.put({host_.data(), host_.size()});
        if (e.conn != nullptr)
            connection(room, *e.conn, e.what);
        room.put(netns);
        room.put(actor);
        std::visit(Keys{room}, e.what);
    }

    /// Of its name in the line, at most.
    static std::size_t other_host_size(const Event& e)
    {
        constexpr std::size_t escaped = 6; // a byte as \u0000
        const auto* life = std::get_if<event::Close>(&e.what);
        return life != nullptr && life->peer_host ? life->peer_host->name.size() * escaped : 0;
    }

    void connection(Room& room, const Connection& c, const event::Payload& what)
    {
        room.put(shared_.of(c));
        if (c.family != 0 && std::holds_alternative<event::Close>(what)) {
            Keys{room}.name("closed_by", name_of(c.closed_by));
            room.put(c.seen_start ? R"(,"seen_start":true)" : R"(,"seen_start":false)");
        }
    }

    /// Few processes do most of what happens.
    const std::string& text_of(const Process& p)
    {
        const Home* home = options_.whereabouts == nullptr ? nullptr : options_.whereabouts->of(p);
        const std::uint64_t serial = home == nullptr ? 0 : home->serial;
        ProcessText& known =
            processes_[(p.pid * 8 + static_cast<unsigned>(p.from)) % processes_.size()];
        if (!(known.of == p) || known.serial != serial) {
            fmt::memory_buffer text;
            fmt::format_to(std::back_inserter(text), R"(,"pid":{},"comm":)", p.pid);
            append_json_string(text, p.name());
            fmt::format_to(std::back_inserter(text), R"(,"uid":{},"pid_from":"{}")", p.uid,
                           name_of(p.from));
            if (home != nullptr)
                append_home(text, *home);
            known = {p, serial, fmt::to_string(text)};
        }
        return known.text;
    }

    /// Only those that have a name.
    std::string_view netns_of(const Event& e)
    {
        if (e.conn == nullptr || options_.whereabouts == nullptr)
            return {};
        const std::string& name = options_.whereabouts->netns_name(e.conn->tuple.netns);
        if (name.empty())
            return {};
        if (name != netns_name_) {
            netns_name_ = name;
            netns_text_.clear();
            append(netns_text_, R"(,"netns_name":)");
            append_json_string(netns_text_, name);
        }
        return {netns_text_.data(), netns_text_.size()};
    }

    struct ProcessText {
        Process of;
        std::uint64_t serial = 0; ///< of its whereabouts
        std::string text;
    };

    Output& out_;
    PresentOptions options_;
    bool all_;                ///< every event is wanted
    fmt::memory_buffer host_; // as a JSON string
    SharedText shared_;
    std::array<ProcessText, 256> processes_{};
    std::string netns_name_; ///< of the last line that had one
    fmt::memory_buffer netns_text_;
};

} // namespace

std::unique_ptr<Sink> make_json(Output& out, PresentOptions options)
{
    return std::make_unique<Json>(out, std::move(options));
}

} // namespace tcpsaga
