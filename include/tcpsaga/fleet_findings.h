// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * What can be said only by who has seen both ends, on two hosts: which finding of one host follows
 * from another's, and what the network between them has done. Pure, as the rules of one host are.
 */
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tcpsaga/evidence.h"
#include "tcpsaga/finding.h"

namespace tcpsaga {

/// What one host's events say.
class HostCase : public Sink {
public:
    HostCase(std::string name, std::uint64_t begin_ns)
        : host(std::move(name)), evidence_sink(begin_ns)
    {
    }
    void on_event(const Event& e) override;
    void on_settings(const Settings& s) override { settings = s; }
    /// Packets that came from there for a local port, established or turned away.
    [[nodiscard]] std::uint64_t heard(std::uint16_t port, const Address& from) const;

    std::string host;
    EvidenceSink evidence_sink;
    Settings settings;
    std::set<Address> addresses; ///< its own, as its connections have them
    std::vector<Finding> findings;

private:
    std::map<std::pair<std::uint16_t, Address>, std::uint64_t> heard_;
};

/// Connections whose client was sent a RST by a server that says why.
class PeerAborts {
public:
    struct Abort {
        Process server, client;
        std::string why;
        Sighting seen; ///< by the client
    };
    /// Client's host, the remote end as it has it, server's host.
    using Key = std::tuple<std::string, Endpoint, std::string>;

    /// Both ends of one connection, that are over.
    void add(const std::string& client_host, const Event& client, const std::string& server_host,
             const Event& server);
    [[nodiscard]] const std::map<Key, Abort>& all() const { return all_; }

private:
    std::map<Key, Abort> all_;
};

/// Fills in each host's findings: its own, of which those that another host explains say so, and
/// those that need both ends.
void diagnose(std::vector<HostCase*>& hosts, const PeerAborts& aborts);

} // namespace tcpsaga
