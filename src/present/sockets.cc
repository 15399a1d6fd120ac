// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/sockets.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

bool has_process(const SocketRow& row, const Filter& filter)
{
    return !filter.asks_for_process() || std::ranges::any_of(row.holders, [&](const Holder& h) {
        return filter.process_matches(h.process.pid, h.process.name());
    });
}

using Place =
    std::tuple<std::uint32_t, bool, std::uint16_t, const Address&, const Endpoint&, std::uint64_t>;

Place place_of(const SocketRow& row)
{
    const Tuple& t = row.tuple;
    return {t.netns, row.state != State::listen, t.local.port, t.local.addr, t.remote, row.cookie};
}

bool is_listed_before(const SocketRow* a, const SocketRow* b)
{
    return place_of(*a) < place_of(*b);
}

constexpr std::array<std::string_view, 8> key_names{"state",   "remote",   "rport",     "lport",
                                                    "process", "listener", "container", "netns"};

/// Finds whose backlog a connection went through.
class Listeners {
public:
    explicit Listeners(const std::vector<SocketRow>& all)
    {
        for (const SocketRow& row : all)
            if (row.state == State::listen)
                ends_.emplace(row.tuple.netns, row.tuple.local);
    }

    [[nodiscard]] std::optional<Endpoint> of(const SocketRow& row) const
    {
        if (row.state == State::listen)
            return std::nullopt;
        Address any_v4;
        any_v4.bytes[10] = any_v4.bytes[11] = 0xff;
        const Address& own = row.tuple.local.addr;
        // The nearest first, as the kernel does; a listener on :: takes IPv4 too.
        for (const Address& addr : {own, own.is_v4() ? any_v4 : Address{}, Address{}})
            if (ends_.contains({row.tuple.netns, {addr, row.tuple.local.port}}))
                return Endpoint{addr, row.tuple.local.port};
        return std::nullopt;
    }

private:
    std::set<std::pair<std::uint32_t, Endpoint>> ends_;
};

/// The value of a key for one socket; nullopt = it has none and is not counted.
class KeyReader {
public:
    KeyReader(const std::vector<SocketRow>& all, const SocketNames& names)
        : listeners_(all), names_(names)
    {
    }

    std::optional<std::string> read(const SocketRow& row, SocketKey key)
    {
        const Tuple& t = row.tuple;
        const bool connected = t.remote.port != 0;
        switch (key) {
        case SocketKey::state:
            return std::string(state_of(row));
        case SocketKey::remote:
            return connected ? std::optional(to_string(t.remote.addr)) : std::nullopt;
        case SocketKey::rport:
            return connected ? std::optional(std::to_string(t.remote.port)) : std::nullopt;
        case SocketKey::lport:
            return std::to_string(t.local.port);
        case SocketKey::process:
            return row.holders.empty() ? "-" : text_of(row.holders[0].process);
        case SocketKey::listener:
            if (const auto end = listeners_.of(row))
                return endpoint_text(*end);
            return std::nullopt;
        case SocketKey::container:
            return row.holders.empty() ? "-" : container_of(row.holders[0].process.pid);
        case SocketKey::netns:
            return netns_of(t.netns);
        }
        return std::nullopt;
    }

private:
    static std::string text_of(const Process& p)
    {
        return std::to_string(p.pid) + "/" + std::string(p.name());
    }
    std::string container_of(std::uint32_t pid)
    {
        const auto [it, is_new] = containers_.try_emplace(pid, "-");
        if (is_new && names_.container)
            if (std::string found = names_.container(pid); !found.empty())
                it->second = std::move(found);
        return it->second;
    }
    [[nodiscard]] std::string netns_of(std::uint32_t inode) const
    {
        const std::string name = names_.netns ? names_.netns(inode) : "";
        return name.empty() ? std::to_string(inode) : name;
    }

    Listeners listeners_;
    const SocketNames& names_;
    std::map<std::uint32_t, std::string> containers_;
};

/// Sockets by their ends.
class Ends {
public:
    explicit Ends(const std::vector<SocketRow>& all)
    {
        for (const SocketRow& row : all)
            if (carries_data(row) && row.tuple.remote.port != 0)
                rows_.emplace(Key{row.tuple.local, row.tuple.remote}, &row);
    }

