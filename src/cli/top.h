// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <optional>

#include "options.h"
#include "screen.h"
#include "tcpsaga/input.h"
#include "tcpsaga/output.h"
#include "tcpsaga/top.h"

namespace tcpsaga {

/// Events in, pictures out: on the terminal, or with --once one of them as text.
class Top : public Sink {
public:
    /// `out` outlives it.
    Top(const Options& o, const Origin& from, Output& out);

    /// A summary that is not the last one ends an interval.
    void on_event(const Event& e) override;

    /// Takes the terminal, unless --once is asked for.
    void enter();
    /// Gives it back. Without effect where it has not been taken.
    void leave() { screen_.reset(); }
    [[nodiscard]] bool over();

    enum class Wants { nothing, look, summary };
    /// What it would like to be told, at `ts_ns`: all connections, or these and then a summary.
    Wants wants(std::uint64_t ts_ns);
    /// Each connection; told of all, it wants end_look() or a summary.
    void see(const Connection& c) { model_.see(c); }
    void end_look();

private:
    void print();

    Output& out_;
    bool once_;
    double interval_s_;
    TopView::Title title_;
    TopModel model_;
    std::unique_ptr<Screen> screen_;
    std::optional<TopListenerKey> looked_into_;
    std::uint64_t shown_ns_ = 0; ///< 0: nothing yet
    bool printed_ = false;
};

/// 0 where `top` can run as it is asked to; else the exit code, after one line.
int refuse_top(const Options& o);

} // namespace tcpsaga
