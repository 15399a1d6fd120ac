// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
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

    [[nodiscard]] bool is_v4() const;
    auto operator<=>(const Address&) const = default;
};

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
    std::size_t operator()(const Tuple& t) const noexcept;
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

} // namespace tcpsaga
