// SPDX-License-Identifier: BSD-2-Clause
#include "player.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "doctor.h"
#include "report/report.h"
#include "top.h"

namespace tcpsaga {
namespace {

constexpr std::chrono::seconds last_patience{2}; // with a reader that takes nothing

PresentOptions present_options(const Options& o, const Origin& from, const Output& out)
{
    PresentOptions p;
    p.host = from.host;
    p.utc_offset_ns = from.utc_offset_ns;
    p.zone_offset_s = from.zone_offset_s;
    p.color = out.is_terminal() && std::getenv("NO_COLOR") == nullptr;
    p.kinds = o.kinds;
    p.states = o.states;
    if (o.view == Command::life)
        p.kinds = {"close"};
    return p;
}

/// A namespace that is not asked for has no rows in the audit.
std::map<std::uint32_t, ProcCounters> asked_for(std::map<std::uint32_t, ProcCounters> all,
                                                const Filter& f)
{
    std::erase_if(all, [&](const auto& entry) {
        const bool named =
            f.netns.empty() || std::ranges::find(f.netns, entry.first) != f.netns.end();
        return !named || std::ranges::any_of(f.also, [&](const Filter& g) {
            return !g.netns.empty() && std::ranges::find(g.netns, entry.first) == g.netns.end();
        });
    });
    return all;
}

} // namespace

std::unique_ptr<Sink> make_presenter(const Options& o, const Origin& from, Output& out,
                                     const Whereabouts* whereabouts, const Company& company)
{
    auto options = present_options(o, from, out);
    options.whereabouts = whereabouts;
    options.header = company.header;
    options.host_column = company.host_column;
    if (o.view == Command::doctor)
        return std::make_unique<Doctor>(out, options, o.json, from);
    if (o.view == Command::report)
        return std::make_unique<Report>(options, from);
    if (o.view == Command::top)
        return std::make_unique<Top>(o, from, out);
    auto presenter = o.json                    ? make_json(out, options)
                     : o.view == Command::life ? make_life(out, options)
                                               : make_trace(out, options);
    if (!o.pairs)
        return presenter;
    return make_pairs(std::move(presenter),
                      company.desk ? company.desk : make_pair_desk(out, o.count),
                      {company.host, from.utc_offset_ns});
}

void HomeFinder::find(const Process& p, std::uint64_t ts_ns)
{
    if (p.known() && known_.is_due(p, ts_ns))
        known_.learn(p, find_(p, ts_ns), ts_ns);
}

void HomeFinder::on_event(const Event& e)
{
    if (find_) {
        find(e.actor, e.ts_ns);
        if (e.conn != nullptr && e.conn->owner.pid != e.actor.pid)
            find(e.conn->owner, e.ts_ns);
    }
    if (name_ && e.conn != nullptr && known_.is_due(e.conn->tuple.netns, e.ts_ns))
        known_.learn(e.conn->tuple.netns, name_(e.conn->tuple.netns, e.ts_ns), e.ts_ns);
    next_.on_event(e);
}

void PortCounter::on_event(const Event& e)
{
    const auto* error = std::get_if<event::ConnectError>(&e.what);
    if (error == nullptr || error->err != EADDRNOTAVAIL)
        return next_.on_event(e);
    Event more = e;
    more.what = event::ConnectError{error->err, use_of(*e.conn, e.ts_ns)};
    next_.on_event(more);
}

std::optional<event::PortUse> PortCounter::use_of(const Connection& c, std::uint64_t ts_ns)
{
    constexpr std::size_t most = 1024;
    constexpr std::uint64_t second = 1'000'000'000;
    if (looks_.size() > most)
        looks_.clear();
    const auto [it, is_new] = looks_.try_emplace({c.tuple.netns, c.tuple.remote});
    if (is_new || ts_ns > it->second.ts_ns + second)
        it->second = {ts_ns, look_(c.tuple.netns, c.tuple.remote)};
    return it->second.use;
}

Player::Player(const Origin& from, Sink& presenter, Output& out, std::optional<std::uint64_t> count,
               LookUps look_ups, Whereabouts* whereabouts)
    : from_(from), presenter_(presenter), out_(out),
      whereabouts_(whereabouts == nullptr ? own_whereabouts_ : *whereabouts),
      limit_(presenter, out, count), home_finder_(limit_, whereabouts_, std::move(look_ups.home_of),
                                                  std::move(look_ups.netns_name)),
      port_counter_(home_finder_, ports_of(look_ups)), correlator_(config(look_ups), port_counter_),
      summary_ns_(from.started_ns)
{
}

Correlator::Config Player::config(LookUps& look_ups)
{
    Correlator::Config c = from_.config;
    c.place_of = std::move(look_ups.place_of);
    if (!c.place_of)
        c.place_of = [this](std::uint64_t address) {
            const auto found = places_.find(address);
            return found == places_.end() ? "" : found->second;
        };
    c.translated = std::move(look_ups.translated);
    if (!c.translated)
        c.translated = [this](const Tuple& own) -> std::optional<Tuple> {
            const auto found = std::ranges::find(translated_, own, &input::Translated::own);
            return found == translated_.end() ? std::nullopt : std::optional(found->other);
        };
    return c;
}

LookAtPorts Player::ports_of(LookUps& look_ups) const
{
    if (look_ups.ports_of)
        return std::move(look_ups.ports_of);
    return [this](std::uint32_t netns, const Endpoint& destination) {
        const auto found = ports_.find({netns, destination});
        return found == ports_.end() ? std::nullopt : found->second;
    };
}

bool Player::play(const input::Record& i)
{
    correlator_.consume(i.bytes);
    translated_.clear();
    return true;
}

bool Player::play(const input::Lost& i)
{
    correlator_.lost(i.n, i.where, i.ts_ns);
    return i.n != 0;
}

bool Player::play(const input::Present& i)
{
    correlator_.adopt(i.sockets, i.ts_ns);
    return true;
}

bool Player::play(const input::HeldBack& i)
{
    return correlator_.tell_held_back(i.ts_ns);
}

bool Player::play(const input::Polled& i)
{
    correlator_.on_polled(i.listeners, i.ts_ns, i.poll_ms);
    return true;
}

bool Player::play(const input::Stuck& i)
{
    return correlator_.tell_stuck(i.longer_ns, i.ts_ns) != 0;
}

bool Player::play(const input::Evictions& i)
{
    return correlator_.tell_evictions(i.ts_ns) != 0;
}

bool Player::play(const input::Totals& i)
{
    correlator_.settle(i.listeners, i.ts_ns);
    correlator_.settle(i.namespaces);
    correlator_.settle(i.drops, i.ts_ns);
    return true;
}

bool Player::play(const input::Start& i)
{
    at_start_ = i.counters;
    return true;
}

event::Summary Player::reckon(const CounterReading& now, bool final) const
{
    const Filter& filter = from_.config.filter;
    event::Summary s = correlator_.summary();
    s.final = final;
    AuditContext context = from_.audit;
    context.lost = s.lost() - s.lost_output; // lost lines were counted
    context.filtered = filter.asks_for_ends() || filter.cgroup != 0;
    const CounterReading end{now.before, asked_for(now.after, filter)};
    s.audit = audit(at_start_, end, correlator_.seen(), context);
    s.lost_output = out_.lines_lost();
    return s;
}

bool Player::play(const input::Summarize& i)
{
    const event::Summary before = std::exchange(summary_, reckon(i.counters, i.final));
    set_interval(summary_, before, (i.ts_ns - std::exchange(summary_ns_, i.ts_ns)) / 1000);
    presenter_.on_event({i.ts_ns, nullptr, {}, summary_});
    if (i.final)
        out_.drain(last_patience);
    else
        out_.flush();
    summary_.lost_output = out_.lines_lost(); // with what that flush lost
    return true;
}

bool Player::play(const input::Place& i)
{
    places_[i.address] = i.name;
    return true;
}

bool Player::play(const input::Ports& i)
{
    ports_[{i.netns, i.destination}] = i.use;
    return true;
}

bool Player::play(const input::System& i)
{
    presenter_.on_settings(i.settings);
    return true;
}

bool Player::play(const input::Translated& i)
{
    translated_.push_back(i);
    return true;
}

bool Player::play(const input::ProcessHome& i)
{
    whereabouts_.learn(i.process, i.home, i.ts_ns);
    return true;
}

bool Player::play(const input::NetnsName& i)
{
    whereabouts_.learn(i.netns, i.name, i.ts_ns);
    return true;
}

bool Player::play(const Input& i)
{
    return std::visit([this](const auto& in) { return play(in); }, i);
}

} // namespace tcpsaga
