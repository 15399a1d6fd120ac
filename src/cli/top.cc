// SPDX-License-Identifier: BSD-2-Clause
#include "top.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "say.h"

namespace tcpsaga {
namespace {

/// COLUMNS or LINES; else the terminal's; else what every terminal has.
int size_of(const char* name, unsigned short of_terminal, int otherwise)
{
    constexpr long most = 1000;
    if (const char* text = std::getenv(name); text != nullptr)
        if (const long n = std::strtol(text, nullptr, 10); n > 0 && n <= most)
            return static_cast<int>(n);
    return of_terminal != 0 ? of_terminal : otherwise;
}

} // namespace

Top::Top(const Options& o, const Origin& from, Output& out)
    : out_(out), once_(o.once),
      interval_s_(o.interval_s), title_{from.host, from.title, o.interval_s},
      model_({from.config.accept_seen, from.config.time_wait_exit_seen})
{
    if (once_)
        shown_ns_ = from.started_ns; // the first picture is that of one interval
}

void Top::on_event(const Event& e)
{
    const auto* summary = std::get_if<event::Summary>(&e.what);
    if (summary == nullptr)
        return model_.on_event(e);
    if (summary->final)
        return;
    model_.end_interval(*summary, e.ts_ns);
    if (once_)
        print();
    else if (screen_ != nullptr)
        screen_->show(model_.data());
}

void Top::enter()
{
    if (!once_)
        screen_ = std::make_unique<Screen>(TopView(title_));
}

bool Top::over()
{
    return printed_ || (screen_ != nullptr && screen_->quit());
}

Top::Wants Top::wants(std::uint64_t ts_ns)
{
    if (printed_ || (!once_ && screen_ == nullptr))
        return Wants::nothing;
    bool other = false;
    if (screen_ != nullptr) {
        const auto opened = screen_->opened();
        other = opened != looked_into_;
        looked_into_ = opened;
        model_.open(opened);
        if (screen_->take_zero())
            model_.zero();
    }
    const auto interval = static_cast<std::uint64_t>(interval_s_ * 1e9);
    const bool due = shown_ns_ == 0 || ts_ns - shown_ns_ >= interval;
    // Where nothing happens, only ages change.
    const bool same = shown_ns_ != 0 && !once_ && !looked_into_ && model_.quiet();
    if (due)
        shown_ns_ = ts_ns;
    const Wants wants = due && !same ? Wants::summary : other ? Wants::look : Wants::nothing;
    if (wants != Wants::nothing)
        model_.begin_look(ts_ns);
    return wants;
}

void Top::end_look()
{
    model_.end_look();
    if (screen_ != nullptr)
        screen_->show(model_.data());
}

void Top::print()
{
    winsize terminal{};
    if (isatty(STDOUT_FILENO) != 0)
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &terminal);
    TopView view(title_);
    view.show(model_.data());
    const Grid grid = view.draw(size_of("COLUMNS", terminal.ws_col, 80),
                                size_of("LINES", terminal.ws_row, 24), true, true);
    out_.buffer().append(grid.text());
    out_.line_done();
    out_.flush();
    printed_ = true;
}

int refuse_top(const Options& o)
{
    constexpr int usage_error = 2;
    if (o.once)
        return 0;
    const auto status = Screen::possible();
    if (status)
        return 0;
    say("{}", status.error().message());
    return usage_error;
}

} // namespace tcpsaga
