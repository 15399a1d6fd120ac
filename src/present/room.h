// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "tcpsaga/address.h"

namespace tcpsaga {

inline void append(fmt::memory_buffer& to, std::string_view text)
{
    to.append(text.data(), text.data() + text.size());
}

/// A short name with room behind it: its copy is always as long, and so one move.
class PaddedName {
public:
    static constexpr std::size_t most = 16;

    PaddedName() = default;
    explicit PaddedName(std::string_view name) : size(std::min(name.size(), most))
    {
        std::copy_n(name.begin(), size, text.begin());
    }

    std::array<char, most> text{};
    std::size_t size = 0;
};

// Each writes to `to` and returns where it ended. A pointer in a register costs less than one in an
// object, which any char that is written might be a part of.

inline char* put(char* to, std::string_view text)
{
    return std::copy(text.begin(), text.end(), to);
}
/// A literal: its size is known to the compiler.
template <std::size_t N>
char* put(char* to, const char (&text)[N]) // NOLINT(*-avoid-c-arrays)
{
    std::memcpy(to, text, N - 1);
    return to + N - 1;
}
/// Touches 16 bytes whatever its size.
inline char* put(char* to, const PaddedName& name)
{
    std::memcpy(to, name.text.data(), PaddedName::most);
    return to + name.size;
}

/// "00" to "99".
inline constexpr std::array<char, 200> digit_pairs = [] {
    std::array<char, 200> all{};
    for (std::size_t i = 0; i < 100; i++) {
        all[2 * i] = static_cast<char>('0' + i / 10);
        all[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return all;
}();
/// 0, 10, 100…
inline constexpr std::array<std::uint64_t, 20> powers_of_ten = [] {
    std::array<std::uint64_t, 20> all{};
    std::uint64_t power = 1;
    for (std::size_t i = 1; i < all.size(); i++)
        all[i] = power *= 10;
    return all;
}();

/// Exactly `width` digits, with leading zeros.
template <class Unsigned>
char* put_digits(char* to, Unsigned value, int width)
{
    int i = width;
    for (; i >= 2; value /= 100) {
        i -= 2;
        std::memcpy(to + i, digit_pairs.data() + 2 * (value % 100), 2);
    }
    if (i == 1)
        *to = static_cast<char>('0' + value % 10);
    return to + width;
}
inline char* put_number(char* to, std::uint64_t value)
{
    // 1233 / 4096 is a little more than log10(2).
    const int about = static_cast<int>(std::bit_width(value | 1)) * 1233 >> 12;
    const int width =
        about + (value >= powers_of_ten[static_cast<std::size_t>(about)] ? 1 : 0); // NOLINT
    if (value <= UINT32_MAX)
        return put_digits(to, static_cast<std::uint32_t>(value), width);
    return put_digits(to, value, width);
}
/// See append_rfc3339(); 30 bytes.
char* put_rfc3339(char* to, std::int64_t utc_ns);

/// Room for `most` bytes at the end of a buffer, filled without a check per piece. Gives back what
/// is left over; until then nothing else may use the buffer. A padded name may touch 16 bytes
/// behind its end.
class Room {
public:
    Room(fmt::memory_buffer& buffer, std::size_t most) : buffer_(&buffer)
    {
        const std::size_t start = buffer.size();
        buffer.resize(start + most);
        at_ = buffer.data() + start;
    }
    /// Room that is somebody else's.
    explicit Room(char* at) : at_(at) {}
    ~Room()
    {
        if (buffer_ != nullptr)
            buffer_->resize(static_cast<std::size_t>(at_ - buffer_->data()));
    }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    /// Where it goes on, for who writes for himself, and then says how far.
    [[nodiscard]] char* at() const { return at_; }
    void go_to(char* at) { at_ = at; }
    void put(std::string_view text) { at_ = tcpsaga::put(at_, text); }
    template <std::size_t N>
    void put(const char (&text)[N]) // NOLINT(*-avoid-c-arrays)
    {
        at_ = tcpsaga::put(at_, text);
    }
    void put(char c) { *at_++ = c; }
    void number(std::uint64_t value) { at_ = put_number(at_, value); }
    void address(const Address& a) { at_ = write_address(at_, a); }
    /// Exactly `width` digits, with leading zeros.
    void digits(std::uint64_t value, int width) { at_ = put_digits(at_, value, width); }

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
    fmt::memory_buffer* buffer_ = nullptr;
    char* at_;
};

} // namespace tcpsaga
