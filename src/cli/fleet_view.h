// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What is shown of the streams of many hosts: their lines become events, and go where a host's own
 * would. */
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "fleet/event_line.h"
#include "fleet/host_text.h"
#include "fleet/meeting.h"
#include "options.h"
#include "player.h"
#include "tcpsaga/fleet_findings.h"
#include "tcpsaga/host_peers.h"

namespace tcpsaga {

class FleetView {
public:
    /// What a host has said about itself; "" = nothing.
    using HostTextOf = std::function<std::string(const std::string& host)>;
    using Clock = fleet::Meeting::Clock;

    /// `o` and `out` outlive it.
    FleetView(const Options& o, Output& out, HostTextOf host_text);

    /// The lines of one message; `keep` lives until all of them are told.
    void take(std::string_view lines, const fleet::Meeting::Keep& keep, Clock::time_point now);
    /// Tells what has waited for too long.
    void expire(Clock::time_point now) { meeting_.expire(now); }
    /// Everything that was held back, and what is told at an end only.
    void end();

    [[nodiscard]] bool full() const { return o_.count && out_.lines() >= *o_.count; }
    [[nodiscard]] std::size_t hosts() const { return hosts_.size(); }
    [[nodiscard]] bool found() const { return found_; } ///< doctor
    [[nodiscard]] const HostPairing& pairing() const { return pairing_; }
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    /// Lines that were no events, and what was wrong with the first.
    [[nodiscard]] std::uint64_t foreign() const { return foreign_; }
    [[nodiscard]] const std::string& first_foreign() const { return first_foreign_; }

private:
    struct Host {
        std::uint32_t number = 0;
        Origin origin; ///< its times are UTC
        Settings settings;
        Whereabouts whereabouts;
        std::unique_ptr<Sink> presenter;
        std::unique_ptr<Sink> peers; ///< before it
        std::unique_ptr<HostCase> of_doctor;
        std::optional<event::Summary> summary; ///< the last one
        std::uint64_t latest_ns = 0;
    };

    /// Of several partitions, in the order of time.
    struct Later {
        std::string line;
        std::uint64_t number; ///< as they came
        [[nodiscard]] std::string_view time() const;
        bool operator<(const Later& other) const; ///< it comes behind
    };

    void put_in_order(std::string_view line);
    void tell_earliest();
    void take_line(std::string_view line, const fleet::Meeting::Keep& keep, Clock::time_point now);
    Host& host_of(const std::string& name);
    void read_about(Host& h);
    void learn(Host& h);
    void on_line(const fleet::Meeting::Keep& keep, Clock::time_point now);
    bool passes(const Event& e) const;
    void end_host(Host& h);
    void diagnose_all();

    const Options& o_;
    Output& out_;
    HostTextOf host_text_;
    fleet::EventReader reader_;
    HostPairing pairing_;
    PeerAborts aborts_;
    fleet::Meeting meeting_;
    std::shared_ptr<PairDesk> desk_;
    std::vector<std::string> names_; ///< by number; never moved: others hold views
    std::unordered_map<std::string, std::unique_ptr<Host>> hosts_;
    Host* last_ = nullptr; ///< of these
    std::priority_queue<Later> later_;
    std::uint64_t lines_ = 0;
    std::uint64_t foreign_ = 0;
    std::string first_foreign_;
    bool found_ = false;
};

/// A line per summary of a host.
std::unique_ptr<Sink> make_summaries(Output& out, const std::string& host, bool header, bool json,
                                     PresentOptions options);

} // namespace tcpsaga
