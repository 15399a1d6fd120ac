// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* A HostPairing between the streams of several hosts, each with a correlator of its own. */
#include <functional>
#include <string>
#include <vector>

#include "tcpsaga/event.h"
#include "tcpsaga/host_pairing.h"

namespace tcpsaga {

/// Tells a pairing of the ends in one host's events.
class HostEnds : public Sink {
public:
    /// `to` outlives it. UTC = the events' times + the offset.
    HostEnds(HostPairing& to, std::uint32_t host, std::int64_t utc_offset_ns)
        : to_(to), host_(host), utc_offset_ns_(utc_offset_ns)
    {
    }
    void on_event(const Event& e) override;
    /// One that is there, whether or not an event has told of it.
    void on_present(const Connection& c, std::uint64_t ts_ns);

private:
    void on_close(const Connection& c, const event::Close& life, std::uint64_t ts_ns);

    HostPairing& to_;
    std::uint32_t host_;
    std::int64_t utc_offset_ns_;
};

/// Passes events on; a `close` whose other end is on another host has it as peer.
class HostPeers : public Sink {
public:
    using Shows = std::function<bool(const HostEnd&)>; ///< the other end's events are shown, too

    /// `next`, `from` and the names (by HostConn::host) outlive it.
    HostPeers(Sink& next, HostPairing& from, std::uint32_t host,
              const std::vector<std::string>& names, Shows shows)
        : next_(next), from_(from), host_(host), names_(names), shows_(std::move(shows))
    {
    }
    void on_event(const Event& e) override;
    void on_settings(const Settings& s) override { next_.on_settings(s); }

private:
    Sink& next_;
    HostPairing& from_;
    std::uint32_t host_;
    const std::vector<std::string>& names_;
    Shows shows_;
};

} // namespace tcpsaga
