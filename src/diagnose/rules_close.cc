// SPDX-License-Identifier: BSD-2-Clause
/* How connections end, and what stays behind. */
#include <algorithm>
#include <functional>

#include "rules.h"

namespace tcpsaga::rules {
namespace {

constexpr std::uint64_t time_wait_s = 60;

/// The kernel may take a port in TIME_WAIT for a new connection (net/ipv4/tcp_ipv4.c,
/// tcp_twsk_unique): 1 always, 2 on loopback.
bool reuses(const Settings& s, const DestinationEvidence& d)
{
    const std::string reuse = s.text(d.netns, "net.ipv4.tcp_tw_reuse");
    return reuse == "1" || (reuse == "2" && is_loopback(d.remote.addr));
}

/// `tell` with each place that connections end at: a finding begun for it, and how they ended.
void each_place(
    const Evidence& e,
    const std::function<void(const Endings& ends,
                             const std::function<Finding(std::string, const Sighting&)>& about_it)>&
        tell)
{
    for (const auto& [key, l] : e.listeners)
        if (l.netns != 0)
            tell(l.endings, [&, &l = l](std::string kind, const Sighting& seen) {
                return about(l, std::move(kind), seen);
            });
    for (const auto& [key, d] : e.destinations)
        if (d.netns != 0)
            tell(d.endings, [&, &d = d](std::string kind, const Sighting& seen) {
                return about(d, std::move(kind), seen);
            });
}

/// The process of the examples: of a listener's children it may be another than its owner.
void take_process(Finding& f)
{
    if (!f.examples.empty() && f.examples[0].process.known())
        f.process = f.examples[0].process;
}

std::string place_of(const Finding& f)
{
    return (f.local ? "at " : "to ") + to_string(f.at);
}

void timeout(const Settings& s, Findings& to, Finding f, const std::string& cause,
             const std::string& setting, const std::string& meaning)
{
    f.sure = Sure::certain;
    take_process(f);
    f.what = fmt::format("{} {} timed out", counted(f.n, "connection"), place_of(f));
    f.cause = cause;
    f.remedies.push_back(
        {fmt::format("{}ping -c 3 {}", s.enter(f.netns),
                     to_string(f.examples.empty() ? f.at.addr : f.examples[0].tuple.remote.addr)),
         "", "", "", "whether the other host is there"});
    f.remedies.push_back({"", setting, s.text(f.netns, setting), "", meaning});
    to.push_back(std::move(f));
}

} // namespace

void time_wait_pile_up(const Evidence& e, const Settings& s, Findings& to)
{
    constexpr std::uint64_t least_watch_s = 5;
    const std::uint64_t watched_s = (e.end_ns - e.begin_ns) / 1'000'000'000;
    for (const auto& [key, d] : e.destinations) {
        const auto ports = s.local_ports(d.netns);
        const TimeWaitCount& t = d.endings.time_waits;
        const std::uint64_t alive = t.alive(e.end_ns);
        const std::uint64_t rate = t.entered() / std::max<std::uint64_t>(watched_s, 1);
        const bool soon = watched_s >= least_watch_s && ports && rate * time_wait_s >= *ports;
        if (d.netns == 0 || !ports || reuses(s, d) || (2 * alive < *ports && !soon))
            continue;
        Finding f = about(d, "time_wait_pile_up", {});
        f.sure = Sure::likely;
        f.harm = Harm::wastes;
        f.n = alive;
        f.last_ns = e.end_ns;
        f.what = fmt::format("{} connections to {} are in TIME_WAIT, of {} local ports",
                             grouped(alive), to_string(d.remote), grouped(*ports));
        f.cause = fmt::format("{} closes first, about {} times a second, and each holds its port "
                              "for {} s",
                              who(d.client), grouped(rate), time_wait_s);
        f.counts = {{"time_wait", alive}, {"ports", *ports}, {"per_second", rate}};
        f.proof.push_back(fmt::format("ports run out at {} a second",
                                      grouped(std::max<std::uint64_t>(*ports / time_wait_s, 1))));
        f.remedies.push_back({"", "", "", "",
                              fmt::format("let pid {} keep connections open (HTTP keep-alive, a "
                                          "pool), or let the server close first",
                                          d.client.pid)});
        f.remedies.push_back(sysctl(s, d.netns, "net.ipv4.tcp_tw_reuse", "1",
                                    "connect() may take a port that has been in TIME_WAIT for a "
                                    "second (both ends need TCP timestamps)"));
        f.remedies.push_back(sysctl(s, d.netns, "net.ipv4.ip_local_port_range", "1024 65535",
                                    fmt::format("{} ports instead of {}", grouped(64512),
                                                grouped(*ports))));
        f.remedies.push_back({"", "net.ipv4.tcp_tw_recycle", "", "",
                              "never net.ipv4.tcp_tw_recycle: gone since Linux 4.12; it dropped "
                              "SYNs of clients behind a NAT, whose timestamps differ"});
        to.push_back(std::move(f));
    }
}

void time_wait_overflow(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [netns, seen] : e.time_wait_overflows) {
        Finding f;
        f.kind = "time_wait_overflow";
        f.harm = Harm::wastes;
        f.netns = netns;
        f.n = seen.n;
        f.first_ns = seen.first_ns;
        f.last_ns = seen.last_ns;
        f.examples.assign(seen.examples.begin(),
                          seen.examples.begin() + static_cast<std::ptrdiff_t>(seen.kept));
        take_process(f);
        const std::uint64_t now = s.number(netns, "net.ipv4.tcp_max_tw_buckets").value_or(0);
        f.what = fmt::format("{} found no room for TIME_WAIT and were cut short",
                             counted(f.n, "connection"));
        f.cause = fmt::format("net.ipv4.tcp_max_tw_buckets of {} is reached", grouped(now));
        f.counts = {{"overflows", f.n}, {"tcp_max_tw_buckets", now}};
        f.remedies.push_back(sysctl(s, netns, "net.ipv4.tcp_max_tw_buckets",
                                    std::to_string(std::max<std::uint64_t>(4 * now, 65536)),
                                    "some 250 bytes of memory for each; a late packet of the old "
                                    "connection cannot harm the next one then"));
        f.remedies.push_back({"", "", "", "",
                              "close less: HTTP keep-alive, a pool of connections"});
        to.push_back(std::move(f));
    }
}

