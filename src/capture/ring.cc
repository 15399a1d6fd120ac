// SPDX-License-Identifier: BSD-2-Clause
#include "ring.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tcpsaga {
namespace {

// include/uapi/linux/bpf.h
constexpr std::uint32_t busy_bit = 1U << 31U;
constexpr std::uint32_t discarded_bit = 1U << 30U;
constexpr std::uint64_t head_size = 8;

std::uint64_t on_the_ring(std::uint32_t length)
{
    return (head_size + length + 7) / 8 * 8;
}

/// The first eight bytes of a record; they are aligned to eight, so in one piece.
std::uint64_t time_at(const RingMemory& memory, std::uint64_t record)
{
    std::uint64_t ts_ns = 0;
    std::memcpy(&ts_ns, memory.data + ((record + head_size) & (memory.size - 1)), sizeof(ts_ns));
    return ts_ns;
}

std::uint32_t load(const std::byte* word)
{
    return __atomic_load_n(static_cast<const std::uint32_t*>(static_cast<const void*>(word)),
                           __ATOMIC_ACQUIRE);
}

/// The first word of a record's head. What is being written is ready in a microsecond, unless its
/// processor does something else meanwhile: that is not waited for.
std::uint32_t word_of(const std::byte* head)
{
    std::uint32_t seen = load(head);
    for (int i = 0; (seen & busy_bit) != 0 && i < 1000; i++)
        seen = load(head);
    return seen;
}

} // namespace

void RingReader::add(const RingMemory& memory)
{
    Ring r{memory};
    r.at = r.end = r.published = *memory.consumed;
    rings_.push_back(r);
}

/// Of the record behind the one at r.at. What interrupts a program between taking its place and
/// looking at the clock has the next place and an earlier time, and is done before that program is.
std::uint64_t RingReader::time_behind(const Ring& r)
{
    const std::uint64_t at = r.at + on_the_ring(r.length);
    if (at >= __atomic_load_n(r.memory.produced, __ATOMIC_ACQUIRE))
        return never;
    const std::uint32_t word = load(r.memory.data + (at & (r.memory.size - 1)));
    return (word & (busy_bit | discarded_bit)) != 0 ? never : time_at(r.memory, at);
}

/// Finds the record at r.at, if there is one.
void RingReader::look(Ring& r)
{
    r.next_ns = never;
    while (r.at < r.end) {
        const std::uint32_t word = word_of(r.memory.data + (r.at & (r.memory.size - 1)));
        r.busy = (word & busy_bit) != 0;
        if (r.busy)
            return;
        r.length = word & ~discarded_bit;
        if ((word & discarded_bit) == 0) {
            r.next_ns = std::min(time_at(r.memory, r.at), time_behind(r));
            return;
        }
        r.at += on_the_ring(r.length);
    }
}

void RingReader::look_ahead(Ring& r, const OnSoon& on_soon)
{
    constexpr std::uint32_t far = 8;
    if (!on_soon)
        return;
    if (r.ahead < r.at) {
        r.ahead = r.at;
        r.told_ahead = 0;
    }
    while (r.told_ahead < far && r.ahead < r.end) {
        const std::size_t from = r.ahead & (r.memory.size - 1);
        const std::uint32_t word = load(r.memory.data + from);
        if ((word & busy_bit) != 0)
            return;
        const std::uint32_t length = word & ~discarded_bit;
        const bool in_one_piece = from + head_size + length <= r.memory.size;
        if ((word & discarded_bit) == 0 && in_one_piece)
            on_soon({r.memory.data + from + head_size, length});
        r.ahead += on_the_ring(length);
        r.told_ahead += (word & discarded_bit) == 0 ? 1 : 0;
    }
}

/// Makes room for the kernel. Not for each record: the line that this writes is read at every
/// reserve.
void RingReader::publish(Ring& r)
{
    if (r.published == r.at)
        return;
    __atomic_store_n(r.memory.consumed, r.at, __ATOMIC_RELEASE);
    r.published = r.at;
}

std::span<const std::byte> RingReader::record_of(const Ring& r)
{
    const std::size_t from = (r.at + head_size) & (r.memory.size - 1);
    const std::size_t there = r.memory.size - from;
    if (r.length <= there)
        return {r.memory.data + from, r.length};
    const std::size_t length = std::min<std::size_t>(r.length, joined_.size());
    std::memcpy(joined_.data(), r.memory.data + from, std::min(there, length));
    if (length > there)
        std::memcpy(joined_.data() + there, r.memory.data, length - there);
    return {joined_.data(), length};
}

void RingReader::read(std::uint64_t now_ns, const OnRecord& on_record, const OnSoon& on_soon)
{
    std::uint64_t until = now_ns;
    for (Ring& r : rings_) {
        r.end = __atomic_load_n(r.memory.produced, __ATOMIC_ACQUIRE);
        r.busy = false;
        most_filled_ = std::max<std::size_t>(most_filled_, r.end - r.at);
        look(r);
        look_ahead(r, on_soon);
        if (r.busy)
            until = std::min(until, r.last_ns);
    }
    bool go_on = !rings_.empty();
    while (go_on) {
        Ring& r = *std::ranges::min_element(rings_, {}, &Ring::next_ns);
        if (r.next_ns > until || r.next_ns == never)
            break;
        go_on = on_record(record_of(r));
        r.last_ns = r.next_ns;
        r.at += on_the_ring(r.length);
        r.told_ahead -= std::min(r.told_ahead, 1U);
        look_ahead(r, on_soon);
        if (r.at - r.published >= r.memory.size / 8)
            publish(r);
        look(r);
        // The time of what is being written is not known, only that it follows this.
        if (r.busy)
            until = std::min(until, r.last_ns);
    }
    for (Ring& r : rings_)
        publish(r);
}

std::size_t RingReader::take_most_filled()
{
    return std::exchange(most_filled_, 0);
}

} // namespace tcpsaga