    /// nullptr: not here, or it may be one of several.
    [[nodiscard]] const SocketRow* other(const SocketRow& row) const
    {
        const auto [from, to] = rows_.equal_range({row.tuple.remote, row.tuple.local});
        for (auto it = from; it != to; ++it)
            if (it->second->tuple.netns == row.tuple.netns)
                return it->second == &row ? nullptr : it->second;
        const bool alone = rows_.count({row.tuple.local, row.tuple.remote}) == 1;
        const bool one = from != to && std::next(from) == to;
        return one && alone && !is_loopback(row.tuple.remote.addr) ? from->second : nullptr;
    }
    [[nodiscard]] auto begin() const { return rows_.begin(); }
    [[nodiscard]] auto end() const { return rows_.end(); }

private:
    using Key = std::pair<Endpoint, Endpoint>;
    std::multimap<Key, const SocketRow*> rows_;
};

} // namespace

SocketPairs pair_sockets(const std::vector<SocketRow>& all)
{
    const Listeners listeners(all);
    const auto serves = [&](const SocketRow& row) {
        return std::pair(listeners.of(row).has_value(), -int{row.tuple.local.port});
    };
    SocketPairs pairs;
    const Ends ends(all);
    for (const auto& [key, row] : ends) {
        const SocketRow* const other = ends.other(*row);
        if (other == nullptr || ends.other(*other) != row)
            continue;
        const bool is_server = serves(*row) > serves(*other);
        pairs[row] = is_server ? SocketPair{other, row} : SocketPair{row, other};
        pairs[other] = pairs[row];
    }
    return pairs;
}

std::string_view state_of(const SocketRow& row)
{
    return name_of(row.state == State::new_syn_recv ? State::syn_recv : row.state);
}

std::string_view name_of(SocketTimer t)
{
    static constexpr std::array<std::string_view, 5> names{"", "on", "keepalive", "timewait",
                                                           "persist"};
    const auto i = static_cast<std::size_t>(t);
    return i < names.size() ? names.at(i) : "?";
}

bool carries_data(const SocketRow& row)
{
    // What is left of a connection always has this timer, also as FIN_WAIT2.
    return row.state != State::listen && row.state != State::new_syn_recv &&
           row.timer != SocketTimer::time_wait;
}

std::optional<SocketKey> socket_key(std::string_view name)
{
    const auto* const found = std::ranges::find(key_names, name);
    if (found == key_names.end())
        return std::nullopt;
    return static_cast<SocketKey>(found - key_names.begin());
}

std::string_view name_of(SocketKey key)
{
    return key_names.at(static_cast<std::size_t>(key));
}

ChosenSockets choose_sockets(const std::vector<SocketRow>& all, const Filter& filter,
                             const std::vector<std::string>& states)
{
    ChosenSockets chosen;
    for (const SocketRow& row : all)
        if (filter.passes(row.tuple, row.family) && has_process(row, filter) &&
            (states.empty() || std::ranges::find(states, state_of(row)) != states.end()))
            chosen.push_back(&row);
    std::ranges::sort(chosen, is_listed_before);
    return chosen;
}

std::vector<SocketCount> count_sockets(const std::vector<SocketRow>& all,
                                       const ChosenSockets& chosen,
                                       const std::vector<SocketKey>& keys, const SocketNames& names)
{
    KeyReader reader(all, names);
    std::map<std::vector<std::string>, std::uint64_t> totals;
    for (const SocketRow* row : chosen) {
        std::vector<std::string> values;
        for (const SocketKey key : keys)
            if (auto value = reader.read(*row, key))
                values.push_back(std::move(*value));
        if (values.size() == keys.size())
            totals[std::move(values)]++;
    }
    std::vector<SocketCount> counts;
    counts.reserve(totals.size());
    for (auto& [values, n] : totals)
        counts.push_back({values, n});
    std::ranges::stable_sort(counts, std::greater{}, &SocketCount::n); // by name before
    return counts;
}

} // namespace tcpsaga
