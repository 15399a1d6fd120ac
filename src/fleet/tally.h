// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "message.h"

namespace tcpsaga::fleet {

/// How a message came to a reader.
struct Coming {
    std::uint64_t tenure = 0; ///< another one: its partition has been another reader's meanwhile
    bool again = false;       ///< it was sent to this reader or another one before
};

/// Which messages have come, so that one that comes again, for whatever reason and however late, is
/// told from a new one, and one that is missing is seen.
class Tally {
public:
    /// False: it has come before.
    bool is_new(const MessageId& id, Coming how = {});
    [[nodiscard]] std::uint64_t messages() const { return messages_; } ///< that were new
    [[nodiscard]] std::uint64_t again() const { return again_; }       ///< that were not
    /// Between the first and the last of each run and lane in a tenure: what was another reader's
    /// is not missing, nor is what it had before it went.
    [[nodiscard]] std::uint64_t missing() const;
    /// The same of each host of which some are missing.
    [[nodiscard]] std::map<std::string, std::uint64_t> missing_by_host() const;

private:
    using Ranges = std::map<std::uint64_t, std::uint64_t>; ///< first to last, apart from each other
    struct Lane {
        Ranges seen;
        std::uint64_t tenure = 0;
        std::optional<std::uint64_t> from; ///< the first of the tenure that nobody else was sent
        std::uint64_t missed = 0;          ///< in earlier tenures

        [[nodiscard]] std::uint64_t missing() const;
    };
    std::map<std::string, Lane> lanes_; ///< by run and lane
    std::uint64_t messages_ = 0, again_ = 0;
};

} // namespace tcpsaga::fleet
