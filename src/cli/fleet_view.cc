// SPDX-License-Identifier: BSD-2-Clause
#include "fleet_view.h"

#include <algorithm>

#include "doctor.h"
#include "report.h"
#include "tcpsaga/present_findings.h"

namespace tcpsaga {
namespace {

constexpr std::size_t most_hosts = 65536;
constexpr std::size_t host_column = 15;

class Summaries : public Sink {
public:
    Summaries(Output& out, std::string host, bool header) : out_(out), host_(std::move(host))
    {
        if (header)
            line(fmt::format("{:<{}} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>6} {}", "HOST",
                             host_column, "OPENED", "ACCEPTED", "CLOSED", "OPEN", "OVERFL",
                             "RETRANS", "LOST", "AUDIT"));
    }
    void on_event(const Event& e) override
    {
        const auto* s = std::get_if<event::Summary>(&e.what);
        if (s == nullptr)
            return;
        const auto agree = std::ranges::count_if(s->audit, [](const event::AuditRow& row) {
            return row.kernel == row.seen;
        });
        line(fmt::format("{:<{}} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>6} {}/{}{}", visible(host_),
                         host_column, s->opens, s->accepts, s->closes, s->alive, s->overflows,
                         s->retransmits, s->lost(), agree, s->audit.size(),
                         s->final ? " ended" : ""));
    }

private:
    void line(const std::string& text)
    {
        out_.buffer().append(text);
        out_.buffer().push_back('\n');
        out_.line_done();
    }
    Output& out_;
    std::string host_;
};

/// Only summaries.
class OnlySummaries : public Sink {
public:
    explicit OnlySummaries(std::unique_ptr<Sink> next) : next_(std::move(next)) {}
    void on_event(const Event& e) override
    {
        if (std::holds_alternative<event::Summary>(e.what))
            next_->on_event(e);
    }

private:
    std::unique_ptr<Sink> next_;
};

/// The times of what was recorded by a clock of its own become UTC.
Origin in_utc(Origin o)
{
    o.started_ns += static_cast<std::uint64_t>(o.utc_offset_ns);
    o.utc_offset_ns = 0;
    return o;
}

PresentOptions options_for(const Origin& o, const Output& out)
{
    PresentOptions p;
    p.host = o.host;
    p.zone_offset_s = o.zone_offset_s;
    p.color = out.is_terminal() && std::getenv("NO_COLOR") == nullptr;
    return p;
}

bool at_the_end(const Options& o)
{
    return o.view == Command::doctor || o.view == Command::report;
}

} // namespace

std::unique_ptr<Sink> make_summaries(Output& out, const std::string& host, bool header, bool json,
                                     PresentOptions options)
{
    if (json)
        return std::make_unique<OnlySummaries>(make_json(out, std::move(options)));
    return std::make_unique<Summaries>(out, host, header);
}

FleetView::FleetView(const Options& o, Output& out, HostTextOf host_text)
    : o_(o), out_(out), host_text_(std::move(host_text)),
      meeting_(pairing_,
               std::chrono::milliseconds(static_cast<std::int64_t>(o.fleet.wait_s * 1000)),
               [this](std::uint32_t client_host, const Event& client, std::uint32_t server_host,
                      const Event& server) {
                   aborts_.add(names_.at(client_host), client, names_.at(server_host), server);
               }),
      desk_(make_pair_desk(out, o.count))
{
    names_.reserve(most_hosts);
}

void FleetView::read_about(Host& h)
{
    const auto about = fleet::parse_host_text(host_text_(names_.at(h.number)));
    if (!about)
        return;
    h.origin = in_utc(about->origin);
    h.settings = about->settings;
}

FleetView::Host& FleetView::host_of(const std::string& name)
{
    if (last_ != nullptr && names_.at(last_->number) == name)
        return *last_;
    auto& host = hosts_[names_.size() < most_hosts || hosts_.contains(name) ? name : ""];
    last_ = host.get();
    if (host)
        return *host;
    host = std::make_unique<Host>();
    last_ = host.get();
    Host& h = *host;
    h.number = static_cast<std::uint32_t>(names_.size());
    names_.push_back(name);
    h.origin.host = name;
    read_about(h);
    h.origin.host = name;
    const bool first = h.number == 0;
    if (o_.view == Command::doctor) {
        h.of_doctor = std::make_unique<HostCase>(name, h.origin.started_ns);
        if (!h.origin.config.accept_seen)
            h.of_doctor->evidence_sink.accepts_unseen();
    } else if (o_.view == Command::summary) {
        h.presenter = make_summaries(out_, name, first, o_.json, options_for(h.origin, out_));
    } else {
        h.presenter = make_presenter(o_, h.origin, out_, &h.whereabouts,
                                     {first, host_column, h.number, desk_});
    }
    Sink& shown = h.of_doctor ? static_cast<Sink&>(*h.of_doctor) : *h.presenter;
    h.peers =
        std::make_unique<HostPeers>(shown, pairing_, h.number, names_, [this](const HostEnd& e) {
            return meeting_.still_to_tell(e.id);
        });
    return h;
}

/// What the line says of where its process lives.
void FleetView::learn(Host& h)
{
    const Event& e = reader_.event();
    const Home& home = reader_.home();
    if (e.actor.known() && !(home.cgroup.empty() && home.container.empty() && home.pod.empty())) {
        const Home* known = h.whereabouts.of(e.actor);
        if (known == nullptr || known->cgroup != home.cgroup ||
            known->container != home.container || known->pod != home.pod ||
            known->inner_pid != home.inner_pid)
            h.whereabouts.learn(e.actor, home, e.ts_ns);
    }
    if (e.conn != nullptr && !reader_.netns_name().empty() &&
        h.whereabouts.netns_name(e.conn->tuple.netns) != reader_.netns_name())
        h.whereabouts.learn(e.conn->tuple.netns, reader_.netns_name(), e.ts_ns);
}

bool FleetView::passes(const Event& e) const
{
    if (e.conn == nullptr || o_.filter == Filter{})
        return true;
    const Connection& c = *e.conn;
    const bool by_ends = o_.filter.passes(c.tuple, c.family);
    return by_ends && (!o_.filter.asks_for_process() ||
                       (e.actor.known() && o_.filter.process_matches(e.actor.pid, e.actor.name())));
}

void FleetView::take(std::string_view lines, const fleet::Meeting::Keep& keep,
                     Clock::time_point now)
{
    while (!lines.empty() && !full()) {
        const std::size_t end = std::min(lines.find('\n'), lines.size());
        const std::string_view line = lines.substr(0, end);
        if (at_the_end(o_))
            put_in_order(line);
        else
            take_line(line, keep, now);
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
}

void FleetView::take_line(std::string_view line, const fleet::Meeting::Keep& keep,
                          Clock::time_point now)
{
    if (reader_.read(line))
        on_line(keep, now);
    else if (!line.empty() && !reader_.why().empty() && foreign_++ == 0)
        first_foreign_ = reader_.why();
}

std::string_view FleetView::Later::time() const
{
    constexpr std::string_view key = R"("ts":")";
    const std::size_t at = line.find(key);
    constexpr std::size_t size = 30; // RFC 3339, nanoseconds
    return at == std::string::npos ? std::string_view()
                                   : std::string_view(line).substr(at + key.size(), size);
}

bool FleetView::Later::operator<(const Later& other) const
{
    const int order = time().compare(other.time());
    return order != 0 ? order > 0 : number > other.number;
}

/// Findings go by what came after what on a host, whose lines come in several partitions. These are
/// read alike: none is ahead of another by more than this.
void FleetView::put_in_order(std::string_view line)
{
    constexpr std::size_t most = 250'000;
    later_.push({std::string(line), lines_++});
    if (later_.size() > most)
        tell_earliest();
}

void FleetView::tell_earliest()
{
    const Later next = later_.top();
    later_.pop();
    take_line(next.line, {}, {});
}

void FleetView::on_line(const fleet::Meeting::Keep& keep, Clock::time_point now)
{
    const Event& e = reader_.event();
    if (!passes(e))
        return;
    Host& h = host_of(reader_.host());
    h.latest_ns = std::max(h.latest_ns, e.ts_ns);
    learn(h);
    if (const auto* summary = std::get_if<event::Summary>(&e.what)) {
        h.summary = *summary;
        if (at_the_end(o_))
            return; // the end is ours, not that of its tracer
    }
    if (const auto* life = std::get_if<event::Close>(&e.what); life != nullptr) {
        if (life->peer && life->peer->netns == 0) {
            Event near = e;
            std::get<event::Close>(near.what).peer->netns = e.conn->tuple.netns;
            return h.peers->on_event(near);
        }
        return meeting_.on_close(h.number, e, *h.peers, keep, now);
    }
    h.peers->on_event(e);
}

void FleetView::end_host(Host& h)
{
    read_about(h);
    if (h.of_doctor) {
        h.of_doctor->settings = h.settings;
        h.of_doctor->settings.utc_offset_ns = 0;
        h.of_doctor->settings.zone_offset_s = h.origin.zone_offset_s;
        if (h.summary)
            h.of_doctor->evidence_sink.adopt(*h.summary, h.latest_ns);
        h.of_doctor->evidence_sink.finish(h.latest_ns);
        return;
    }
    h.peers->on_settings(h.settings);
    event::Summary last = h.summary.value_or(event::Summary{});
    last.final = true;
    h.peers->on_event({h.latest_ns, nullptr, {}, last});
}

void FleetView::end()
{
    while (!later_.empty())
        tell_earliest();
    meeting_.end();
    if (!at_the_end(o_)) {
        if (o_.pairs) // what waits at the desk is told
            for (std::uint32_t n = 0; n < names_.size(); n++)
                end_pairs(*desk_, n);
        return;
    }
    std::vector<Host*> all(hosts_.size());
    for (const auto& [name, h] : hosts_)
        all.at(h->number) = h.get();
    for (Host* h : all)
        end_host(*h);
    if (o_.view == Command::doctor)
        return diagnose_all();
    std::vector<std::string> data;
    data.reserve(all.size());
    for (Host* h : all)
        data.push_back(report_of(*h->presenter, names_.at(h->number), {}));
    print_report(out_, o_, data);
}

/// Hosts with findings first, by their names.
void FleetView::diagnose_all()
{
    std::vector<Host*> all;
    std::vector<HostCase*> cases;
    all.reserve(hosts_.size());
    cases.reserve(hosts_.size());
    for (const auto& [name, h] : hosts_)
        all.push_back(h.get());
    std::ranges::sort(all, {}, [this](const Host* h) { return names_.at(h->number); });
    for (Host* h : all)
        cases.push_back(h->of_doctor.get());
    diagnose(cases, aborts_);
    std::ranges::stable_sort(all, {}, [](const Host* h) { return h->of_doctor->findings.empty(); });
    for (Host* h : all) {
        const auto options = options_for(h->origin, out_);
        const HostCase& c = *h->of_doctor;
        found_ = found_ || !c.findings.empty();
        if (!o_.json) {
            out_.buffer().append(visible(c.host) + ": ");
            print_findings_text(out_, options, c.findings, c.evidence_sink.evidence());
        } else {
            print_findings_json(out_, options, c.findings, c.evidence_sink.evidence());
        }
    }
}

} // namespace tcpsaga
