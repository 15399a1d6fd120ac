// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * What the correlator gets, in the order it gets it: the kernel side's records, and what looking
 * around while they came has found. Who plays the same inputs again gets the same events, so these
 * are what a recording keeps.
 */
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "tcpsaga/audit.h"
#include "tcpsaga/correlator.h"
#include "tcpsaga/settings.h"
#include "tcpsaga/whereabouts.h"

namespace tcpsaga {

/// All times are CLOCK_MONOTONIC.
namespace input {

/// As it came from the ring: aligned to 8, valid while it is looked at only.
struct Record {
    std::span<const std::byte> bytes;
};
struct Lost {
    std::uint64_t n = 0;
    event::LostWhere where{};
    std::uint64_t ts_ns = 0;
};
/// Correlator::adopt().
struct Present {
    std::vector<SocketRow> sockets;
    std::uint64_t ts_ns = 0;
};
/// Correlator::tell_held_back().
struct HeldBack {
    std::uint64_t ts_ns = 0; ///< UINT64_MAX: nothing more comes
};
/// Correlator::on_polled().
struct Polled {
    std::vector<PolledListener> listeners;
    std::uint64_t ts_ns = 0;
    std::uint64_t poll_ms = 0;
};
/// Correlator::tell_stuck().
struct Stuck {
    std::uint64_t longer_ns = 0;
    std::uint64_t ts_ns = 0;
};
/// Correlator::tell_evictions().
struct Evictions {
    std::uint64_t ts_ns = 0;
};
/// Correlator::settle(), each.
struct Totals {
    std::vector<ListenerTotals> listeners;
    std::vector<NetnsTotals> namespaces;
    std::vector<DropTotals> drops;
    std::uint64_t ts_ns = 0;
};
/// The kernel's counters around the moment at which the hooks were attached.
struct Start {
    CounterReading counters;
};
/// Somebody wants a summary; the kernel's counters by then.
struct Summarize {
    std::uint64_t ts_ns = 0;
    bool final = false;
    CounterReading counters;
};
/// How the system is set; before the summary that ends the stream.
struct System {
    Settings settings;
};
/// What a look-up that an input will ask for gives: it comes before that input.
struct Place {
    std::uint64_t address = 0; ///< in the kernel's code
    std::string name;          ///< "" = not known
};
struct Ports {
    std::uint32_t netns = 0;
    Endpoint destination;
    std::optional<event::PortUse> use;
};
/// The ends of a connection as its other end has them, as `own` ends.
struct Translated {
    Tuple own;
    Tuple other; ///< netns 0
};
/// Whereabouts::learn().
struct ProcessHome {
    Process process;
    Home home;
    std::uint64_t ts_ns = 0;
};
struct NetnsName {
    std::uint32_t netns = 0;
    std::string name; ///< "" = it has none
    std::uint64_t ts_ns = 0;
};

} // namespace input

using Input = std::variant<input::Record, input::Lost, input::Present, input::HeldBack,
                           input::Polled, input::Stuck, input::Evictions, input::Totals,
                           input::Start, input::Summarize, input::Place, input::Ports,
                           input::System, input::Translated, input::ProcessHome, input::NetnsName>;

/// CLOCK_MONOTONIC of an input; nullopt where it has none.
std::optional<std::uint64_t> time_of(const Input& i);
/// Takes `to` there, unless it is later already, or the input has no time of its own.
inline void advance_to(std::uint64_t& to, const Input& i)
{
    std::uint64_t ts_ns = 0; // ts_head::ts_ns
    if (const auto* r = std::get_if<input::Record>(&i); r != nullptr && r->bytes.size() >= 8)
        std::memcpy(&ts_ns, r->bytes.data(), sizeof(ts_ns));
    else
        ts_ns = time_of(i).value_or(0);
    if (ts_ns != UINT64_MAX)
        to = std::max(to, ts_ns);
}

/// How a fact of the attach table was seen.
struct SeenFact {
    std::string name;
    std::string by;    ///< the mechanism; "" = it was not seen
    std::string loses; ///< "" = nothing
};

/// The host and the run that inputs come from: with it they can be read anywhere.
struct Origin {
    std::string program; ///< "tcpsaga 0.1.0"
    std::string command; ///< "trace", "record"…
    std::string host;
    std::string kernel; ///< "6.12.41+deb13-amd64"
    std::string machine;
    std::string title;            ///< Plan::title()
    std::vector<SeenFact> facts;  ///< those that were asked for
    std::uint64_t started_ns{};   ///< CLOCK_MONOTONIC
    std::int64_t utc_offset_ns{}; ///< UTC nanoseconds since 1970 = CLOCK_MONOTONIC + this
    std::int64_t zone_offset_s{}; ///< local time = UTC + this
    Correlator::Config config;    ///< place_of is none
    AuditContext audit;           ///< `lost` is 0
};

} // namespace tcpsaga
