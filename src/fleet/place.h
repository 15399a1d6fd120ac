// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tcpsaga/result.h"

namespace tcpsaga::fleet {

/// Where the events of many hosts meet, as it is written on a command line (docs/fleet.md):
/// nats://HOST[:PORT][,HOST[:PORT]…]/STREAM[?KEY=VALUE[&KEY=VALUE…]]; tls:// is the same by TLS.
struct Place {
    std::vector<std::string> servers; ///< "nats://HOST:PORT" each
    std::string stream;
    std::string name; ///< servers and stream, to be said to a person; no secret in it
    bool tls = false;
    unsigned partitions = 8;                             ///< of the stream
    std::string credentials;                             ///< file of a JWT and its seed; "" = none
    std::string ca, certificate, key;                    ///< PEM files for TLS; "" = none
    std::string spool = "/var/lib/tcpsaga/spool";        ///< folder
    std::uint64_t spool_most = std::uint64_t{256} << 20; ///< bytes in it
};

inline constexpr unsigned most_partitions = 64;

/// `where` begins as one of these.
bool is_place(const std::string& where);
/// An Error says what is wrong with it.
Result<Place> parse_place(const std::string& where);

/// "256M" in bytes; K, M, G are powers of 1024.
std::optional<std::uint64_t> parse_size(const std::string& text);

} // namespace tcpsaga::fleet