void unread_data(const Evidence& e, const Settings&, Findings& to)
{
    constexpr std::uint64_t least = 3;
    constexpr std::uint64_t share = 100; // one in
    each_place(e, [&](const Endings& ends, const auto& about_it) {
        if (ends.unread.n < least || ends.unread.n * share < ends.closes)
            return;
        Finding f = about_it("unread_data", ends.unread);
        take_process(f);
        f.what = fmt::format("{} of {} connections {} were closed by a RST with data unread",
                             grouped(f.n), grouped(ends.closes), place_of(f));
        f.cause = fmt::format("{} closes before it has read all that came in; the kernel then "
                              "sends a RST, and the other end may lose what was on its way to it",
                              who(f.process));
        f.counts = {{"aborted", f.n}, {"closes", ends.closes}};
        f.remedies.push_back(
            {fmt::format("strace -f -e trace=network,read,close -p {}", f.process.pid), "", "", "",
             "what it leaves unread; let it shutdown(fd, SHUT_WR), read to the end, then close "
             "(nginx: lingering_close always;)"});
        to.push_back(std::move(f));
    });
}

void close_wait_leak(const Evidence& e, const Settings& s, Findings& to)
{
    constexpr std::uint64_t least = 3;
    each_place(e, [&](const Endings& ends, const auto& about_it) {
        if (ends.close_wait.n < least)
            return;
        Finding f = about_it("close_wait_leak", ends.close_wait);
        f.sure = Sure::likely;
        f.harm = Harm::wastes;
        take_process(f);
        f.what = fmt::format("{} {} stay in CLOSE_WAIT", counted(f.n, "connection"), place_of(f));
        f.cause = fmt::format("the other end has closed them; {} never does", who(f.process));
        f.counts = {{"close_wait", f.n}, {"closes", ends.closes}};
        f.remedies.push_back({fmt::format("{}ss -tnpo state close-wait | grep pid={},",
                                          s.enter(f.netns), f.process.pid),
                              "", "", "",
                              "all of them; each costs a descriptor. Look for the path in it that "
                              "does not close() when read() returns 0"});
        f.remedies.push_back({fmt::format("ls /proc/{}/fd | wc -l", f.process.pid), "", "", "",
                              "how many descriptors it has; until it is mended, restart it before "
                              "its limit is reached"});
        to.push_back(std::move(f));
    });
}

void timeouts(const Evidence& e, const Settings& s, Findings& to)
{
    each_place(e, [&](const Endings& ends, const auto& about_it) {
        if (ends.keepalive)
            timeout(s, to, about_it("keepalive_timeout", ends.keepalive),
                    "the other end did not answer keepalive probes: it, or the way to it, is gone; "
                    "or a NAT or firewall forgot the connection",
                    "net.ipv4.tcp_keepalive_time",
                    "a shorter one than the NAT's or firewall's memory keeps it alive");
        if (ends.retransmission)
            timeout(s, to, about_it("retransmission_timeout", ends.retransmission),
                    "what was sent was never acknowledged: the other end, or the way to it, is "
                    "gone",
                    "net.ipv4.tcp_retries2",
                    "how often it is sent again before that; TCP_USER_TIMEOUT sets a time per "
                    "socket");
        if (ends.user_timeout)
            timeout(s, to, about_it("user_timeout", ends.user_timeout),
                    "what was sent was not acknowledged within the process's TCP_USER_TIMEOUT",
                    "net.ipv4.tcp_retries2", "does not apply: the process set its own time");
    });
}

} // namespace tcpsaga::rules
