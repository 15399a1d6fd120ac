// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/fleet_findings.h"

#include <fmt/format.h>

#include <algorithm>

#include "rules.h"

namespace tcpsaga {
namespace {

constexpr std::size_t most_heard = 65536;
constexpr std::size_t most_aborts = 4096;
constexpr std::size_t most_addresses = 4096;

/// The only host with that address; null: none, or several have it.
HostCase* owner_of(const std::vector<HostCase*>& hosts, const Address& a)
{
    HostCase* found = nullptr;
    for (HostCase* h : hosts)
        if (h->addresses.contains(a)) {
            if (found != nullptr)
                return nullptr;
            found = h;
        }
    return found;
}

bool is_about_connecting(const Finding& f)
{
    return !f.local && f.at.port != 0 &&
           (f.kind == "syn_unanswered" || f.kind == "slow_handshake" || f.kind == "refused" ||
            f.kind == "retransmission_timeout");
}

/// The server's finding from which that of its client follows; null: there is none.
const Finding* cause_at(const HostCase& server, const Finding& effect)
{
    const auto explains = [&](const Finding& f) {
        const bool listens = f.local && f.at.port == effect.at.port &&
                             (f.at.addr == effect.at.addr || rules::is_any(f.at.addr));
        return listens && f.because.empty() && rules::may_explain(f.kind, effect.kind);
    };
    const auto found = std::ranges::find_if(server.findings, explains);
    return found == server.findings.end() ? nullptr : &*found;
}

bool listens(const HostCase& h, const Endpoint& at)
{
    return std::ranges::any_of(h.evidence_sink.evidence().listeners, [&](const auto& entry) {
        const ListenerEvidence& l = entry.second;
        return l.netns != 0 && l.local.port == at.port &&
               (l.local.addr == at.addr || rules::is_any(l.local.addr)) && !l.ended;
    });
}

/// Of all its addresses: which one a client uses, its findings do not say.
std::uint64_t heard_from(const HostCase& server, std::uint16_t port, const HostCase& client)
{
    std::uint64_t n = 0;
    for (const Address& a : client.addresses)
        n += server.heard(port, a);
    return n;
}

void name_cause(Finding& f, const HostCase& server, const Finding& cause)
{
    f.because = cause.kind;
    f.sure = cause.sure;
    f.cause = fmt::format("on {}: {}; {}: {}", server.host, cause.what, rules::who(cause.process),
                          cause.cause);
    f.counts.emplace_back("there", cause.n);
}

void blame_network(Finding& f, const HostCase& server, const HostCase& client)
{
    f.sure = Sure::likely;
    f.cause = fmt::format("{} listens there and has seen none of {}'s packets: the network between "
                          "them drops the SYNs, or a firewall of {}'s does",
                          server.host, client.host, server.host);
    f.counts.emplace_back("arrived", 0);
}

void look_beyond(const std::vector<HostCase*>& hosts, HostCase& client)
{
    for (Finding& f : client.findings) {
        if (!is_about_connecting(f) || !f.because.empty())
            continue;
        const HostCase* server = owner_of(hosts, f.at.addr);
        if (server == nullptr || server == &client)
            continue;
        if (const Finding* cause = cause_at(*server, f))
            name_cause(f, *server, *cause);
        else if (f.kind == "syn_unanswered" && listens(*server, f.at) &&
                 heard_from(*server, f.at.port, client) == 0)
            blame_network(f, *server, client);
    }
}

Finding of_aborts(const PeerAborts::Key& key, const PeerAborts::Abort& a)
{
    const auto& [client_host, at, server_host] = key;
    Finding f;
    f.kind = "peer_abort";
    f.harm = Harm::fails;
    f.at = at;
    f.process = a.client;
    f.n = a.seen.n;
    f.first_ns = a.seen.first_ns;
    f.last_ns = a.seen.last_ns;
    f.netns = a.seen.examples[0].tuple.netns;
    f.examples.assign(a.seen.examples.begin(),
                      a.seen.examples.begin() + static_cast<std::ptrdiff_t>(a.seen.kept));
    f.what = fmt::format("{} to {} reset by {}", rules::counted(f.n, "connection"), to_string(at),
                         server_host);
    f.cause = fmt::format("{} on {} closes them with a RST: {}", rules::who(a.server), server_host,
                          a.why);
    f.counts = {{"resets", f.n}};
    f.proof.push_back("seen at both ends; asked for by " + rules::who(a.client));
    f.remedies.push_back({"", "", "", "", "see what " + server_host + "'s own findings say"});
    return f;
}

/// In words, why a server's end made the client get a RST; "" = it did not.
std::string abort_of(const event::Close& server)
{
    switch (server.end) {
    case event::End::aborted:
        return server.why.empty() ? "it aborted them" : fmt::format("aborted, {}", server.why);
    case event::End::rst_sent:
        return server.why.empty() ? "it sent a RST" : fmt::format("RST sent, {}", server.why);
    case event::End::never_accepted:
        return "its listener ended before it accepted them";
    case event::End::process_exit:
        return "it exited";
    default:
        return "";
    }
}

} // namespace

void HostCase::on_event(const Event& e)
{
    evidence_sink.on_event(e);
    if (e.conn == nullptr)
        return;
    const Tuple& t = e.conn->tuple;
    if (addresses.size() < most_addresses && !is_loopback(t.local.addr) &&
        !rules::is_any(t.local.addr))
        addresses.insert(t.local.addr);
    const bool from_client =
        e.conn->role == Role::server || std::holds_alternative<event::Overflow>(e.what);
    if (from_client && t.remote.port != 0) {
        const std::pair key{t.local.port, t.remote.addr};
        if (heard_.size() < most_heard || heard_.contains(key))
            heard_[key]++;
    }
}

std::uint64_t HostCase::heard(std::uint16_t port, const Address& from) const
{
    const auto found = heard_.find({port, from});
    return found == heard_.end() ? 0 : found->second;
}

void PeerAborts::add(const std::string& client_host, const Event& client,
                     const std::string& server_host, const Event& server)
{
    const auto& there = std::get<event::Close>(server.what);
    const std::string why = abort_of(there);
    if (std::get<event::Close>(client.what).end != event::End::rst_received || why.empty())
        return;
    const Key key{client_host, client.conn->tuple.remote, server_host};
    if (all_.size() >= most_aborts && !all_.contains(key))
        return;
    Abort& a = all_[key];
    a.server = server.conn->owner;
    a.client = client.conn->owner;
    a.why = why;
    a.seen.add(client);
}

void diagnose(std::vector<HostCase*>& hosts, const PeerAborts& aborts)
{
    for (HostCase* h : hosts)
        h->findings = diagnose(h->evidence_sink.evidence(), h->settings);
    for (HostCase* h : hosts)
        look_beyond(hosts, *h);
    for (const auto& [key, abort] : aborts.all())
        for (HostCase* h : hosts)
            if (h->host == std::get<0>(key))
                h->findings.push_back(of_aborts(key, abort));
}

} // namespace tcpsaga
