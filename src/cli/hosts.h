// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * Which connections of several recordings are one. The recordings are read twice: clocks that are
 * apart bring an end before or long behind its other one, and the first to close shall name both.
 */
#include "projector.h"
#include "tcpsaga/filter.h"
#include "tcpsaga/host_peers.h"

namespace tcpsaga {

/// Says how many connections have both ends here, and how far the clocks of their hosts are apart.
void tell_pairing(const HostPairing& pairing,
                  const std::function<std::string(std::uint32_t host)>& name);

class Hosts {
public:
    /// Reads them all. `now` is what is asked of them; `out` gets nothing.
    Hosts(const std::vector<Recording>& recordings, Filter now, Output& out, Meter& meter);

    /// A sink that passes to `next` what comes from there, with the peers on other hosts.
    std::unique_ptr<Sink> with_peers(Sink& next, std::uint32_t host);
    /// Says how many connections have both ends here, and how far the clocks are apart.
    void tell() const;

private:
    [[nodiscard]] bool shows(const HostEnd& e) const;
    [[nodiscard]] std::string name(std::uint32_t host) const;

    Filter now_;
    std::vector<std::string> names_, paths_; ///< by host
    HostPairing pairing_;
};

} // namespace tcpsaga
