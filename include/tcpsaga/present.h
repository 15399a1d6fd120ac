// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * Presenters: events in, lines out. They print and decide nothing. Times arrive as
 * CLOCK_MONOTONIC; the offset to UTC is the caller's.
 */
#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tcpsaga/event.h"
#include "tcpsaga/output.h"
#include "tcpsaga/whereabouts.h"

namespace tcpsaga {

struct PresentOptions {
    std::string host;
    std::int64_t utc_offset_ns = 0; ///< UTC nanoseconds since 1970 = CLOCK_MONOTONIC + this
    std::int64_t zone_offset_s = 0; ///< local time = UTC + this, for text
    bool color = false;
    std::vector<std::string> kinds;  ///< --event: only these; empty = all
    std::vector<std::string> states; ///< --state: state events from or to these only
    bool header = true;              ///< text begins with its header line
    std::size_t host_column = 0;     ///< text begins with the host, so wide; 0: it does not
    const Whereabouts* whereabouts = nullptr; ///< of processes and namespaces; outlives it
};

/// One JSON object per event (events.md, version 1).
std::unique_ptr<Sink> make_json(Output& out, PresentOptions options);
/// One line of text per event, with a header line first.
std::unique_ptr<Sink> make_trace(Output& out, PresentOptions options);
/// One line of text per finished connection, tcplife's columns first.
std::unique_ptr<Sink> make_life(Output& out, PresentOptions options);

/// Where the ends that wait for their other ends are; streams of several hosts share one.
class PairDesk;
/// `out` outlives it; `count`: as --count.
std::shared_ptr<PairDesk> make_pair_desk(const Output& out, std::optional<std::uint64_t> count);
/// Nothing more comes from that host: what waits for an end there is passed on alone.
void end_pairs(PairDesk& desk, std::uint32_t host);
struct PairsHost {
    std::uint32_t number = 0; ///< as in HostConn
    std::int64_t utc_offset_ns = 0;
};
/// Passes on one `close` for the two ends of a connection that are both told of: the client's, with
/// the server's in `other`, once both are over. What waits for its other end at the end, or for too
/// many others, is passed on alone. `next` of all that share a desk live until the last has ended.
std::unique_ptr<Sink> make_pairs(std::unique_ptr<Sink> next, std::shared_ptr<PairDesk> desk,
                                 const PairsHost& host = {});

/// Appends text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(fmt::memory_buffer& to, std::string_view text);
/// Appends the keys of where a process lives, each with its leading comma.
void append_home(fmt::memory_buffer& to, const Home& home);
/// Appends text with control characters and broken UTF-8 made visible: nothing in it can
/// steer a terminal or start a new line.
void append_visible(fmt::memory_buffer& to, std::string_view text);
/// The same as a string of its own.
std::string visible(std::string_view text);
/// "192.0.2.1:80", "[2001:db8::1]:80"; no port: "*".
std::string endpoint_text(const Endpoint& e);
/// Community ID 1 (github.com/corelight/community-id-spec), seed 0, for TCP.
std::string community_id(const Tuple& t);
inline constexpr std::size_t community_id_size = 30;
/// The same, to where there is room for that.
void write_community_id(char* to, const Tuple& t);
/// "2026-11-20T16:07:00.123456789Z"
void append_rfc3339(fmt::memory_buffer& to, std::int64_t utc_ns);

/// Passes on events whose kind and states are asked for.
bool wanted(const PresentOptions& o, const Event& e);

} // namespace tcpsaga
