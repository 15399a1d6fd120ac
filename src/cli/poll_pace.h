// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tcpsaga/listener_poll.h"

namespace tcpsaga {

/// How often to look at the listeners' queues: five times a second while connections come and go, a
/// queue holds some or a listener drops some; else once, for a look costs about 0.1 ms.
class PollPace {
public:
    explicit PollPace(std::uint64_t now_ns) : looked_ns_(now_ns) {}

    /// `last_record_ns`: when the kernel last told of anything.
    [[nodiscard]] bool is_due(std::uint64_t now_ns, std::uint64_t last_record_ns) const
    {
        const bool busy = moving_ || now_ns - last_record_ns < quiet_ns;
        return now_ns - looked_ns_ >= (busy ? busy_ns : quiet_ns);
    }

    /// What was found. Returns how long it was not looked, in milliseconds.
    std::uint64_t looked(const std::vector<PolledListener>& found, std::uint64_t now_ns)
    {
        std::uint64_t drops = 0;
        for (const PolledListener& l : found)
            drops += l.drops;
        const bool waiting =
            std::ranges::any_of(found, [](const PolledListener& l) { return l.acceptq > 0; });
        moving_ = waiting || drops != drops_;
        drops_ = drops;
        const std::uint64_t waited_ns = now_ns - looked_ns_;
        looked_ns_ = now_ns;
        return waited_ns / 1'000'000;
    }

    /// Whether something was found to change, or wait, at the last look.
    [[nodiscard]] bool moving() const { return moving_; }

private:
    static constexpr std::uint64_t busy_ns = 200'000'000;
    static constexpr std::uint64_t quiet_ns = 1'000'000'000;

    std::uint64_t looked_ns_;
    std::uint64_t drops_ = 0; ///< of all listeners, at the last look
    bool moving_ = true;
};

} // namespace tcpsaga
