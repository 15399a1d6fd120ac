// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/settings.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>

namespace tcpsaga {
namespace {

using nlohmann::json;

json address_to_json(const Endpoint& e)
{
    return {{"addr", to_string(e.addr)}, {"port", e.port}};
}

Endpoint address_from_json(const json& j)
{
    const auto cidr = parse_cidr(j.at("addr").get<std::string>());
    if (!cidr)
        throw std::invalid_argument(cidr.error().message());
    return {cidr->addr, j.at("port").get<std::uint16_t>()};
}

json looks_to_json(const Looks& l)
{
    json states = json::object();
    for (const auto& [state, n] : l.states)
        states[std::string(1, state)] = n;
    return {{"n", l.n}, {"states", states}, {"asleep", l.asleep}, {"stopped", l.stopped}};
}

Looks looks_from_json(const json& j)
{
    Looks l;
    l.n = j.at("n");
    for (const auto& [state, n] : j.at("states").items())
        if (!state.empty())
            l.states[state[0]] = n;
    j.at("asleep").get_to(l.asleep);
    l.stopped = j.at("stopped");
    return l;
}

} // namespace

std::string Settings::text(std::uint32_t netns, const std::string& name) const
{
    for (const std::uint32_t place : {netns, 0U})
        if (const auto all = sysctls.find(place); all != sysctls.end())
            if (const auto it = all->second.find(name); it != all->second.end())
                return it->second;
    return "";
}

std::optional<std::uint64_t> Settings::number(std::uint32_t netns, const std::string& name) const
{
    const std::string value = text(netns, name);
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    return error == std::errc() ? std::optional(n) : std::nullopt;
}

std::optional<std::uint64_t> Settings::local_ports(std::uint32_t netns) const
{
    std::istringstream range(text(netns, "net.ipv4.ip_local_port_range"));
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    return range >> low >> high && high >= low ? std::optional(high - low + 1) : std::nullopt;
}

std::string Settings::clock(std::uint64_t ts_ns) const
{
    const std::int64_t utc_s = (static_cast<std::int64_t>(ts_ns) + utc_offset_ns) / 1'000'000'000;
    const std::int64_t day = (utc_s + zone_offset_s) % 86400;
    return fmt::format("{:02}:{:02}:{:02}", day / 3600, day / 60 % 60, day % 60);
}

std::string Settings::enter(std::uint32_t netns) const
{
    const auto who = inhabitants.find(netns);
    return netns == own_netns || netns == 0 || who == inhabitants.end()
               ? ""
               : "nsenter -t " + std::to_string(who->second) + " -n ";
}

std::string to_json(const Settings& s)
{
    json j{{"own_netns", s.own_netns},
           {"utc_offset_ns", s.utc_offset_ns},
           {"zone_offset_s", s.zone_offset_s}};
    const auto key = [](std::uint32_t n) { return std::to_string(n); };
    for (const auto& [netns, values] : s.sysctls)
        j["sysctls"][key(netns)] = values;
    for (const auto& [netns, pid] : s.inhabitants)
        j["inhabitants"][key(netns)] = pid;
    for (const QueueNow& q : s.queues)
        j["queues"].push_back({{"netns", q.netns},
                               {"local", address_to_json(q.local)},
                               {"conn", q.conn},
                               {"acceptq", q.acceptq},
                               {"acceptq_max", q.acceptq_max}});
    for (const auto& [pid, looks] : s.looks)
        j["looks"][key(pid)] = looks_to_json(looks);
    return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Settings> settings_from_json(const std::string& text)
try {
    const json j = json::parse(text);
    Settings s;
    s.own_netns = j.at("own_netns");
    s.utc_offset_ns = j.at("utc_offset_ns");
    s.zone_offset_s = j.at("zone_offset_s");
    const auto key = [](const std::string& k) { return static_cast<std::uint32_t>(std::stoul(k)); };
    const json none = json::object();
    const json sysctls = j.value("sysctls", none);
    const json inhabitants = j.value("inhabitants", none);
    const json looks = j.value("looks", none);
    for (const auto& [netns, values] : sysctls.items())
        values.get_to(s.sysctls[key(netns)]);
    for (const auto& [netns, pid] : inhabitants.items())
        s.inhabitants[key(netns)] = pid;
    for (const json& q : j.value("queues", json::array()))
        s.queues.push_back({q.at("netns"), address_from_json(q.at("local")), q.at("conn"),
                            q.at("acceptq"), q.at("acceptq_max")});
    for (const auto& [pid, seen] : looks.items())
        s.looks[key(pid)] = looks_from_json(seen);
    return s;
} catch (const std::exception& e) {
    return Error{"cannot read", "the system's settings", 0, e.what()};
}

} // namespace tcpsaga
