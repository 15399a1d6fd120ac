// SPDX-License-Identifier: BSD-2-Clause
#include "summary_text.h"

#include <algorithm>
#include <functional>

#include "say.h"
#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

std::string millis(const Histogram& h)
{
    const auto ms = [](std::uint64_t us) { return static_cast<double>(us) / 1000; };
    return fmt::format("p50 {:.3f} p90 {:.3f} p99 {:.3f} max {:.3f} ms", ms(h.percentile(50)),
                       ms(h.percentile(90)), ms(h.percentile(99)), ms(h.max()));
}

/// The busiest first, and not more than fit a screen.
void tell_listeners(std::vector<event::ListenerSummary> listeners)
{
    constexpr std::size_t most = 10;
    std::erase_if(listeners, [](const auto& l) { return l.births == 0; });
    std::ranges::sort(listeners, std::greater{}, &event::ListenerSummary::births);
    for (std::size_t i = 0; i < std::min(listeners.size(), most); i++) {
        const event::ListenerSummary& l = listeners[i];
        std::string depth;
        if (l.depth_known())
            depth = fmt::format(", queue up to {} of {}", l.acceptq_high, l.acceptq_max);
        const std::string wait =
            l.accepts != 0 ? fmt::format("; accept wait {}", millis(l.accept_wait_us)) : "";
        say("listener {}:{}: {} accepted of {}{}; handshake {}{}", to_string(l.local.addr),
            l.local.port, l.accepts, l.births, depth, millis(l.handshake_us), wait);
    }
    if (listeners.size() > most)
        say("and {} more listeners", listeners.size() - most);
}

/// How many closed in each way, and what connect() failed with.
void tell_ends(const event::Summary& s)
{
    std::string ends;
    for (std::size_t i = 0; i < s.closes_by_end.size(); i++)
        if (s.closes_by_end.at(i) != 0)
            ends += fmt::format("{}{} {}", ends.empty() ? "" : ", ",
                                name_of(static_cast<event::End>(i)), s.closes_by_end.at(i));
    if (!ends.empty())
        say("closed by {}", ends);
    std::string errors;
    for (const auto& [err, n] : s.connect_errors_by_errno)
        errors += fmt::format("{}{} {}", errors.empty() ? "" : ", ",
                              err != 0 ? errno_name(err) : "no port or route", n);
    if (!errors.empty())
        say("connect failed by {}", errors);
}

/// Who is busiest, where there is more than one.
void tell_tops(const event::Summary& s)
{
    constexpr std::size_t most = 5;
    std::string text;
    for (std::size_t i = 0; i < std::min(s.top_remotes.size(), most); i++)
        text += fmt::format("{}{} {}", i == 0 ? "" : ", ", to_string(s.top_remotes[i].addr),
                            s.top_remotes[i].made + s.top_remotes[i].got);
    if (s.top_remotes.size() > 1)
        say("most connections with {}", text);
    text.clear();
    for (std::size_t i = 0; i < std::min(s.top_processes.size(), most); i++) {
        const event::TopProcess& p = s.top_processes[i];
        fmt::memory_buffer name;
        append_visible(name, p.process.name());
        text += fmt::format("{}{} ({}) {}", i == 0 ? "" : ", ", fmt::to_string(name), p.process.pid,
                            p.made + p.got);
    }
    if (s.top_processes.size() > 1)
        say("most connections of {}", text);
}

void tell_interval(const event::Interval& i)
{
    const double seconds = std::max(static_cast<double>(i.us) / 1e6, 1e-6);
    const auto rate = [&](std::uint64_t n) { return static_cast<double>(n) / seconds; };
    say("in {:.1f} s: {} opened ({:.1f}/s), {} accepted ({:.1f}/s), {} closed, {} overflows, {} "
        "retransmits, TIME_WAIT {} in {} out",
        seconds, i.opens, rate(i.opens), i.accepts, rate(i.accepts), i.closes, i.overflows,
        i.retransmits, i.time_wait_in, i.time_wait_out);
}

void tell_audit(const event::Summary& s)
{
    std::size_t agree = 0;
    for (const event::AuditRow& row : s.audit) {
        agree += row.kernel == row.seen ? 1 : 0;
        if (row.kernel != row.seen)
            say("audit: netns {}: {}: the kernel counted {}, seen {} ({})", row.netns, row.counter,
                row.kernel, row.seen, row.why.empty() ? "unexplained" : row.why);
    }
    if (!s.audit.empty())
        say("audit: {} of {} counters agree with the kernel's", agree, s.audit.size());
}

void tell_losses(const event::Summary& s)
{
    if (s.lost() == 0)
        say("{} events, 0 lost", s.events);
    else
        say("{} events, {} lost (ring {}, table {}, output {}, missed {}{})", s.events, s.lost(),
            s.lost_ring, s.lost_table, s.lost_output, s.lost_missed,
            s.lost_recording == 0 ? "" : fmt::format(", recording {}", s.lost_recording));
}

} // namespace

void tell_summary(const event::Summary& s, const Origin& from)
{
    std::string without;
    for (const SeenFact& fact : from.facts)
        if (fact.by.empty())
            without += (without.empty() ? "" : ", ") + fact.name;
    if (!without.empty())
        say("without {}", without);
    say("{} opened, {} accepted, {} closed, {} still open", s.opens, s.accepts, s.closes, s.alive);
    tell_ends(s);
    tell_tops(s);
    if (s.interval && !s.final)
        tell_interval(*s.interval);
    for (const event::TimeWaitGroup& g : s.time_waits)
        say("{} TIME_WAIT {} {}", g.n, g.role == Role::server ? "of port" : "to",
            g.role == Role::server ? std::to_string(g.end.port)
                                   : fmt::format("{}:{}", to_string(g.end.addr), g.end.port));
    tell_listeners(s.listeners);
    tell_audit(s);
    tell_losses(s);
}

} // namespace tcpsaga
