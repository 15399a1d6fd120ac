// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tcpsaga/result.h"

namespace tcpsaga {

/// Lines on their way to a descriptor. Gathers them; writes when much has gathered or when
/// told to. After an error nothing more is written and `lines_lost` counts.
class Output {
public:
    enum class Health { good, closed, failed }; ///< closed: the reader went away

    /// Standard output; not closed at the end.
    Output();
    /// Creates `path` with mode 0600, or appends to it.
    static Result<std::unique_ptr<Output>> open(const std::string& path);
    ~Output();
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    /// Append the bytes of one line, newline included, then call line_done().
    fmt::memory_buffer& buffer() { return buffer_; }
    void line_done();
    void flush();
    /// Opens the same path again, for a log that was moved away. Keeps the old file on error.
    Status reopen();
    /// Asks, without writing, whether a reader is still there.
    void check_reader();

    [[nodiscard]] std::uint64_t lines() const { return lines_; } ///< all line_done() so far
    [[nodiscard]] Health health() const { return health_; }
    [[nodiscard]] Error error() const { return {"cannot write to", name(), err_, remedy()}; }
    [[nodiscard]] std::uint64_t lines_lost() const { return lines_lost_; }
    [[nodiscard]] bool is_terminal() const;

private:
    [[nodiscard]] std::string name() const { return path_.empty() ? "standard output" : path_; }
    [[nodiscard]] std::string remedy() const;

    int fd_ = 1;       // standard output
    std::string path_; // "" = standard output
    fmt::memory_buffer buffer_;
    Health health_ = Health::good;
    int err_ = 0;
    std::uint64_t lines_ = 0;
    std::uint64_t lines_waiting_ = 0;
    std::uint64_t lines_lost_ = 0;
};

} // namespace tcpsaga
