// SPDX-License-Identifier: BSD-2-Clause
/* Connections that do not come to be, or late. */
#include <algorithm>
#include <cerrno>

#include "rules.h"

namespace tcpsaga::rules {
namespace {

/// The listener on this host that connects to this end may have met; null: none.
const ListenerEvidence* listener_at(const Evidence& e, const DestinationEvidence& d)
{
    const ListenerEvidence* found = nullptr;
    for (const auto& [key, l] : e.listeners)
        if (may_meet(l, d.netns, d.remote) && (found == nullptr || !l.ended))
            found = &l;
    return found;
}

/// Ended, and refused clients after that; null: no such listener.
const ListenerEvidence* dead_listener(const Evidence& e, const DestinationEvidence& d)
{
    for (const auto& [key, l] : e.listeners)
        if (l.ended && may_meet(l, d.netns, d.remote) && d.refused.last_ns >= l.ended_ns)
            return &l;
    return nullptr;
}

/// The same address and port was listened on again after that.
const ListenerEvidence* successor(const Evidence& e, const ListenerEvidence& dead)
{
    for (const auto& [key, l] : e.listeners)
        if (l.netns == dead.netns && l.local.port == dead.local.port && &l != &dead &&
            l.listened_ns > dead.ended_ns)
            return &l;
    return nullptr;
}

/// "localhost" is tried as ::1 first: refused there, and up on 127.0.0.1, nothing is wrong.
bool other_family_answers(const Evidence& e, const DestinationEvidence& d)
{
    if (d.remote.addr.is_v4() || !is_loopback(d.remote.addr))
        return false;
    return std::ranges::any_of(e.destinations, [&](const auto& other) {
        const DestinationEvidence& o = other.second;
        return o.netns == d.netns && o.remote.port == d.remote.port && o.remote.addr.is_v4() &&
               is_loopback(o.remote.addr) && o.established >= d.refused.n;
    });
}

Remedy who_listens(const Settings& s, std::uint32_t netns, std::uint16_t port)
{
    return {fmt::format("{}ss -ltnp 'sport = :{}'", s.enter(netns), port), "", "", "",
            "who listens there now"};
}

void look_for_firewall(Finding& f, const Settings& s)
{
    f.remedies.push_back({fmt::format("{}nft list ruleset | grep -nE 'drop|reject|{}'",
                                      s.enter(f.netns), f.at.port),
                          "", "", "", "this host's own rules (iptables-save on older systems)"});
    f.remedies.push_back({fmt::format("{}ip route get {}", s.enter(f.netns), to_string(f.at.addr)),
                          "", "", "", "the way that the SYNs take"});
    f.remedies.push_back({fmt::format("tcpdump -ni any 'tcp port {} and tcp[tcpflags] & "
                                      "(tcp-syn|tcp-rst) != 0'",
                                      f.at.port),
                          "", "", "", "on the other host: whether they arrive there"});
}

void why_unanswered(Finding& f, const Evidence& e, const DestinationEvidence& d)
{
    const auto drops = e.netfilter_drops.find({d.netns, d.remote.port});
    const ListenerEvidence* l = listener_at(e, d);
    if (d.syns_not_sent != 0) {
        f.sure = Sure::certain;
        f.cause = "this host's own firewall refuses to send them (EPERM)";
        f.counts.emplace_back("syns_not_sent", d.syns_not_sent);
    } else if (drops != e.netfilter_drops.end()) {
        f.sure = Sure::certain;
        f.cause = fmt::format("netfilter on this host drops them: {}",
                              counted(drops->second.n, "packet"));
        f.counts.emplace_back("netfilter_drops", drops->second.n);
    } else if (l != nullptr && !l->ended && l->births == 0 && !l->full) {
        f.cause = fmt::format("{} listens there and no SYN reaches it: a firewall on this host "
                              "(doctor --drops tells)",
                              who(l->owner));
    } else if (d.established == 0) {
        f.cause = "a firewall that drops, no such host, or a route that leads nowhere";
    } else {
        f.sure = Sure::possible;
        f.cause = "packets are lost on the way, or its queues are full";
    }
}

void say_established(Finding& f, const DestinationEvidence& d)
{
    f.counts.emplace_back("opens", d.opens);
    f.counts.emplace_back("established", d.established);
    f.proof.push_back(fmt::format("{} tried to connect, {} came up", grouped(d.opens),
                                  grouped(d.established)));
}

/// The present range, wider where it can be.
void widen_range(Finding& f, const Settings& s, std::uint64_t ports)
{
    constexpr std::uint64_t wide = 65535 - 1024 + 1;
    constexpr std::uint64_t time_wait_s = 60;
    if (ports >= wide * 9 / 10)
        return;
    f.remedies.push_back(sysctl(
        s, f.netns, "net.ipv4.ip_local_port_range", "1024 65535",
        fmt::format("{} ports instead of {}: {} connections a second to this end instead of {}, "
                    "each port being held for {} s; keep ports that are to be listened on out of "
                    "it by net.ipv4.ip_local_reserved_ports",
                    grouped(wide), grouped(ports), grouped(wide / time_wait_s),
                    grouped(std::max<std::uint64_t>(ports / time_wait_s, 1)), time_wait_s)));
}

} // namespace

void listener_died(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, l] : e.listeners) {
        if (!l.ended || l.netns == 0)
            continue;
        Sighting hurt = l.never_accepted;
        std::uint64_t turned_away = 0;
        for (const auto& [at, d] : e.destinations)
            if (d.refused.last_ns >= l.ended_ns && may_meet(l, d.netns, d.remote)) {
                turned_away += d.refused.n;
                hurt = hurt ? hurt : d.refused;
            }
        const std::uint64_t left = l.never_accepted.n;
        if (turned_away + left == 0)
            continue;
        Finding f = about(l, "listener_died", hurt);
        f.n = turned_away + left;
        const bool exited = l.ended == event::UnlistenWhy::process_exit;
        f.what = fmt::format("the listener {} {} at {}: {} refused, {} reset before accept()",
                             to_string(l.local), exited ? "died" : "was closed",
                             s.clock(l.ended_ns), grouped(turned_away), grouped(left));
        f.cause = exited ? fmt::format("{} exited or was killed", who(l.owner))
                         : fmt::format("{} closed it", who(l.owner));
        f.counts = {{"refused", turned_away}, {"never_accepted", left}, {"accepts", l.accepts}};
        f.first_ns = l.ended_ns;
        if (const ListenerEvidence* next = successor(e, l))
            f.proof.push_back(fmt::format("{} listens there again since {}", who(next->owner),
                                          s.clock(next->listened_ns)));
        else
            f.remedies.push_back(who_listens(s, l.netns, l.local.port));
        f.remedies.push_back({fmt::format("journalctl -n 20 _PID={0}; dmesg -T | grep -iE "
                                          "'oom|process {0}'",
                                          l.owner.pid),
                              "", "", "", "why it ended; then let its supervisor restart it"});
        to.push_back(std::move(f));
    }
}

