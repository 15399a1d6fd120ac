// SPDX-License-Identifier: BSD-2-Clause
#include "player.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "doctor.h"

namespace tcpsaga {
namespace {

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

std::unique_ptr<Sink> make_presenter(const Options& o, const Origin& from, Output& out, bool header,
                                     std::size_t host_column)
{
    auto options = present_options(o, from, out);
    options.header = header;
    options.host_column = host_column;
    if (o.view == Command::doctor)
        return std::make_unique<Doctor>(out, options, o.json, from);
    if (o.json)
        return make_json(out, options);
    return o.view == Command::life ? make_life(out, options) : make_trace(out, options);
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
               LookUps look_ups)
    : from_(from), presenter_(presenter), out_(out), limit_(presenter, out, count),
      port_counter_(limit_, ports_of(look_ups)), correlator_(config(look_ups), port_counter_),
      summary_ns_(from.started_ns)
{
}

Correlator::Config Player::config(LookUps& look_ups) const
{
    Correlator::Config c = from_.config;
    c.place_of = std::move(look_ups.place_of);
    if (!c.place_of)
        c.place_of = [this](std::uint64_t address) {
            const auto found = places_.find(address);
            return found == places_.end() ? "" : found->second;
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

bool Player::play(const input::Summarize& i)
{
    const Filter& filter = from_.config.filter;
    const event::Summary before = std::exchange(summary_, correlator_.summary());
    set_interval(summary_, before, (i.ts_ns - std::exchange(summary_ns_, i.ts_ns)) / 1000);
    summary_.final = i.final;
    AuditContext context = from_.audit;
    context.lost = summary_.lost();
    context.filtered = filter.asks_for_ends() || filter.cgroup != 0;
    const CounterReading end{i.counters.before, asked_for(i.counters.after, filter)};
    summary_.audit = audit(at_start_, end, correlator_.seen(), context);
    summary_.lost_output = out_.lines_lost();
    presenter_.on_event({i.ts_ns, nullptr, {}, summary_});
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

bool Player::play(const Input& i)
{
    return std::visit([this](const auto& in) { return play(in); }, i);
}

} // namespace tcpsaga
