// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tcpsaga {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Label = ClientMetric::Label;

// Powers of two in microseconds, which Histogram counts exactly: 128 us to 33.5 s.
constexpr unsigned first_bound = 7;
constexpr unsigned last_bound = 25;

const std::pair<std::string, std::string> other{"", "other"};

MetricFamily family(MetricType type, const char* name, const char* help)
{
    return {fmt::format("tcpsaga_{}", name), help, type, {}};
}

void add(MetricFamily& to, double value, std::vector<Label> labels = {})
{
    ClientMetric m;
    m.label = std::move(labels);
    (to.type == MetricType::Counter ? m.counter.value : m.gauge.value) = value;
    to.metric.push_back(std::move(m));
}

void add(MetricFamily& to, std::uint64_t value, std::vector<Label> labels = {})
{
    add(to, static_cast<double>(value), std::move(labels));
}

void add(MetricFamily& to, const Histogram& h, std::vector<Label> labels)
{
    constexpr double us = 1e-6;
    ClientMetric m;
    m.label = std::move(labels);
    m.histogram.sample_count = h.count();
    m.histogram.sample_sum = static_cast<double>(h.sum()) * us;
    for (unsigned bit = first_bound; bit <= last_bound; bit++)
        m.histogram.bucket.push_back({h.below_power_of_two(bit),
                                      std::ldexp(us, static_cast<int>(bit))});
    m.histogram.bucket.push_back({h.count(), INFINITY});
    to.metric.push_back(std::move(m));
}

MetricFamily single(MetricType type, const char* name, const char* help, std::uint64_t value)
{
    auto f = family(type, name, help);
    add(f, value);
    return f;
}

MetricFamily counter(const char* name, const char* help, std::uint64_t value)
{
    return single(MetricType::Counter, name, help, value);
}

std::string label_of(const Endpoint& e)
{
    const std::string addr = to_string(e.addr);
    return e.addr.is_v4() ? fmt::format("{}:{}", addr, e.port)
                          : fmt::format("[{}]:{}", addr, e.port);
}

MetricFamily lost_by_where(const event::Summary& s)
{
    auto f = family(MetricType::Counter, "lost_total", "What could not be delivered, by where.");
    for (const auto& [where, n] : {std::pair{event::LostWhere::ring, s.lost_ring},
                                   {event::LostWhere::table, s.lost_table},
                                   {event::LostWhere::output, s.lost_output},
                                   {event::LostWhere::missed, s.lost_missed}})
        add(f, n, {{"where", std::string(name_of(where))}});
    return f;
}

/// Of each counter the sum over all network namespaces, whose number has no bound.
void add_audit(std::vector<MetricFamily>& to, const event::Summary& s)
{
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> by_counter; // all, unexplained
    for (const event::AuditRow& row : s.audit) {
        auto& [all, unexplained] = by_counter[row.counter];
        const std::uint64_t n =
            row.kernel > row.seen ? row.kernel - row.seen : row.seen - row.kernel;
        all += n;
        unexplained += row.unexplained() ? n : 0;
    }
    auto all = family(MetricType::Gauge, "audit_difference",
                      "How far what was seen is from the kernel's own counter.");
    auto unexplained =
        family(MetricType::Gauge, "audit_unexplained_difference",
               "The same, without what a filter, a loss or a missing hook explains.");
    for (const auto& [name, n] : by_counter) {
        add(all, n.first, {{"counter", name}});
        add(unexplained, n.second, {{"counter", name}});
    }
    to.push_back(std::move(all));
    to.push_back(std::move(unexplained));
}

} // namespace

/// All listeners of one address, port and namespace, over restarts and SO_REUSEPORT.
struct Metrics::Listener {
    std::uint64_t births = 0, accepts = 0;
    std::uint32_t acceptq_high = 0, acceptq_max = 0;
    bool listens = false;
    Histogram handshake_us, accept_wait_us;
    PerListener overflows;
};

void Metrics::on_event(const Event& e)
{
    if (const auto* again = std::get_if<event::Retransmit>(&e.what))
        retransmits_.at(static_cast<std::size_t>(again->what)) += again->segments;
    else if (const auto* overflow = std::get_if<event::Overflow>(&e.what))
        overflows_of(e.conn->id)[{overflow->queue, overflow->action}] += overflow->n;
    next_.on_event(e);
}

/// Listeners that come and go share one when there are too many.
Metrics::PerListener& Metrics::overflows_of(std::uint64_t listener)
{
    constexpr std::size_t most = 4096;
    const bool room = overflows_.size() < most || overflows_.contains(listener);
    return overflows_[room ? listener : 0];
}

Metrics::Labels Metrics::labels_of(const event::ListenerSummary& s)
{
    if (const auto known = labels_.find(s.conn); known != labels_.end())
        return known->second;
    Labels labels{std::to_string(s.netns), label_of(s.local)};
    if (s.netns != 0 && named_.size() < most_listeners)
        named_.insert(labels);
    if (!named_.contains(labels))
        labels = other;
    if (s.conn != 0)
        labels_[s.conn] = labels;
    return labels;
}

