// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/audit.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace tcpsaga {
namespace {

std::uint64_t sum(const SeenCounts& s, std::initializer_list<ts_overflow_kind> kinds)
{
    std::uint64_t n = 0;
    for (const auto kind : kinds)
        n += s.overflows.at(kind);
    return n;
}

/// Which of our counts stands beside a counter of the kernel's (or the sum of two of one
/// group), and its source there.
struct Counterpart {
    const char* counter = nullptr;
    std::uint64_t (*seen)(const SeenCounts& s, const AuditContext& context) = nullptr;
    const char* other = nullptr;
    const char* shown = counter;
};

constexpr std::array counterparts{
    // net/ipv4/tcp_output.c, tcp_connect
    Counterpart{"Tcp.ActiveOpens",
                [](const SeenCounts& s, const AuditContext&) { return s.active_opens; }},
    // net/ipv4/tcp_minisocks.c, tcp_create_openreq_child
    Counterpart{"Tcp.PassiveOpens",
                [](const SeenCounts& s, const AuditContext&) { return s.passive_opens; }},
    // net/ipv4/tcp_input.c, tcp_conn_request; net/ipv4/tcp_ipv4.c, tcp_v4_syn_recv_sock
    Counterpart{"TcpExt.ListenOverflows",
                [](const SeenCounts& s, const AuditContext&) {
                    return sum(s, {TS_SYN_ACCEPTQ_DROP, TS_ACK_DROP, TS_ACK_RESET});
                }},
    // include/net/tcp.h, tcp_listendrop
    Counterpart{"TcpExt.ListenDrops",
                [](const SeenCounts& s, const AuditContext&) {
                    return s.polled_drops + s.other_drops +
                           sum(s, {TS_SYN_DROP, TS_SYN_BACKLOG_DROP, TS_SYN_ACCEPTQ_DROP,
                                   TS_ACK_DROP, TS_ACK_RESET});
                }},
    // net/ipv4/tcp_input.c, tcp_syn_flood_action
    Counterpart{"TcpExt.TCPReqQFullDoCookies",
                [](const SeenCounts& s, const AuditContext&) { return s.cookies_wanted; }},
    Counterpart{"TcpExt.TCPReqQFullDrop",
                [](const SeenCounts& s, const AuditContext&) { return sum(s, {TS_SYN_DROP}); }},
    // net/ipv4/inet_timewait_sock.c, __inet_twsk_schedule; before 5.17 tw_timer_handler. Small
    // sockets made for 4 s or less count in TWKilled.
    Counterpart{"TcpExt.TW",
                [](const SeenCounts& s, const AuditContext& context) {
                    return context.time_wait_counted_at_end ? s.time_wait_expired : s.time_wait_in;
                },
                "TcpExt.TWKilled", "TcpExt.TW+TWKilled"},
    // net/ipv4/tcp_minisocks.c, tcp_time_wait
    Counterpart{"TcpExt.TCPTimeWaitOverflow",
                [](const SeenCounts& s, const AuditContext&) { return s.time_wait_overflows; }},
    // net/ipv4/tcp_output.c, tcp_send_active_reset; net/ipv4/tcp_ipv4.c, tcp_v4_send_reset;
    // net/ipv6/tcp_ipv6.c, tcp_v6_send_response
    Counterpart{"Tcp.OutRsts",
                [](const SeenCounts& s, const AuditContext&) { return s.rsts_sent; }},
    // net/ipv4/tcp.c, tcp_set_state
    Counterpart{"Tcp.EstabResets",
                [](const SeenCounts& s, const AuditContext&) { return s.established_resets; }},
    // net/ipv4/tcp_output.c, __tcp_retransmit_skb and tcp_rtx_synack
    Counterpart{"Tcp.RetransSegs",
                [](const SeenCounts& s, const AuditContext&) { return s.retransmits; }},
    Counterpart{"TcpExt.TCPSynRetrans",
                [](const SeenCounts& s, const AuditContext&) { return s.syn_retransmits; }},
};

std::uint64_t value_of(const ProcCounters& counters, const Counterpart& c)
{
    std::uint64_t sum = 0;
    for (const char* name : {c.counter, c.other})
        if (const auto it = name != nullptr ? counters.find(name) : counters.end();
            it != counters.end())
            sum += it->second;
    return sum;
}

using AllCounters = std::map<std::uint32_t, ProcCounters>;

const ProcCounters& of_namespace(const AllCounters& all, std::uint32_t netns)
{
    static const ProcCounters none;
    const auto it = all.find(netns);
    return it == all.end() ? none : it->second;
}

std::string reason_for(const event::AuditRow& row, const AuditContext& context)
{
    if (row.kernel == row.seen)
        return "";
    if (context.unseen.contains(row.counter))
        return "no hook";
    if (context.filtered)
        return "filtered";
    if (context.lost > 0)
        return std::to_string(context.lost) + " records lost";
    if (context.misses_uncounted && row.seen < row.kernel)
        return "this kernel does not count the kprobes that it skips";
    return "";
}

} // namespace

void parse_counters(const std::string& text, ProcCounters& to)
{
    std::istringstream lines(text);
    std::string names;
    std::string values;
    while (std::getline(lines, names) && std::getline(lines, values)) {
        std::istringstream n(names);
        std::istringstream v(values);
        std::string group;
        std::string same;
        if (!(n >> group) || !(v >> same) || group != same || group.back() != ':')
            continue;
        group.back() = '.';
        std::string name;
        for (std::uint64_t value = 0; n >> name && v >> value;)
            to[group + name] = value;
    }
}

std::vector<event::AuditRow> audit(const CounterReading& start, const CounterReading& end,
                                   const std::map<std::uint32_t, SeenCounts>& seen,
                                   const AuditContext& context)
{
    static const ProcCounters zero;
    std::vector<event::AuditRow> rows;
    for (const auto& [netns, late] : end.after) {
        const ProcCounters& early = of_namespace(end.before, netns);
        const ProcCounters* first = &of_namespace(start.before, netns);
        const ProcCounters* last = &of_namespace(start.after, netns);
        // Counters never fall: then the inode number is another namespace's now.
        const bool is_new = std::ranges::any_of(counterparts, [&](const Counterpart& c) {
            return value_of(late, c) < std::max(value_of(*first, c), value_of(*last, c));
        });
        if (is_new)
            first = last = &zero;
        const auto ours = seen.find(netns);
        for (const Counterpart& c : counterparts) {
            const std::uint64_t most = value_of(late, c) - value_of(*first, c);
            const std::uint64_t at_end = value_of(early, c);
            const std::uint64_t at_start = value_of(*last, c);
            const std::uint64_t least = at_end > at_start ? at_end - at_start : 0;
            event::AuditRow row;
            row.netns = netns;
            row.counter = c.shown;
            row.seen = ours == seen.end() ? 0 : c.seen(ours->second, context);
            row.kernel = std::clamp(row.seen, std::min(least, most), most);
            row.why = reason_for(row, context);
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

} // namespace tcpsaga
