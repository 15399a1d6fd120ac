// SPDX-License-Identifier: BSD-2-Clause
/* The JSON object that a page is made of: bounded lists, numbers as numbers, text made visible. */
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "report.h"
#include "tcpsaga/finding.h"
#include "tcpsaga/present_findings.h"

namespace tcpsaga {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t most_findings = 50;
constexpr std::size_t most_listeners = 200;
constexpr std::size_t most_audit_rows = 300;

constexpr std::array<std::string_view, static_cast<std::size_t>(Series::ends)> series_names{
    "opened",    "arrived",      "accepted",      "closed",       "accept_queue",
    "syn_queue", "accept_error", "connect_error", "re_syn",       "re_synack",
    "re_data",   "re_fin",       "time_wait_in",  "time_wait_out"};

std::string name_of_series(std::size_t i)
{
    if (i < series_names.size())
        return std::string(series_names.at(i));
    return "end_" + std::string(name_of(static_cast<event::End>(i - series_names.size())));
}

void add_process(ordered_json& j, const Process& p)
{
    if (!p.known())
        return;
    j["pid"] = p.pid;
    j["comm"] = visible(p.name());
    if (p.from == PidFrom::listener)
        j["guess"] = true; // whose listener it is
}

template <class T>
void add(ordered_json& j, const char* key, const std::optional<T>& value)
{
    if (value)
        j[key] = *value;
}

ordered_json percentiles(const Histogram& h)
{
    return {{"n", h.count()},
            {"p50", h.percentile(50)},
            {"p90", h.percentile(90)},
            {"p99", h.percentile(99)},
            {"max", h.max()}};
}

ordered_json totals(const event::Summary& s)
{
    ordered_json j{{"opened", s.opens},
                   {"arrived", s.births},
                   {"accepted", s.accepts},
                   {"closed", s.closes},
                   {"alive", s.alive},
                   {"connect_errors", s.connect_errors},
                   {"overflows", s.overflows},
                   {"accept_errors", s.accept_errors},
                   {"retransmits", s.retransmits},
                   {"drops", s.drops},
                   {"bind_errors", s.bind_errors},
                   {"synack_timeouts", s.synack_timeouts},
                   {"time_wait_alive", s.time_wait_alive},
                   {"time_wait_overflows", s.time_wait_overflows},
                   {"events", s.events},
                   {"lost", s.lost()}};
    j["ends"] = ordered_json::object();
    for (std::size_t i = 0; i < s.closes_by_end.size(); i++)
        if (s.closes_by_end.at(i) != 0)
            j["ends"][std::string(name_of(static_cast<event::End>(i)))] = s.closes_by_end.at(i);
    j["errors"] = ordered_json::object();
    for (const auto& [err, n] : s.connect_errors_by_errno)
        j["errors"][err != 0 ? errno_name(err) : "no port or route"] = n;
    return j;
}

/// Those in TIME_WAIT at the end of each bin. `at_end`: how many there are then; nullopt where
/// nobody told of ends: those of the last 60 s (TCP_TIMEWAIT_LEN, include/net/tcp.h).
std::vector<std::uint64_t> time_waits(const Bins& bins, std::optional<std::uint64_t> at_end)
{
    const auto& all = bins.all();
    std::vector<std::uint64_t> alive(all.size());
    if (!at_end) {
        const std::size_t last = std::max<std::size_t>(60'000 / bins.width_ms(), 1);
        std::uint64_t young = 0;
        for (std::size_t i = 0; i < all.size(); i++) {
            young += all[i].of(Series::time_wait_in);
            young -= i >= last ? all[i - last].of(Series::time_wait_in) : 0;
            alive[i] = young;
        }
        return alive;
    }
    std::uint64_t now = *at_end;
    for (std::size_t i = all.size(); i-- > 0;) {
        alive[i] = now;
        now += all[i].of(Series::time_wait_out);
        now -= std::min(now, all[i].of(Series::time_wait_in));
    }
    return alive;
}

/// A series that is zero throughout is left out; waits are triples of bin, row and count.
ordered_json over_time(const Bins& bins, std::optional<std::uint64_t> time_waits_at_end)
{
    const auto& all = bins.all();
    ordered_json j{{"width_ms", bins.width_ms()},
                   {"first_ms", bins.first_ms()},
                   {"n", all.size()},
                   {"series", ordered_json::object()}};
    for (std::size_t s = 0; s < series_count; s++) {
        if (std::ranges::all_of(all, [&](const Bin& b) { return b.counts.at(s) == 0; }))
            continue;
        ordered_json& counts = j["series"][name_of_series(s)] = ordered_json::array();
        for (const Bin& b : all)
            counts.push_back(b.counts.at(s));
    }
    j["time_wait"] = time_waits(bins, time_waits_at_end);
    ordered_json cells = ordered_json::array();
    for (std::size_t i = 0; i < all.size(); i++)
        for (std::size_t row = 0; row < wait_rows; row++)
            if (const std::uint64_t n = all[i].waits.at(row); n != 0)
                for (const std::uint64_t number : {std::uint64_t{i}, std::uint64_t{row}, n})
                    cells.push_back(number);
    j["waits"] = std::move(cells);
    return j;
}

void add_evidence(ordered_json& j, const event::ListenerSummary& l, const Evidence& evidence)
{
    const auto found = evidence.listeners.find({l.netns, l.local.port, l.conn});
    if (found == evidence.listeners.end())
        return;
    const ListenerEvidence& e = found->second;
    for (const auto& [name, n] : {std::pair{"full", e.full.n},
                                  {"syn_drops", e.syn_drops.n},
                                  {"syn_cookies", e.syn_cookies.n},
                                  {"drops", e.dropped.n},
                                  {"accept_errors", e.no_descriptor.n + e.no_file.n},
                                  {"never_accepted", e.never_accepted.n}})
        if (n != 0)
            j[name] = n;
}

ordered_json to_json(const event::ListenerSummary& l, const Evidence& evidence)
{
    ordered_json j{{"at", endpoint_text(l.local)}, {"netns", l.netns}};
    if (l.netns == 0)
        j["at"] = "others";
    add_process(j, l.owner);
    j["arrived"] = l.births;
    j["accepted"] = l.accepts;
    if (l.acceptq_max != 0)
        j["queue_max"] = l.acceptq_max;
    if (l.depth_known())
        j["queue_high"] = l.acceptq_high;
    add(j, "backlog", l.asked);
    add_evidence(j, l, evidence);
    j["handshake_us"] = percentiles(l.handshake_us);
    j["wait_us"] = percentiles(l.accept_wait_us);
    if (l.ended)
        j["ended"] = name_of(*l.ended);
    return j;
}

/// The busiest.
ordered_json listeners(std::vector<event::ListenerSummary> all, const Evidence& evidence)
{
    std::ranges::stable_sort(all, std::greater{}, &event::ListenerSummary::births);
    all.resize(std::min(all.size(), most_listeners));
    ordered_json j = ordered_json::array();
    for (const event::ListenerSummary& l : all)
        j.push_back(to_json(l, evidence));
    return j;
}

ordered_json tops(const event::Summary& s)
{
    ordered_json remotes = ordered_json::array();
    for (const event::TopRemote& t : s.top_remotes)
        remotes.push_back({{"at", to_string(t.addr)}, {"made", t.made}, {"got", t.got}});
    ordered_json processes = ordered_json::array();
    for (const event::TopProcess& t : s.top_processes) {
        ordered_json j;
        add_process(j, t.process);
        j["made"] = t.made;
        j["got"] = t.got;
        processes.push_back(std::move(j));
    }
    return {{"remotes", std::move(remotes)}, {"processes", std::move(processes)}};
}

/// Those that differ come first.
ordered_json audit(std::vector<event::AuditRow> rows)
{
    std::ranges::stable_sort(rows, std::greater{},
                             [](const event::AuditRow& r) { return r.kernel != r.seen; });
    rows.resize(std::min(rows.size(), most_audit_rows));
    ordered_json j = ordered_json::array();
    for (const event::AuditRow& r : rows)
        j.push_back({{"netns", r.netns},
                     {"counter", r.counter},
                     {"kernel", r.kernel},
                     {"seen", r.seen},
                     {"why", r.why}});
    return j;
}

ordered_json to_json(const Life& l, std::int64_t utc_ns)
{
    ordered_json j{{"t", utc_ns / 1'000'000}, {"conn", l.conn}};
    add_process(j, l.process);
    j["local"] = endpoint_text(l.tuple.local);
    j["remote"] = endpoint_text(l.tuple.remote);
    if (l.role != Role::unknown)
        j["role"] = name_of(l.role);
    add(j, "duration_us", l.close.duration_us);
    add(j, "handshake_us", l.close.handshake_us);
    add(j, "accept_wait_us", l.close.accept_wait_us);
    j["retransmits"] = l.close.retransmits;
    j["tx"] = l.close.tx_bytes;
    j["rx"] = l.close.rx_bytes;
    if (l.closed_by != ClosedBy::unknown)
        j["by"] = name_of(l.closed_by);
    j["end"] = name_of(l.close.end);
    if (!l.why.empty())
        j["why"] = l.why;
    return j;
}

/// What no hook told.
ordered_json unseen(const std::vector<SeenFact>& facts)
{
    ordered_json j = ordered_json::array();
    for (const SeenFact& f : facts)
        if (f.by.empty())
            j.push_back(f.name);
    return j;
}

} // namespace

std::string Report::data(const std::string& file, const std::vector<std::string>& damage) const
{
    std::vector<Finding> findings = diagnose(evidence_.evidence(), settings_);
    const std::size_t found = findings.size();
    findings.resize(std::min(found, most_findings));
    std::optional<std::uint64_t> at_end;
    if (from_.config.time_wait_exit_seen)
        at_end = summary_.time_wait_alive;
    ordered_json j{{"v", 1},
                   {"program", from_.program},
                   {"file", visible(file)},
                   {"host", visible(from_.host)},
                   {"kernel", from_.kernel},
                   {"machine", from_.machine},
                   {"hooks", from_.title},
                   {"begin_ms", utc(from_.started_ns) / 1'000'000},
                   {"end_ms", utc(end_ns_) / 1'000'000},
                   {"zone_s", from_.zone_offset_s},
                   {"unseen", unseen(from_.facts)},
                   {"damage", damage},
                   {"totals", totals(summary_)},
                   {"wait_us", percentiles(waits_)},
                   {"found", found},
                   {"findings", ordered_json::parse(findings_json(options_, findings, end_ns_))},
                   {"time", over_time(bins_, at_end)},
                   {"time_wait_ends_seen", at_end.has_value()},
                   {"listeners", listeners(summary_.listeners, evidence_.evidence())},
                   {"tops", tops(summary_)},
                   {"connections", ordered_json::array()},
                   {"audit", audit(summary_.audit)}};
    for (const Life& life : worst_.all())
        j["connections"].push_back(to_json(life, utc(life.ts_ns)));
    return j.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

} // namespace tcpsaga