std::map<Metrics::Labels, Metrics::Listener> Metrics::gather(const event::Summary& s)
{
    std::map<Labels, Listener> all;
    for (const event::ListenerSummary& one : s.listeners) {
        Listener& l = all[labels_of(one)];
        l.births += one.births;
        l.accepts += one.accepts;
        l.handshake_us.add(one.handshake_us);
        l.accept_wait_us.add(one.accept_wait_us);
        l.acceptq_high = std::max(l.acceptq_high, one.acceptq_high);
        if (!one.ended)
            l.acceptq_max = std::max(l.acceptq_max, one.acceptq_max);
        l.listens = l.listens || !one.ended;
    }
    for (const auto& [id, counts] : overflows_) {
        const Labels& labels = id == 0 ? other : labels_.try_emplace(id, other).first->second;
        for (const auto& [what, n] : counts)
            all[labels].overflows[what] += n;
    }
    return all;
}

std::vector<MetricFamily> Metrics::collect(const event::Summary& s, double ring_fill)
{
    using enum MetricType;
    std::vector<MetricFamily> all;
    all.push_back(counter("opens_total", "Connections that this host began.", s.opens));
    all.push_back(counter("births_total", "Connections that listeners made (handshake done).",
                          s.births));
    all.push_back(counter("accepts_total", "Connections that accept() returned.", s.accepts));
    all.push_back(counter("accept_errors_total", "accept() without a descriptor or memory.",
                          s.accept_errors));
    all.push_back(counter("bind_errors_total", "bind() and listen() that failed.", s.bind_errors));
    all.push_back(counter("synack_timeouts_total", "Half-open connections given up.",
                          s.synack_timeouts));
    all.push_back(counter("dropped_packets_total",
                          "TCP packets that the kernel dropped (with --drops).", s.drops));
    all.push_back(single(Gauge, "sockets", "Connections and listeners that are known now.",
                         s.alive));
    all.push_back(single(Gauge, "time_wait_sockets", "Connections in TIME_WAIT now.",
                         s.time_wait_alive));
    all.push_back(counter("time_wait_entries_total", "Connections that went into TIME_WAIT.",
                          s.time_wait_in));
    all.push_back(counter("time_wait_exits_total", "Connections that left TIME_WAIT.",
                          s.time_wait_out));
    all.push_back(counter("time_wait_overflows_total", "No room in TIME_WAIT.",
                          s.time_wait_overflows));
    all.push_back(counter("events_total", "Events told.", s.events));
    all.push_back(lost_by_where(s));

    auto closes = family(Counter, "closes_total", "Connections that ended, by how.");
    for (std::size_t i = 0; i < s.closes_by_end.size(); i++)
        add(closes, s.closes_by_end.at(i),
            {{"end", std::string(name_of(static_cast<event::End>(i)))}});
    all.push_back(std::move(closes));

    auto errors = family(Counter, "connect_errors_total", "connect() that failed, by errno.");
    for (const auto& [err, n] : s.connect_errors_by_errno)
        add(errors, n, {{"errno", err == 0 ? "unknown" : errno_name(err)}});
    all.push_back(std::move(errors));

    auto again = family(Counter, "retransmitted_segments_total", "Segments sent once more.");
    for (std::size_t i = 0; i < retransmits_.size(); i++)
        add(again, retransmits_.at(i),
            {{"what", std::string(name_of(static_cast<event::Retransmitted>(i)))}});
    all.push_back(std::move(again));

    auto ring = family(Gauge, "ring_fill_ratio",
                       "The fullest that a ring was since the last scrape, 0 to 1.");
    add(ring, ring_fill);
    all.push_back(std::move(ring));
    add_audit(all, s);

    auto accepts = family(Counter, "listener_accepts_total", "Connections that accept() returned.");
    auto births = family(Counter, "listener_births_total", "Connections that a listener made.");
    auto backlog =
        family(Gauge, "listener_backlog_limit", "The limit of a listener's accept queue.");
    auto depth = family(Gauge, "listener_backlog_high", "The most that ever waited in it at once.");
    auto turned = family(Counter, "overflows_total", "Packets that met a full queue.");
    auto handshake = family(Histogram, "handshake_seconds",
                            "From the first SYN-ACK to the end of the handshake.");
    auto wait =
        family(Histogram, "accept_wait_seconds", "From the end of the handshake to accept().");
    for (const auto& [labels, l] : gather(s)) {
        const std::vector<Label> own{{"netns", labels.first}, {"listener", labels.second}};
        add(births, l.births, own);
        add(accepts, l.accepts, own);
        if (l.listens && l.acceptq_max != 0)
            add(backlog, std::uint64_t{l.acceptq_max}, own);
        if (l.listens && l.acceptq_max != 0)
            add(depth, std::uint64_t{l.acceptq_high}, own);
        for (const auto& [what, n] : l.overflows) {
            auto labels_of_it = own;
            labels_of_it.push_back({"queue", std::string(name_of(what.first))});
            labels_of_it.push_back({"action", std::string(name_of(what.second))});
            add(turned, n, std::move(labels_of_it));
        }
        if (l.handshake_us.count() != 0)
            add(handshake, l.handshake_us, own);
        if (l.accept_wait_us.count() != 0)
            add(wait, l.accept_wait_us, own);
    }
    for (auto* f : {&births, &accepts, &backlog, &depth, &turned, &handshake, &wait})
        all.push_back(std::move(*f));
    // A family without series would still print its help.
    std::erase_if(all, [](const MetricFamily& f) { return f.metric.empty(); });
    return all;
}

} // namespace tcpsaga