void refused(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, d] : e.destinations) {
        if (!d.refused || d.netns == 0 || dead_listener(e, d) != nullptr ||
            other_family_answers(e, d))
            continue;
        Finding f = about(d, "refused", d.refused);
        f.what = fmt::format("{} to {} refused", counted(f.n, "connection"), to_string(d.remote));
        const ListenerEvidence* l = listener_at(e, d);
        const auto elsewhere = std::ranges::find_if(s.queues, [&, &d = d](const QueueNow& q) {
            return q.netns == d.netns && q.local.port == d.remote.port &&
                   q.local.addr != d.remote.addr && !is_any(q.local.addr);
        });
        if (l != nullptr && !l->ended && l->listened_ns > d.refused.last_ns) {
            f.cause = fmt::format("nobody listened before {}", s.clock(l->listened_ns));
        } else if (l != nullptr && !l->ended) {
            f.sure = Sure::possible;
            f.cause = fmt::format("{} listens there: a firewall that rejects?", who(l->owner));
        } else if (elsewhere != s.queues.end()) {
            f.sure = Sure::likely;
            f.cause =
                fmt::format("the port is listened on at {} only", to_string(elsewhere->local));
        } else {
            f.sure = is_loopback(d.remote.addr) ? Sure::certain : Sure::likely;
            f.cause = "nobody listens there";
        }
        f.proof.push_back("asked for by " + who(d.client));
        say_established(f, d);
        if (is_loopback(d.remote.addr) || l != nullptr)
            f.remedies.push_back(who_listens(s, d.netns, d.remote.port));
        else
            f.remedies.push_back({fmt::format("ss -ltnp 'sport = :{}'", d.remote.port), "", "", "",
                                  "on that host: who listens there"});
        to.push_back(std::move(f));
    }
}

