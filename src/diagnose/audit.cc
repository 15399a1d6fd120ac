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

/// Which of our counts stands beside a counter of the kernel's, and its source there.
struct Counterpart {
    const char* counter;
    std::uint64_t (*seen)(const SeenCounts& s);
};

constexpr std::array counterparts{
    // net/ipv4/tcp_output.c, tcp_connect
    Counterpart{"Tcp.ActiveOpens", [](const SeenCounts& s) { return s.active_opens; }},
    // net/ipv4/tcp_minisocks.c, tcp_create_openreq_child
    Counterpart{"Tcp.PassiveOpens", [](const SeenCounts& s) { return s.passive_opens; }},
    // net/ipv4/tcp_input.c, tcp_conn_request; net/ipv4/tcp_ipv4.c, tcp_v4_syn_recv_sock
    Counterpart{"TcpExt.ListenOverflows",
                [](const SeenCounts& s) {
                    return sum(s, {TS_SYN_ACCEPTQ_DROP, TS_ACK_DROP, TS_ACK_RESET});
                }},
    // include/net/tcp.h, tcp_listendrop
    Counterpart{"TcpExt.ListenDrops",
                [](const SeenCounts& s) {
                    return s.polled_drops + s.other_drops +
                           sum(s, {TS_SYN_DROP, TS_SYN_BACKLOG_DROP, TS_SYN_ACCEPTQ_DROP,
                                   TS_ACK_DROP, TS_ACK_RESET});
                }},
    // net/ipv4/tcp_input.c, tcp_syn_flood_action
    Counterpart{"TcpExt.TCPReqQFullDoCookies",
                [](const SeenCounts& s) { return s.cookies_wanted; }},
    Counterpart{"TcpExt.TCPReqQFullDrop",
                [](const SeenCounts& s) { return sum(s, {TS_SYN_DROP}); }},
};

std::uint64_t value_of(const ProcCounters& counters, const char* name)
{
    const auto it = counters.find(name);
    return it == counters.end() ? 0 : it->second;
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

std::vector<event::AuditRow> audit(const std::map<std::uint32_t, ProcCounters>& before,
                                   const std::map<std::uint32_t, ProcCounters>& after,
                                   const std::map<std::uint32_t, SeenCounts>& seen,
                                   const AuditContext& context)
{
    std::vector<event::AuditRow> rows;
    for (const auto& [netns, now] : after) {
        const auto then = before.find(netns);
        const auto ours = seen.find(netns);
        // Counters never fall: then the inode number is another namespace's now.
        const bool is_new =
            then == before.end() || std::ranges::any_of(counterparts, [&](const Counterpart& c) {
                return value_of(now, c.counter) < value_of(then->second, c.counter);
            });
        for (const Counterpart& c : counterparts) {
            event::AuditRow row;
            row.netns = netns;
            row.counter = c.counter;
            row.kernel = value_of(now, c.counter);
            if (!is_new)
                row.kernel -= value_of(then->second, c.counter);
            row.seen = ours == seen.end() ? 0 : c.seen(ours->second);
            row.why = reason_for(row, context);
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

} // namespace tcpsaga
