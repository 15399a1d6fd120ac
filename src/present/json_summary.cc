// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "json_keys.h"
#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

using Out = std::back_insert_iterator<fmt::memory_buffer>;

/// A summary's, whose lists may be long.
struct SummaryKeys {
    fmt::memory_buffer& buffer;
    Out out = std::back_inserter(buffer);

    template <std::size_t N, class T>
    void number(const char (&key)[N], const T& value) const // NOLINT(*-avoid-c-arrays)
    {
        Room room(buffer, N + 24);
        Keys{room}.number(key, value);
    }
    template <std::size_t N>
    void name(const char (&key)[N], std::string_view value) const // NOLINT(*-avoid-c-arrays)
    {
        Room room(buffer, N + value.size() + 6);
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

} // namespace

void append_summary(fmt::memory_buffer& to, const event::Summary& summary)
{
    SummaryKeys{to}(summary);
}

} // namespace tcpsaga