void syn_unanswered(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, d] : e.destinations) {
        const bool silent = d.syns_again.n >= 2 && d.established == 0;
        if ((!d.timed_out && !silent) || d.refused || d.unreachable || d.netns == 0)
            continue;
        Finding f = about(d, "syn_unanswered", d.syns_again ? d.syns_again : d.timed_out);
        f.n = std::max({d.timed_out.n, d.opens - std::min(d.opens, d.established),
                        d.syns_first - std::min(d.syns_first, d.slow_handshakes.n)});
        f.sure = Sure::likely;
        f.what = fmt::format("no answer to the SYNs to {}: {} did not come up", to_string(d.remote),
                             counted(f.n, "connection"));
        why_unanswered(f, e, d);
        f.counts.emplace_back("syns_sent_again", d.syns_again.n);
        f.counts.emplace_back("timed_out", d.timed_out.n);
        f.proof.push_back(fmt::format("{} sent again, {} given up (ETIMEDOUT); asked for by {}",
                                      counted(d.syns_again.n, "SYN"), grouped(d.timed_out.n),
                                      who(d.client)));
        say_established(f, d);
        look_for_firewall(f, s);
        to.push_back(std::move(f));
    }
}

void unreachable(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, d] : e.destinations) {
        if (!d.unreachable || d.netns == 0)
            continue;
        Finding f = about(d, "unreachable", d.unreachable);
        f.what = fmt::format("{} to {} failed: {}", counted(f.n, "connection"), to_string(d.remote),
                             errno_name(d.unreachable_errno));
        f.cause = d.unreachable_errno == ENETUNREACH
                      ? "there is no route"
                      : "a router, a firewall or the silence of ARP says that it cannot be reached";
        f.proof.push_back("asked for by " + who(d.client));
        look_for_firewall(f, s);
        f.remedies.pop_back(); // nothing arrives there
        to.push_back(std::move(f));
    }
}

void slow_handshake(const Evidence& e, const Settings& s, Findings& to)
{
    constexpr std::uint64_t least = 3;
    constexpr std::uint64_t share = 100; // one in
    for (const auto& [key, d] : e.destinations) {
        if (d.slow_handshakes.n < least || d.slow_handshakes.n * share < d.established ||
            d.netns == 0)
            continue;
        Finding f = about(d, "slow_handshake", d.slow_handshakes);
        f.sure = Sure::likely;
        f.harm = Harm::delays;
        f.what = fmt::format("{} of {} connections to {} took a second or more to come up",
                             grouped(f.n), grouped(d.established), to_string(d.remote));
        f.cause = "their first SYN, or its answer, was lost: a full queue there, or the network";
        f.counts = {{"slow", f.n}, {"syns_sent_again", d.syns_again.n}};
        f.proof.push_back(fmt::format("{} sent again", counted(d.syns_again.n, "SYN")));
        f.remedies.push_back(
            {"nstat -asz TcpExtListenOverflows TcpExtListenDrops TcpExtTCPReqQFullDrop", "", "", "",
             "on the host that listens: whether its queues are full"});
        f.remedies.push_back({fmt::format("{}ip -s link", s.enter(d.netns)), "", "", "",
                              "drops and errors of the interfaces"});
        to.push_back(std::move(f));
    }
}

void port_exhaustion(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, d] : e.destinations) {
        const std::uint64_t ports = s.local_ports(d.netns).value_or(0);
        const std::uint64_t waiting = d.endings.time_waits.alive(d.no_port.last_ns);
        const bool told = d.ports.has_value(); // else: no port or no route, no hook tells which
        if (!d.no_port || d.netns == 0 || (!told && 2 * waiting < ports))
            continue;
        Finding f = about(d, "port_exhaustion", d.no_port);
        f.sure = told ? Sure::certain : Sure::likely;
        const std::uint64_t held = told ? d.ports->time_wait : waiting;
        const std::uint64_t live = told ? d.ports->live : 0;
        f.what = fmt::format("{} to {} failed: no local port is free (EADDRNOTAVAIL)",
                             counted(f.n, "connection"), to_string(d.remote));
        f.cause = held >= live
                      ? fmt::format("{} of {} ports are in TIME_WAIT: this host closes first, and "
                                    "opens too many",
                                    grouped(held), grouped(ports))
                      : fmt::format("{} of {} ports are in use by open connections", grouped(live),
                                    grouped(ports));
        f.counts = {{"ports", ports}, {"time_wait", held}, {"live", live}};
        f.proof.push_back(fmt::format("net.ipv4.ip_local_port_range is {}; asked for by {}",
                                      s.text(d.netns, "net.ipv4.ip_local_port_range"),
                                      who(d.client)));
        widen_range(f, s, ports);
        if (held >= live && s.text(d.netns, "net.ipv4.tcp_tw_reuse") != "1")
            f.remedies.push_back(sysctl(s, d.netns, "net.ipv4.tcp_tw_reuse", "1",
                                        "connect() may take a port that has been in TIME_WAIT for "
                                        "a second (both ends need TCP timestamps)"));
        f.remedies.push_back({"", "", "", "",
                              "let the client keep connections open (HTTP keep-alive, a pool): one "
                              "port then serves many requests; or add addresses on either side"});
        to.push_back(std::move(f));
    }
}

} // namespace tcpsaga::rules
