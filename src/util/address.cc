// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace tcpsaga {
namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Error bad_block(std::string_view text, std::string why)
{
    std::string quoted("'");
    quoted.append(text).append("'");
    return {"bad address block", std::move(quoted), 0, std::move(why)};
}

Address mask_of(unsigned bits)
{
    Address mask;
    for (unsigned i = 0; i < bits; i++)
        mask.bytes[i / 8] |= static_cast<std::uint8_t>(0x80U >> (i % 8));
    return mask;
}

char* write_v4(char* to, const std::uint8_t* octets)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *to++ = '.';
        to = std::to_chars(to, to + 3, octets[i]).ptr;
    }
    return to;
}

} // namespace

bool Cidr::contains(const Address& a) const
{
    for (std::size_t i = 0; i < 16; i++)
        if ((a.bytes[i] & mask.bytes[i]) != addr.bytes[i])
            return false;
    return true;
}

Result<Cidr> parse_cidr(std::string_view text)
{
    const auto slash = text.find('/');
    const std::string host(text.substr(0, slash));
    Cidr cidr;
    unsigned width = 128;
    if (inet_pton(AF_INET, host.c_str(), cidr.addr.bytes.data() + 12) == 1) {
        std::ranges::copy(v4_prefix, cidr.addr.bytes.begin());
        width = 32;
    } else if (inet_pton(AF_INET6, host.c_str(), cidr.addr.bytes.data()) != 1) {
        return bad_block(text, "want an IPv4 or IPv6 address, or ADDRESS/BITS");
    }
    unsigned bits = width;
    if (slash != std::string_view::npos) {
        const auto digits = text.substr(slash + 1);
        const auto [end, ec] = std::from_chars(digits.begin(), digits.end(), bits);
        if (ec != std::errc{} || end != digits.end() || bits > width)
            return bad_block(text, "the prefix length must be 0 to " + std::to_string(width));
    }
    cidr.mask = mask_of(bits + 128 - width);
    for (std::size_t i = 0; i < 16; i++)
        cidr.addr.bytes[i] &= cidr.mask.bytes[i];
    return cidr;
}

char* write_address(char* to, const Address& a)
{
    if (a.is_v4())
        return write_v4(to, a.bytes.data() + 12);
    inet_ntop(AF_INET6, a.bytes.data(), to, INET6_ADDRSTRLEN);
    return to + std::strlen(to);
}

std::string to_string(const Address& a)
{
    std::array<char, INET6_ADDRSTRLEN> text{};
    return {text.data(), write_address(text.data(), a)};
}

bool is_loopback(const Address& a)
{
    static const Address v6 = [] {
        Address one;
        one.bytes[15] = 1;
        return one;
    }();
    return a.is_v4() ? a.bytes[12] == 127 : a == v6;
}

} // namespace tcpsaga
