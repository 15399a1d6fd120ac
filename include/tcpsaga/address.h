// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "tcpsaga/result.h"

namespace tcpsaga {

/// An IP address: 16 bytes in network order, IPv4 as v4-mapped.
struct Address {
    std::array<std::uint8_t, 16> bytes{};

    /// As two words, for who wants to be quick; their bytes are in network order.
    [[nodiscard]] std::array<std::uint64_t, 2> words() const
    {
        return std::bit_cast<std::array<std::uint64_t, 2>>(bytes);
    }
    [[nodiscard]] bool is_v4() const
    {
        constexpr std::uint64_t mapped = 0xffff0000; // the first four bytes of the second half
        return words()[0] == 0 && (words()[1] & 0xffffffff) == mapped;
    }
    bool operator==(const Address& other) const { return words() == other.words(); }
    auto operator<=>(const Address&) const = default;
};
static_assert(std::endian::native == std::endian::little);

struct Endpoint {
    Address addr;
    std::uint16_t port = 0; ///< host order; 0 = none yet
    auto operator<=>(const Endpoint&) const = default;
};

/// Where a socket is: unique among the live sockets of the host.
struct Tuple {
    Endpoint local;
    Endpoint remote;
    std::uint32_t netns = 0; ///< inode number
    bool operator==(const Tuple&) const = default;
};

struct TupleHash {
    std::size_t operator()(const Tuple& t) const noexcept
    {
        return ends(t) + std::uint64_t{t.netns} * 0xff51afd7ed558ccd;
    }
    /// Of the ends alone, whatever the namespace.
    static std::uint64_t ends(const Tuple& t) noexcept
    {
        return end(t.local) + std::rotl(end(t.remote), 23);
    }

private:
    /// The bytes that differ most come first: a multiplication carries bits upwards only.
    static std::uint64_t end(const Endpoint& e) noexcept
    {
        const auto [high, low] = e.addr.words();
        std::uint64_t h = __builtin_bswap64(high) * 0x9e3779b97f4a7c15 +
                          __builtin_bswap64(low) * 0xc2b2ae3d27d4eb4f +
                          e.port * 0x165667b19e3779f9ULL;
        h ^= h >> 32;
        return h * 0xd6e8feb86659fd93;
    }
};

/// An address block. IPv4 blocks are held v4-mapped, so they match v4-mapped peers too.
struct Cidr {
    Address addr; ///< masked
    Address mask;

    bool operator==(const Cidr&) const = default;
    [[nodiscard]] bool contains(const Address& a) const;
    [[nodiscard]] bool is_v4() const { return addr.is_v4() && mask.bytes[11] == 0xff; }
};

/// "10.0.0.0/8", "::1", "fe80::/10"; a bare address is a host.
Result<Cidr> parse_cidr(std::string_view text);

/// Writes the numeric form (RFC 5952; dotted quad for v4-mapped) and returns its end.
/// `to` must have room for 46 bytes (INET6_ADDRSTRLEN).
char* write_address(char* to, const Address& a);
std::string to_string(const Address& a);

/// 127.0.0.0/8 or ::1: never leaves its network namespace.
bool is_loopback(const Address& a);

} // namespace tcpsaga
