// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/whereabouts.h"

namespace tcpsaga {

const Whereabouts::Known* Whereabouts::find(const Process& p) const
{
    const Key key{p.pid, p.uid, p.comm};
    Seen& seen = seen_.at(p.pid % seen_.size());
    if (seen.known == nullptr || !(seen.key == key)) {
        const auto at = processes_.find(key);
        seen = {key, at == processes_.end() ? nullptr : &at->second};
    }
    return seen.known;
}

const Home* Whereabouts::of(const Process& p) const
{
    const Known* known = find(p);
    return known == nullptr || known->home.cgroup.empty() ? nullptr : &known->home;
}

const std::string& Whereabouts::netns_name(std::uint32_t inode) const
{
    static const std::string none;
    const Namespace* known = find(inode);
    return known == nullptr ? none : known->name;
}

/// As a rule it is that of the last question.
const Whereabouts::Namespace* Whereabouts::find(std::uint32_t netns) const
{
    if (last_netns_.second == nullptr || last_netns_.first != netns) {
        const auto at = namespaces_.find(netns);
        last_netns_ = {netns, at == namespaces_.end() ? nullptr : &at->second};
    }
    return last_netns_.second;
}

bool Whereabouts::is_due(std::uint32_t netns, std::uint64_t ts_ns) const
{
    constexpr std::uint64_t long_ago = 10'000'000'000;
    const Namespace* known = find(netns);
    return known == nullptr || ts_ns > known->ts_ns + long_ago;
}

bool Whereabouts::is_due(const Process& p, std::uint64_t ts_ns) const
{
    constexpr std::uint64_t long_ago = 300'000'000'000;
    const Known* known = find(p);
    return known == nullptr || ts_ns > known->ts_ns + long_ago;
}

void Whereabouts::learn(const Process& p, Home home, std::uint64_t ts_ns)
{
    constexpr std::size_t most = 65536;
    if (processes_.size() >= most) {
        processes_.clear();
        seen_ = {};
    }
    home.serial = ++serials_;
    processes_[{p.pid, p.uid, p.comm}] = {std::move(home), ts_ns};
}

void Whereabouts::learn(std::uint32_t netns, std::string name, std::uint64_t ts_ns)
{
    constexpr std::size_t most = 65536;
    if (namespaces_.size() >= most) {
        namespaces_.clear();
        last_netns_ = {};
    }
    namespaces_[netns] = {std::move(name), ts_ns};
}

} // namespace tcpsaga
