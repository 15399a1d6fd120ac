// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* Which partitions a reader of a group takes, and which it gives back: pure, told what is so. */
#include <cstddef>
#include <set>
#include <vector>

namespace tcpsaga::fleet {

struct Standing {
    unsigned partitions = 0;
    std::size_t readers = 1;   ///< of the group, this one included
    std::set<unsigned> ours;   ///< partitions
    std::set<unsigned> others; ///< those that another reader has
};

struct Moves {
    std::vector<unsigned> take, give;
};

/// Nobody has more than its share, rounded up; what is free is taken up to it.
inline Moves next_moves(const Standing& s)
{
    const std::size_t readers = s.readers == 0 ? 1 : s.readers;
    const std::size_t share = (s.partitions + readers - 1) / readers;
    Moves m;
    std::size_t have = s.ours.size();
    for (auto p = s.ours.rbegin(); p != s.ours.rend() && have > share; ++p, have--)
        m.give.push_back(*p);
    for (unsigned p = 0; p < s.partitions && have < share; p++)
        if (!s.ours.contains(p) && !s.others.contains(p)) {
            m.take.push_back(p);
            have++;
        }
    return m;
}

} // namespace tcpsaga::fleet
