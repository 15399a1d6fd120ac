// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "tcpsaga/event.h"
#include "tcpsaga/whereabouts.h"

namespace tcpsaga::fleet {

/// Reads lines of docs/events.md: what a presenter of JSON has printed becomes an event again, so
/// that any presenter, and the rules of findings, may have it. What a line does not say is as
/// little known here: percentiles stand for the histogram that they were of.
class EventReader {
public:
    /// False: it is no line of a version and kind that this program knows; why() says why, but for
    /// a finding's. The rest is of the line that was read last, and valid until the next call.
    bool read(std::string_view line);
    [[nodiscard]] const std::string& why() const { return why_; }
    [[nodiscard]] const std::string& host() const { return host_; }
    /// Its `ts_ns` is UTC, nanoseconds since 1970.
    [[nodiscard]] const Event& event() const { return event_; }
    /// Of the event's actor; all is empty where the line says nothing.
    [[nodiscard]] const Home& home() const { return home_; }
    [[nodiscard]] const std::string& netns_name() const { return netns_name_; }

private:
    struct Parser;

    std::string host_;
    Connection connection_;
    Event event_;
    Home home_;
    std::string netns_name_;
    std::string why_;
    std::set<std::string, std::less<>> words_; ///< what events hold views of
};

} // namespace tcpsaga::fleet
