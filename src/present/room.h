// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "tcpsaga/address.h"

namespace tcpsaga {

inline void append(fmt::memory_buffer& to, std::string_view text)
{
    to.append(text.data(), text.data() + text.size());
}

/// Room for `most` bytes at the end of a buffer, filled without a check per piece. Gives back what
/// is left over; until then nothing else may use the buffer.
class Room {
public:
    Room(fmt::memory_buffer& buffer, std::size_t most) : buffer_(buffer)
    {
        const std::size_t start = buffer.size();
        buffer.resize(start + most);
        at_ = buffer.data() + start;
    }
    ~Room() { buffer_.resize(static_cast<std::size_t>(at_ - buffer_.data())); }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    void put(std::string_view text) { at_ = std::copy(text.begin(), text.end(), at_); }
    void put(char c) { *at_++ = c; }
    void number(std::uint64_t value) { at_ = std::to_chars(at_, at_ + 20, value).ptr; }
    void address(const Address& a) { at_ = write_address(at_, a); }
    /// Exactly `width` digits, with leading zeros.
    void digits(std::uint64_t value, int width)
    {
        for (int i = width - 1; i >= 0; i--, value /= 10)
            at_[i] = static_cast<char>('0' + value % 10);
        at_ += width;
    }

    /// What `write` writes, with spaces up to `width` behind it.
    template <class Write>
    void left(std::ptrdiff_t width, const Write& write)
    {
        const char* start = at_;
        write();
        while (at_ - start < width)
            *at_++ = ' ';
    }
    /// The same with the spaces before it.
    template <class Write>
    void right(std::ptrdiff_t width, const Write& write)
    {
        char* start = at_;
        write();
        const std::ptrdiff_t size = at_ - start;
        if (size >= width)
            return;
        std::memmove(start + width - size, start, static_cast<std::size_t>(size));
        std::memset(start, ' ', static_cast<std::size_t>(width - size));
        at_ = start + width;
    }

private:
    fmt::memory_buffer& buffer_;
    char* at_;
};

/// See append_rfc3339().
void put_rfc3339(Room& room, std::int64_t utc_ns);

} // namespace tcpsaga
