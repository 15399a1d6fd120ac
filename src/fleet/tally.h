// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "message.h"

namespace tcpsaga::fleet {

/// Which messages have come, so that one that comes again, for whatever reason and however late, is
/// told from a new one, and one that is missing is seen.
class Tally {
public:
    /// False: it has come before.
    bool is_new(const MessageId& id);
    [[nodiscard]] std::uint64_t messages() const { return messages_; } ///< that were new
    [[nodiscard]] std::uint64_t again() const { return again_; }       ///< that were not
    /// Between the first and the last of each run and lane.
    [[nodiscard]] std::uint64_t missing() const;
    /// The same of each host of which some are missing.
    [[nodiscard]] std::map<std::string, std::uint64_t> missing_by_host() const;

private:
    using Ranges = std::map<std::uint64_t, std::uint64_t>; ///< first to last, apart from each other
    std::map<std::string, Ranges> seen_;                   ///< by run and lane
    std::uint64_t messages_ = 0, again_ = 0;
};

} // namespace tcpsaga::fleet
