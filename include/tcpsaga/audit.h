// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tcpsaga/correlator.h"
#include "tcpsaga/event.h"
#include "tcpsaga/filter.h"

namespace tcpsaga {

/// Counters of one namespace as /proc/net/snmp and /proc/net/netstat give them, by
/// "Tcp.ActiveOpens" or "TcpExt.ListenDrops".
using ProcCounters = std::map<std::string, std::uint64_t>;

/// Reads pairs of lines, names then values, "Tcp: A B" over "Tcp: 1 2". Adds to `to`.
void parse_counters(const std::string& text, ProcCounters& to);

/// The counters of every network namespace that a process lives in, by inode; only those
/// wanted, where some are named. One that cannot be read is left out.
std::map<std::uint32_t, ProcCounters> read_all_counters(const std::vector<std::uint32_t>& wanted);

/// The counters before and after a moment that cannot be hit exactly.
struct CounterReading {
    std::map<std::uint32_t, ProcCounters> before, after;
};

/// What may explain differences between the kernel's counters and what was seen.
struct AuditContext {
    std::uint64_t lost = 0;                ///< records that did not arrive
    bool filtered = false;                 ///< by port, address or family: the kernel counts all
    std::set<std::string> unseen;          ///< counters that no attached hook tells
    bool misses_uncounted = false;         ///< the kernel may have skipped programs without telling
    bool time_wait_counted_at_end = false; ///< TW counts expiries: Linux before 5.17
};

/// A row per namespace and counter: how much the kernel's counter rose from the start to the
/// end, and how much of it was seen. While the counter moves during a reading, the value in its
/// range that is nearest to what was seen stands. A namespace that is gone at the end has no rows;
/// one that was not there at the start began at zero.
std::vector<event::AuditRow> audit(const CounterReading& start, const CounterReading& end,
                                   const std::map<std::uint32_t, SeenCounts>& seen,
                                   const AuditContext& context);

} // namespace tcpsaga
