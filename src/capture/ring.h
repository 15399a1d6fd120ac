// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace tcpsaga {

/// Where the reader's end of one BPF ring buffer lies in memory (kernel/bpf/ringbuf.c,
/// Documentation/bpf/ringbuf.rst). A record is a head of two 32-bit words, of which the first is
/// its length and two flags, and its bytes, rounded up to 8; it may go on at the beginning of
/// `data`.
struct RingMemory {
    std::uint64_t* consumed; ///< bytes that the reader is done with, since the start; ours to write
    const std::uint64_t* produced; ///< bytes that are reserved, since the start
    const std::byte* data;
    std::size_t size; ///< of `data`; a power of two
};

/// Reads several rings, of which each has its records in the order in which programs took places
/// for them, as one in that order.
class RingReader {
public:
    /// One record, struct ts_head first, until the call returns. False: no more for now.
    using OnRecord = std::function<bool(std::span<const std::byte>)>;

    using OnSoon = std::function<void(std::span<const std::byte>)>;

    void add(const RingMemory& memory);
    /// Passes on what was there at `now_ns` (CLOCK_MONOTONIC, read before the call). A record that
    /// is later waits for the next call, since another ring may get one from before it; and so do
    /// those behind a record that is being written.
    /// on_soon gets most records some eight records before.
    void read(std::uint64_t now_ns, const OnRecord& on_record, const OnSoon& on_soon = {});
    /// The most bytes that a ring held when read() came to it, since the last call.
    std::size_t take_most_filled();

private:
    struct Ring {
        RingMemory memory{};
        std::uint64_t at = 0; ///< of the next record
        std::uint64_t end = 0;
        std::uint64_t published = 0;   ///< what the kernel knows of `at`
        std::uint64_t last_ns = 0;     ///< time of the last record
        std::uint64_t next_ns = never; ///< when the place `at` was taken; `never` without a record
        std::uint32_t length = 0;      ///< its length
        bool busy = false;             ///< it is being written
        std::uint64_t ahead = 0;       ///< what on_soon will be told of next
        std::uint32_t told_ahead = 0;  ///< records from `at` to there
    };
    static constexpr std::uint64_t never = UINT64_MAX;

    static std::uint64_t time_behind(const Ring& r);
    static void look(Ring& r);
    static void look_ahead(Ring& r, const OnSoon& on_soon);
    static void publish(Ring& r);
    std::span<const std::byte> record_of(const Ring& r);

    std::vector<Ring> rings_;
    std::size_t most_filled_ = 0;
    alignas(8) std::array<std::byte, 512> joined_{}; ///< a record in two pieces
};

} // namespace tcpsaga
