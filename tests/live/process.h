// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace live {

/// A child process whose output lines are gathered as they come. It is ended, by its own
/// pid, when it goes out of scope.
class Process {
public:
    explicit Process(std::vector<std::string> argv);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void send(int signal) const;
    /// Waits for its end and returns the exit code, 128 + n for signal n.
    int wait();
    /// Waits until it has stopped itself.
    void wait_stopped() const;
    /// SIGINT, then wait().
    int stop();

    /// Waits until a line of standard error or output fulfils this; false after 90 s, or
    /// when the process ended without.
    bool wait_err(const std::function<bool(const std::string&)>& wanted);
    bool wait_out(const std::function<bool(const std::string&)>& wanted);
    [[nodiscard]] std::vector<std::string> out() const;
    [[nodiscard]] std::vector<std::string> err() const;

private:
    struct Stream {
        std::vector<std::string> lines;
        bool ended = false;
        std::thread reader;
    };
    void read(int fd, Stream& stream);
    bool wait_for(Stream& stream, const std::function<bool(const std::string&)>& wanted);

    pid_t pid_ = -1;
    int status_ = -1;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    Stream out_, err_;
};

/// Runs to the end; its output as one text.
struct Ran {
    int exit_code;
    std::string out, err;
};
Ran run(std::vector<std::string> argv);

} // namespace live
