// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tcpsaga/attach.h"
#include "tcpsaga/filter.h"
#include "tcpsaga/result.h"
#include "tcpsaga/sockets.h"

namespace tcpsaga {

enum class Command {
    trace,
    life,
    doctor,
    top,
    report,
    sockets,
    check,
    record,
    replay,
    fleet,
    summary
};

/// --stuck where it is not given, in seconds. A doctor's visit is short; a report has its findings.
constexpr double stuck_s_of(Command c)
{
    return c == Command::doctor || c == Command::report ? 10 : 60;
}

/// Of tcpsaga fleet.
struct FleetOptions {
    std::string place; ///< nats://…
    bool init = false; ///< make the stream
    unsigned replicas = 1;
    std::uint64_t max_age_s = 86'400; ///< what is older goes; 0 = nothing does
    std::uint64_t max_bytes = 0;      ///< of the stream; 0 = no bound
    std::uint64_t duplicates_s = 120; ///< ids of messages are remembered for so long
    std::string group;                ///< of readers that share; "" = named as the view
    std::optional<double> since_s;    ///< what is older is left out
    double wait_s = 5;                ///< one end's `close` waits so long for the other's
};

struct Options {
    Command command = Command::trace;
    Command view = Command::trace; ///< what prints: trace, life, doctor, top or report
    Filter filter;
    std::string cgroup_folder; ///< of filter.cgroup; "" = none
    Wish wish;
    bool json = false;
    bool pairs = false;             ///< life, sockets: both ends on this host in one line
    bool programs = false;          ///< check: with the verifier's cost of each program
    std::vector<SocketKey> by;      ///< sockets: count instead
    bool cmdline = false;           ///< sockets: with what the processes were started with
    bool info = false;              ///< sockets: with bytes, rtt and retransmits
    std::string output;             ///< "" = standard output
    std::string metrics;            ///< ADDR:PORT to serve metrics on; "" = none
    std::string record;             ///< the recording that is written; "" = none
    bool force = false;             ///< it may replace a file
    std::vector<std::string> files; ///< the recordings that are replayed
    std::vector<std::string> kinds, states;
    std::optional<double> duration_s;
    std::optional<std::uint64_t> count;
    std::size_t ring_bytes = std::size_t{8} << 20;
    std::size_t max_connections = std::size_t{1} << 20;
    std::uint32_t overflow_rate = 100; ///< events per listener, kind and second
    bool strict_audit = false;
    bool snapshot = true; ///< begin with the listeners that are there
    std::optional<double>
        stuck_s; ///< (60; doctor: 10) in CLOSE_WAIT or FIN_WAIT2 for longer is told
    std::optional<double> summary_s; ///< a summary each so many seconds
    bool once = false;               ///< top: one picture as text
    double interval_s = 1;           ///< top: between two pictures
    std::string btf;
    FleetOptions fleet;
};

std::string name_of(Command c);

/// What the command line asks for; or the exit code when it is answered already (help and
/// version: 0; a wrong argument: 2, after one line on standard error).
struct Parsed {
    std::optional<Options> options;
    int exit_code = 0;
};

Parsed parse_arguments(int argc, const char* const* argv);

} // namespace tcpsaga
