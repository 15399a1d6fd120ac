// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "tcpsaga/event.h"

namespace tcpsaga {

/// A finished connection.
struct Life {
    std::uint64_t ts_ns = 0; ///< CLOCK_MONOTONIC, of its end
    std::uint64_t conn = 0;
    Tuple tuple;
    Role role = Role::unknown;
    ClosedBy closed_by = ClosedBy::unknown;
    bool seen_start = false;
    Process process;
    event::Close close{}; ///< `why` is below
    std::string why;
};

/// The connections to look at: a fixed number of those that waited longest for accept(), had the
/// slowest handshakes, the most retransmits, and lasted longest of each end that is not plain FIN.
class Worst {
public:
    static constexpr std::size_t most_each = 100; ///< by a number
    static constexpr std::size_t most_ends = 25;  ///< by a way to end

    Worst();
    void add(const Event& e, const event::Close& close);
    /// Each once, the longest wait first.
    [[nodiscard]] std::vector<Life> all() const;

private:
    /// A heap whose front is the first to go.
    struct Top {
        std::size_t most = 0;
        std::vector<std::pair<std::uint64_t, Life>> heap{};
    };
    static void offer(Top& top, std::uint64_t rank, const Event& e, const event::Close& close);

    Top waits_{most_each}, handshakes_{most_each}, retransmits_{most_each};
    std::array<Top, event::Summary::ends> ends_;
};

} // namespace tcpsaga
