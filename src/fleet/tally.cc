// SPDX-License-Identifier: BSD-2-Clause
#include "tally.h"

#include <iterator>

namespace tcpsaga::fleet {

bool Tally::is_new(const MessageId& id)
{
    Ranges& ranges = seen_[id.run + "/" + id.lane];
    const std::uint64_t n = id.sequence;
    auto next = ranges.upper_bound(n); // the first range behind it
    auto range = next == ranges.begin() ? ranges.end() : std::prev(next);
    if (range != ranges.end() && n <= range->second) {
        again_++;
        return false;
    }
    messages_++;
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

std::map<std::string, std::uint64_t> Tally::missing_by_host() const
{
    std::map<std::string, std::uint64_t> missing;
    for (const auto& [lane, ranges] : seen_) {
        std::uint64_t n = 0;
        for (auto r = ranges.begin(); r != ranges.end() && std::next(r) != ranges.end(); ++r)
            n += std::next(r)->first - r->second - 1;
        if (n != 0)
            missing[unescaped(lane.substr(0, lane.find('/')))] += n;
    }
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
