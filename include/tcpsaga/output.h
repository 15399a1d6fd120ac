// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tcpsaga/result.h"

namespace tcpsaga {

class Remote;

/// Takes finished lines elsewhere than to a descriptor. But for drain() no call waits for anybody.
class Carrier {
public:
    Carrier() = default;
    virtual ~Carrier() = default;
    Carrier(const Carrier&) = delete;
    Carrier& operator=(const Carrier&) = delete;

    /// Once the privileges are given up: it may start threads.
    virtual void start() = 0;
    /// A line, newline included. False: it is lost.
    virtual bool take(std::string_view line) = 0;
    /// What the host is and how it is set, as JSON; the last one stands.
    virtual void about_host(std::string json) = 0;
    /// What was taken may go by and by.
    virtual void flush() = 0;
    /// The last call but for news and counts: waits, within reason, for all of it to arrive.
    virtual void drain() = 0;
    [[nodiscard]] virtual std::uint64_t lines_lost() const = 0; ///< of those that were taken
    virtual std::string take_news() = 0;                        ///< as Output's
};

/// Lines on their way to a descriptor. Gathers them; writes when much has gathered or when
/// told to. After an error of a file nothing more is written and `lines_lost` counts. A socket
/// whose other end went is connected again, and begins with the line that was cut.
class Output {
public:
    enum class Health { good, closed, failed }; ///< closed: the reader went away
    static constexpr std::size_t most_waiting = std::size_t{8} << 20;

    /// Standard output; not closed at the end.
    Output();
    /// "unix:PATH" and "tcp:HOST:PORT" connect to a stream socket; else creates the file with
    /// mode 0600, or appends to it. A FIFO must have its reader.
    static Result<std::unique_ptr<Output>> open(const std::string& where);
    /// Lines go to a carrier; `where` is its name.
    Output(std::unique_ptr<Carrier> carrier, std::string where);
    /// An Error where `where` is no path and no socket either.
    static Status check(const std::string& where);
    ~Output();
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    /// From now on no call waits for a reader of a pipe or socket (drain() does): up to `most`
    /// bytes wait for it, further lines are dropped and counted.
    void never_wait(std::size_t most = most_waiting);

    /// Append the bytes of one line, newline included, then call line_done().
    fmt::memory_buffer& buffer() { return buffer_; }
    void line_done()
    {
        lines_++;
        if (waiting() > most_)
            return drop_line();
        line_start_ = buffer_.size();
        if (waiting() >= flush_at_)
            flush();
    }
    void flush();
    /// Something waits, and may be written as soon as the reader takes some.
    [[nodiscard]] bool is_behind() const { return !waits_ && fd_ >= 0 && waiting() > 0; }
    /// While it is: writes as the reader takes it, until `fd` is readable, a signal comes or the
    /// time is over.
    void catch_up(int fd, std::chrono::milliseconds most);
    /// The last flush: waits as long for the reader. What is left then is lost.
    void drain(std::chrono::milliseconds most);
    /// Opens the same path again, for a log that was moved away. Keeps the old file on error.
    Status reopen();
    /// Asks, without writing, whether a reader is still there.
    void check_reader();

    [[nodiscard]] std::uint64_t lines() const { return lines_; } ///< all line_done() so far
    [[nodiscard]] Health health() const { return health_; }
    [[nodiscard]] Error error() const { return {"cannot write to", name(), err_, remedy()}; }
    [[nodiscard]] std::uint64_t lines_lost() const
    {
        return lines_lost_ + (carrier_ ? carrier_->lines_lost() : 0);
    }
    [[nodiscard]] Carrier* carrier() const { return carrier_.get(); } ///< null: to a descriptor
    /// What waits is less than half of what may.
    [[nodiscard]] bool has_room() const { return waiting() < most_ / 2; }
    /// What became of the other end since the last call, for a person; "" = nothing.
    std::string take_news();
    [[nodiscard]] bool is_terminal() const;

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] std::string name() const { return path_.empty() ? "standard output" : path_; }
    [[nodiscard]] std::string remedy() const;
    [[nodiscard]] std::size_t waiting() const { return buffer_.size() - sent_; }
    [[nodiscard]] std::size_t line_begin(std::size_t at) const;
    [[nodiscard]] bool connected();
    Status connect_first();
    void disconnect(int err);
    void write_some();
    void carry();
    void on_error(int err);
    void drop_line();
    void give_up_waiting();
    void compact();
    void add_news(std::string text);

    int fd_ = 1;       // standard output; -1: a socket that is not connected
    std::string path_; // as it was named; "" = standard output
    bool owns_fd_ = false;
    bool is_socket_ = false;
    bool waits_ = true;
    std::size_t most_ = SIZE_MAX;

    fmt::memory_buffer buffer_;
    std::size_t sent_ = 0;       // of the buffer
    std::size_t line_start_ = 0; // in the buffer, of the line that is being made
    std::size_t flush_at_;       // so much waiting

    std::unique_ptr<Carrier> carrier_;
    std::unique_ptr<Remote> remote_;
    int connecting_ = -1;
    Clock::time_point next_try_;

    Health health_ = Health::good;
    int err_ = 0;
    std::uint64_t lines_ = 0;
    std::uint64_t lines_lost_ = 0;
    std::uint64_t lines_lost_told_ = 0; // in the news
    bool dropping_ = false;
    std::string news_;
};

} // namespace tcpsaga
