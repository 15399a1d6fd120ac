// SPDX-License-Identifier: BSD-2-Clause
#include "tally.h"

#include <iterator>

namespace tcpsaga::fleet {

bool Tally::is_new(const MessageId& id, Coming how)
{
    Lane& lane = lanes_[id.run + "/" + id.lane];
    Ranges& ranges = lane.seen;
    const std::uint64_t n = id.sequence;
    if (how.tenure != lane.tenure) {
        lane.missed = lane.missing();
        lane.tenure = how.tenure;
        lane.from.reset();
    }
    auto next = ranges.upper_bound(n); // the first range behind it
    auto range = next == ranges.begin() ? ranges.end() : std::prev(next);
    if (range != ranges.end() && n <= range->second) {
        again_++;
        return false;
    }
    messages_++;
    if (!how.again && !lane.from)
        lane.from = n;
    if (range != ranges.end() && range->second + 1 == n)
        range->second = n;
    else
        range = ranges.emplace(n, n).first;
    if (next != ranges.end() && next->first == n + 1) {
        range->second = next->second;
        ranges.erase(next);
    }
    return true;
}

std::uint64_t Tally::Lane::missing() const
{
    std::uint64_t n = missed;
    if (!from)
        return n;
    for (auto r = std::prev(seen.upper_bound(*from)); std::next(r) != seen.end(); ++r)
        n += std::next(r)->first - r->second - 1;
    return n;
}

std::map<std::string, std::uint64_t> Tally::missing_by_host() const
{
    std::map<std::string, std::uint64_t> missing;
    for (const auto& [name, lane] : lanes_)
        if (const std::uint64_t n = lane.missing(); n != 0)
            missing[unescaped(name.substr(0, name.find('/')))] += n;
    return missing;
}

std::uint64_t Tally::missing() const
{
    std::uint64_t all = 0;
    for (const auto& [host, n] : missing_by_host())
        all += n;
    return all;
}

} // namespace tcpsaga::fleet
