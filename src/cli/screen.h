// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "tcpsaga/result.h"
#include "tcpsaga/top.h"

namespace tcpsaga {

/// The terminal, by ncurses, and its keys. A thread of its own paints and waits for keys: a
/// terminal that is slow or stopped (Ctrl-S) holds up nobody else. From start to stop() nothing
/// else may write to the terminal. One at a time.
class Screen {
public:
    /// Whether standard input and output are a terminal that can be painted on.
    static Status possible();

    explicit Screen(TopView view);
    /// stop()
    ~Screen();
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    /// Shows this from now on. Does not wait for the terminal.
    void show(std::shared_ptr<const TopData> data);
    /// Gives the terminal back as it was.
    void stop();

    /// The person wants to leave, or the terminal is gone.
    [[nodiscard]] bool quit();
    [[nodiscard]] std::optional<TopListenerKey> opened();
    /// True once after the person wanted counts to begin anew.
    bool take_zero();

private:
    void paint_until_stopped();
    void read_keys();
    static void suspend();
    void wake() const;

    TopView view_; ///< under mutex_
    std::mutex mutex_;
    std::condition_variable done_changed_;
    std::shared_ptr<const TopData> latest_;
    bool stop_ = false;
    bool gone_ = false; ///< the terminal was closed
    bool done_ = false; ///< the terminal is as it was
    bool ascii_;
    int wake_fd_;
    int resize_fd_;
    std::thread painter_;
};

} // namespace tcpsaga
