// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What doctor says (docs/doctor.md). */
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tcpsaga/evidence.h"
#include "tcpsaga/settings.h"

namespace tcpsaga {

enum class Sure : std::uint8_t { certain, likely, possible };
/// How much harm: connections fail; they soon will, or what they hold leaks; they are late.
enum class Harm : std::uint8_t { fails, wastes, delays };

/// One way out. Nothing in `command` comes from a process's name or from a packet.
struct Remedy {
    std::string command; ///< to be copied; "" = there is none, `meaning` says what to do
    std::string setting; ///< what it sets: "net.core.somaxconn"; "" = nothing of the kind
    std::string now;     ///< the present value, "" = not known
    std::string want;
    std::string meaning; ///< what that would mean
};

struct Finding {
    std::string kind; ///< "accept_queue_backlog"…: the headings of docs/doctor.md
    Sure sure = Sure::certain;
    Harm harm = Harm::fails;
    std::string because; ///< kind of the finding that explains this one, "" = none
    std::uint32_t netns = 0;
    Endpoint at;        ///< a listener's address, or a remote end; port 0 = neither
    bool local = false; ///< `at` is a listener's
    Process process;    ///< whose it is
    std::string what;   ///< the headline
    std::string cause;
    std::uint64_t n = 0;                                       ///< how often
    std::vector<std::pair<std::string, std::uint64_t>> counts; ///< of the evidence, by name
    std::vector<std::string> proof;                            ///< the same and more in words
    std::uint64_t first_ns = 0, last_ns = 0;
    std::vector<Example> examples; ///< at most three
    std::vector<Remedy> remedies;  ///< the best one first
};

/// All findings, the one to begin with first; those that another explains come behind it.
std::vector<Finding> diagnose(const Evidence& evidence, const Settings& settings);

std::string_view name_of(Sure s);
std::string_view name_of(Harm h);
/// "10.0.0.2:80", "[::1]:80".
std::string to_string(const Endpoint& e);

} // namespace tcpsaga
