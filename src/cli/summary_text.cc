// SPDX-License-Identifier: BSD-2-Clause
#include "summary_text.h"

#include <algorithm>
#include <functional>

#include "say.h"

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
        say("listener {}:{}: {} accepted of {}{}; handshake {}; accept wait {}",
            to_string(l.local.addr), l.local.port, l.accepts, l.births, depth,
            millis(l.handshake_us), millis(l.accept_wait_us));
    }
    if (listeners.size() > most)
        say("and {} more listeners", listeners.size() - most);
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
    for (const event::TimeWaitGroup& g : s.time_waits)
        say("{} TIME_WAIT {} {}", g.n, g.role == Role::server ? "of port" : "to",
            g.role == Role::server ? std::to_string(g.end.port)
                                   : fmt::format("{}:{}", to_string(g.end.addr), g.end.port));
    tell_listeners(s.listeners);
    std::size_t agree = 0;
    for (const event::AuditRow& row : s.audit) {
        agree += row.kernel == row.seen ? 1 : 0;
        if (row.kernel != row.seen)
            say("audit: netns {}: {}: the kernel counted {}, seen {} ({})", row.netns, row.counter,
                row.kernel, row.seen, row.why.empty() ? "unexplained" : row.why);
    }
    if (!s.audit.empty())
        say("audit: {} of {} counters agree with the kernel's", agree, s.audit.size());
    if (s.lost() == 0)
        say("{} events, 0 lost", s.events);
    else
        say("{} events, {} lost (ring {}, table {}, output {}, missed {}{})", s.events, s.lost(),
            s.lost_ring, s.lost_table, s.lost_output, s.lost_missed,
            s.lost_recording == 0 ? "" : fmt::format(", recording {}", s.lost_recording));
}

} // namespace tcpsaga
