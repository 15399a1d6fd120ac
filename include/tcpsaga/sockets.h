// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* A snapshot for people: which sockets, in which order, how many of each kind; as lines. */
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tcpsaga/filter.h"
#include "tcpsaga/output.h"
#include "tcpsaga/snapshot.h"
#include "tcpsaga/whereabouts.h"

namespace tcpsaga {

using ChosenSockets = std::vector<const SocketRow*>;

/// As `ss` has it: a request is in SYN_RECV.
std::string_view state_of(const SocketRow& row);
/// "on", "keepalive", "timewait", "persist", as `ss -o` has them; "" = off.
std::string_view name_of(SocketTimer t);

/// It is a full socket of a connection, not its request, nor what is left of it in TIME_WAIT.
bool carries_data(const SocketRow& row);

/// Those that pass: by namespace, listeners first, then by local and remote end. The filter's
/// process is any holder. `states` by name, empty = all. Points into `all`.
ChosenSockets choose_sockets(const std::vector<SocketRow>& all, const Filter& filter,
                             const std::vector<std::string>& states);

/// What sockets can be counted by.
enum class SocketKey : std::uint8_t {
    state,
    remote, ///< address without port; listeners have none
    rport,
    lport,
    process,   ///< the first holder
    listener,  ///< the end that it was accepted at, while something listens there
    container, ///< of the first holder
    netns,
};
std::optional<SocketKey> socket_key(std::string_view name);
std::string_view name_of(SocketKey key);

/// What sockets themselves do not tell. Each may be left out.
struct SocketNames {
    std::function<std::string(std::uint32_t pid)> container; ///< "" = in none
    std::function<Home(std::uint32_t pid)> home;
    std::function<std::string(std::uint32_t inode)> netns; ///< "" = it has no name
};

struct SocketCount {
    std::vector<std::string> keys; ///< one for each SocketKey; "-" = unknown; any bytes
    std::uint64_t n;
};

/// How many of `chosen` there are of each combination of keys, most first, then by name. Those
/// without a remote end or a listener are not counted by it. Listeners are looked up among `all`.
std::vector<SocketCount> count_sockets(const std::vector<SocketRow>& all,
                                       const ChosenSockets& chosen,
                                       const std::vector<SocketKey>& keys,
                                       const SocketNames& names);

/// The two ends of a connection.
struct SocketPair {
    const SocketRow* client;
    const SocketRow* server; ///< something listens there; else the end with the lower port
};
using SocketPairs = std::map<const SocketRow*, SocketPair>; ///< by either end

/// The connections of which both ends are here: in one namespace, or in two, where no other sockets
/// have these addresses and ports. What is in TIME_WAIT has no other end.
SocketPairs pair_sockets(const std::vector<SocketRow>& all);

struct SocketPrint {
    std::string host;
    std::int64_t utc_ns = 0; ///< when the sockets were looked at, since 1970
    bool color = false;
    bool info = false; ///< text: with bytes, rtt and retransmits
    SocketPairs pairs; ///< these as one line each, the client's, with the server
    SocketNames names;
    /// What a process was started with, "" when it is not known: shown when it is set.
    std::function<std::string(std::uint32_t pid)> command{};
};

/// Aligned columns with a header; NETNS only when there are several.
void print_sockets(Output& out, const ChosenSockets& sockets, const SocketPrint& how);
void print_counts(Output& out, const std::vector<SocketCount>& counts,
                  const std::vector<SocketKey>& keys, const SocketPrint& how);
/// One JSON object a line (docs/events.md: `socket`, `socket_count`).
void print_sockets_json(Output& out, const ChosenSockets& sockets, const SocketPrint& how);
void print_counts_json(Output& out, const std::vector<SocketCount>& counts,
                       const std::vector<SocketKey>& keys, const SocketPrint& how);

} // namespace tcpsaga
