// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * Messages on disk, first in, first out, while the engine is away. A folder of segments, each a
 * file in the format of recordings (docs/recording.md) whose blocks hold one message each: what a
 * crash leaves is checked, and whole blocks are sent by whoever opens the folder next.
 */
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "message.h"
#include "tcpsaga/result.h"

namespace tcpsaga {
struct BlockHead;
}

namespace tcpsaga::fleet {

class Spool {
public:
    struct Item {
        Message message;
        std::uint64_t segment = 0; ///< for settle()
    };

    /// Makes the folder (0700) if it is not there; what an earlier run left in it comes first. An
    /// Error: it cannot be written, or another tcpsaga uses it.
    static Result<std::unique_ptr<Spool>> open(const std::string& folder, std::uint64_t most_bytes,
                                               const std::string& host);
    ~Spool();
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;

    /// False: it holds as much as it may, or the disk takes no more (failure()).
    bool append(const Message& m);
    /// Before everything that it holds, whatever the bound: for what was read and not settled.
    bool put_back(const std::vector<Message>& messages);
    /// The next message that was not read yet; nullopt: there is none.
    std::optional<Item> next();
    /// What was read is wanted no more. A segment goes away with its last message.
    void settle(std::uint64_t segment);

    [[nodiscard]] std::uint64_t waiting() const { return waiting_; } ///< messages not read yet
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }     ///< on disk
    /// Why the last append() or next() failed; "" = it did not. Cleared by the call.
    std::string take_failure();

private:
    struct Segment {
        std::uint64_t number = 0;
        std::uint64_t size = 0;              ///< bytes
        std::uint64_t held = 0;              ///< messages that are whole
        std::uint64_t read = 0, settled = 0; ///< of these
        std::uint64_t at = 0;                ///< where the next one to be read begins
    };
    struct Codec;

    Spool(std::string folder, int fd, std::uint64_t most, std::string host);
    [[nodiscard]] std::string path_of(std::uint64_t number) const;
    Status find_segments();
    bool take_over(std::uint64_t number);
    std::optional<Segment> create(std::uint64_t number);
    bool write(Segment& s, const Message& m);
    bool write(Segment& s, const void* bytes, std::size_t size);
    bool read_from(const Segment& s);
    bool read_block(Segment& s, BlockHead& head, bool& whole);
    std::optional<Message> next_of(Segment& s);
    void fail(const std::string& operation, int err);
    void close_files();
    void drop_done();

    std::string folder_;
    int lock_;
    std::uint64_t most_;
    std::string host_;
    std::unique_ptr<Codec> codec_;
    std::deque<Segment> segments_; ///< the oldest first
    std::uint64_t next_number_;
    std::uint64_t waiting_ = 0, bytes_ = 0;
    int write_fd_ = -1; ///< of the last segment; -1: the next message begins another
    int read_fd_ = -1;  ///< of the segment `read_number_`
    std::uint64_t read_number_ = 0;
    std::string failure_;
};

} // namespace tcpsaga::fleet
