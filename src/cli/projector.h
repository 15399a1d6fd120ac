// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* Several recordings, played in the order of their clocks. */
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "progress.h"
#include "tcpsaga/output.h"
#include "tcpsaga/recording.h"

namespace tcpsaga {

struct Recording {
    std::string path;
    std::unique_ptr<RecordingReader> reader;
};
/// Those that can be opened; an error is said.
std::vector<Recording> open_all(const std::vector<std::string>& paths);

/// How much of the files is read, now and then.
class Meter {
public:
    explicit Meter(bool quiet) : progress_(quiet) {}
    /// Once an input. `what` is what is done with them, "" or with a space behind it.
    template <class Reels>
    void turn(const Reels& reels, std::string_view what)
    {
        constexpr unsigned inputs = 1 << 16;
        if (++turns_ % inputs != 0 || !progress_.on())
            return;
        std::uint64_t read = 0;
        std::uint64_t all = 0;
        for (const auto& reel : reels) {
            read += reel->reader().position();
            all += reel->reader().size();
        }
        progress_.show(fmt::format("{}{} of {} MB", what, read >> 20U, all >> 20U));
    }
    void clear() { progress_.clear(); }

private:
    Progress progress_;
    unsigned turns_ = 0;
};

/// All of them, whichever is the earliest next. A reel has advance() to its next input, wall(), its
/// UTC nanoseconds, play(), done() and reader().
template <class Reel>
void play(const std::vector<std::unique_ptr<Reel>>& reels, const Output& out, Meter& meter,
          std::string_view what = "")
{
    constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
    std::vector<Reel*> left;
    for (const auto& reel : reels)
        if (reel->advance())
            left.push_back(reel.get());
    while (!left.empty() && out.health() == Output::Health::good) {
        const auto first = std::ranges::min_element(left, {}, &Reel::wall);
        Reel& reel = **first;
        std::int64_t until = never;
        for (const Reel* other : left)
            if (other != &reel)
                until = std::min(until, other->wall());
        bool more = true;
        while (more && reel.wall() <= until && out.health() == Output::Health::good) {
            reel.play();
            meter.turn(reels, what);
            more = !reel.done() && reel.advance();
        }
        if (!more)
            left.erase(first);
    }
}

} // namespace tcpsaga
