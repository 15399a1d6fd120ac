// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <fmt/core.h>
#include <unistd.h>

#include <string_view>
#include <utility>

namespace tcpsaga {

/// A line that says how far long work is, where standard error is a terminal.
class Progress {
public:
    /// `quiet`: never.
    explicit Progress(bool quiet = false) : on_(!quiet && isatty(STDERR_FILENO) != 0) {}

    void show(std::string_view text)
    {
        if (on_)
            fmt::print(stderr, "\r\x1b[Ktcpsaga: {}", text);
        shown_ = on_;
    }
    /// Before anything else goes there.
    void clear()
    {
        if (std::exchange(shown_, false))
            fmt::print(stderr, "\r\x1b[K");
    }
    [[nodiscard]] bool on() const { return on_; }

private:
    bool on_;
    bool shown_ = false;
};

} // namespace tcpsaga
