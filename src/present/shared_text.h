// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "tcpsaga/present.h"

namespace tcpsaga {

/// The Community IDs of connections, each made once in a life as a rule: a SHA-1 costs more than
/// the rest of a line.
class CommunityIds {
public:
    /// Valid until the next call. `is_first`: it is the connection's first line.
    std::string_view of(const Connection& c, bool is_first);

private:
    struct Entry {
        std::uint64_t id = 0;
        std::uint64_t ends = 0; ///< the whole hash of its 4-tuple
        std::array<char, community_id_size> text{};
    };
    void note_forgotten();

    std::vector<Entry> entries_ = std::vector<Entry>(1024); // a power of two
    std::size_t forgotten_ = 0; ///< that had to be made again, since it grew
};

/// What the lines of one connection share, as JSON. The next one is at the same place as a rule, so
/// it is made once in a life, not once in a line.
class SharedText {
public:
    /// Valid until the next call. Of a line at `ts_ns`.
    std::string_view of(const Connection& c, std::uint64_t ts_ns);

private:
    struct Entry {
        std::uint64_t id = 0;
        Tuple tuple;
        Role role = Role::unknown;
        std::uint8_t family = 0xff;
        std::size_t size = 0;
        std::array<char, 312> text{};
    };

    std::vector<Entry> entries_ = std::vector<Entry>(1024);
    CommunityIds ids_;
};

} // namespace tcpsaga
