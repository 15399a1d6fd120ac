// SPDX-License-Identifier: BSD-2-Clause
/* Listeners: what their queues turned away, and why these were full. */
#include <algorithm>
#include <bit>

#include "rules.h"

namespace tcpsaga::rules {
namespace {

constexpr std::uint64_t second_us = 1'000'000;

/// Who accepts: the process whose accept() failed, else the owner.
const Process& acceptor(const ListenerEvidence& l)
{
    return l.starved.known() ? l.starved : l.owner;
}

void add_waits(Finding& f, const ListenerEvidence& l)
{
    if (l.accept_wait_us.count() == 0)
        return;
    f.counts.emplace_back("accept_wait_us_p50", l.accept_wait_us.percentile(50));
    f.counts.emplace_back("accept_wait_us_p99", l.accept_wait_us.percentile(99));
    f.counts.emplace_back("between_accepts_us_p50", l.service_us.percentile(50));
    f.proof.push_back(
        fmt::format("{} accepted; waited p50 {} p99 {} max {}; from one accept() to the next {}",
                    grouped(l.accepts), time_of(l.accept_wait_us.percentile(50)),
                    time_of(l.accept_wait_us.percentile(99)), time_of(l.accept_wait_us.max()),
                    time_of(l.service_us.percentile(50))));
}

/// A queue that would have taken what came in the worst second, twice.
std::uint64_t enough(const ListenerEvidence& l)
{
    constexpr std::uint64_t least = 128;
    constexpr std::uint64_t most = 65535;
    const std::uint64_t need = l.backlog + 1 + l.full_peak.most;
    return std::min(std::max(std::bit_ceil(2 * need), least), most);
}

/// How long the last one of a queue that took them all would have waited.
std::uint64_t drain_us(const ListenerEvidence& l)
{
    return (l.backlog + 1 + l.full_peak.most) * l.service_us.percentile(50);
}

void add_backlog_remedies(Finding& f, const ListenerEvidence& l, const Settings& s)
{
    const std::string want = std::to_string(enough(l));
    const auto limit = s.number(l.netns, "net.core.somaxconn");
    const bool raise_limit = limit && *limit < enough(l);
    const std::string room = fmt::format(
        "room for {} instead of {}; the last of the worst second would have waited {}, not the {} "
        "after which a dropped SYN is sent again",
        grouped(enough(l) + 1), grouped(l.backlog + 1), time_of(drain_us(l)),
        time_of(syn_timeout_us));
    if (raise_limit)
        f.remedies.push_back(sysctl(s, l.netns, "net.core.somaxconn", want,
                                    "the limit of every listen() from then on in this network "
                                    "namespace"));
    const bool asks_enough = l.asked && *l.asked >= enough(l);
    Remedy r;
    r.setting = "backlog";
    r.now = std::to_string(l.backlog);
    r.want = want;
    const bool nginx = l.owner.name() == "nginx";
    if (asks_enough)
        r.meaning = fmt::format("restart pid {}, which asks for {} already: {}", l.owner.pid,
                                grouped(*l.asked), room);
    else if (nginx) {
        r.command =
            fmt::format("nginx -T 2>/dev/null | grep -nE 'file |listen[^;]*{}'", l.local.port);
        r.meaning = fmt::format("write backlog={} into this \"listen\", then nginx -s reload: {}",
                                want, room);
    } else
        r.meaning = fmt::format("let pid {} call listen(fd, {}) and restart it: {}", l.owner.pid,
                                want, room);
    f.remedies.push_back(std::move(r));
}

void backlog_too_small(Finding& f, const ListenerEvidence& l, const Settings& s)
{
    const auto limit = s.number(l.netns, "net.core.somaxconn");
    const bool capped = l.asked ? *l.asked > l.backlog : limit && *limit == l.backlog;
    f.sure = l.accepts >= 10 && (l.asked || !capped) ? Sure::certain : Sure::likely;
    if (capped) {
        f.kind = "accept_queue_somaxconn";
        f.cause = l.asked ? fmt::format("net.core.somaxconn cut the backlog of {} that it asked "
                                        "for to {}",
                                        grouped(*l.asked), grouped(l.backlog))
                          : fmt::format("its backlog of {} is what net.core.somaxconn allows",
                                        grouped(l.backlog));
    } else {
        f.kind = "accept_queue_backlog";
        f.cause = fmt::format("its backlog of {} is too small for the bursts that come; it accepts "
                              "fast enough",
                              grouped(l.backlog));
    }
    add_backlog_remedies(f, l, s);
}

void accepts_slowly(Finding& f, const ListenerEvidence& l)
{
    f.kind = "accept_queue_slow";
    f.sure = l.service_us.count() >= 10 ? Sure::certain : Sure::likely;
    const std::uint64_t us = std::max<std::uint64_t>(l.service_us.percentile(50), 1);
    f.cause = fmt::format("it accepts too slowly: one in {}, which is {} a second; a longer queue "
                          "would only let them wait",
                          time_of(us), grouped(std::max<std::uint64_t>(second_us / us, 1)));
    f.remedies.push_back(
        {fmt::format("top -H -p {}", l.owner.pid), "", "", "",
         "see what it does between two accept()s; accept in a thread or a loop that does nothing "
         "else, or run more of them with SO_REUSEPORT (nginx: more worker_processes)"});
}

void does_not_accept(Finding& f, const ListenerEvidence& l, const Settings& s)
{
    f.kind = "accept_queue_blocked";
    f.sure = Sure::likely;
    f.cause = l.accepts == 0
                  ? "it did not accept at all: it is blocked, or busy with something else"
                  : fmt::format("it stopped accepting for {}: it was blocked, or busy with "
                                "something else",
                                time_of(l.longest_stall_us));
    const auto looks = s.looks.find(l.owner.pid);
    if (looks != s.looks.end() && !looks->second.asleep.empty()) {
        const auto most = std::ranges::max_element(looks->second.asleep, {},
                                                   [](const auto& x) { return x.second; });
        f.proof.push_back(fmt::format("asleep in {} at {} of {} looks while the queue was full",
                                      most->first, most->second, looks->second.n));
    }
    f.remedies.push_back({fmt::format("cat /proc/{0}/stack; gdb -p {0} -batch -ex 'thread apply "
                                      "all backtrace'",
                                      l.owner.pid),
                          "", "", "", "where it hangs; a lock, a slow disk or a slow upstream?"});
}

void is_stopped(Finding& f, const ListenerEvidence& l, std::uint32_t pid)
{
    f.kind = "accept_queue_stopped";
    f.sure = Sure::certain;
    f.cause =
        fmt::format("process {} is stopped (SIGSTOP, Ctrl-Z or a debugger); nothing accepts", pid);
    f.counts.emplace_back("stopped_pid", pid);
    f.remedies.push_back({fmt::format("kill -CONT {}", pid), "", "stopped", "running",
                          fmt::format("it goes on, and takes the {} that wait",
                                      grouped(l.backlog + 1))});
}

/// Why it was full: stopped, blocked, slow, or too short. A longer queue is the answer when it
/// would have been drained before a dropped SYN is sent again.
void find_cause(Finding& f, const ListenerEvidence& l, const Settings& s)
{
    constexpr std::uint64_t slow_us = 100'000;
    const auto looks = s.looks.find(l.owner.pid);
    const std::uint64_t service = l.service_us.percentile(50);
    const bool stalled = l.accepts == 0 || (2 * l.full_in_stalls > l.full.n && service < slow_us);
    if (looks != s.looks.end() && looks->second.stopped != 0 && stalled)
        return is_stopped(f, l, looks->second.stopped);
    if (stalled)
        return does_not_accept(f, l, s);
    if (drain_us(l) > syn_timeout_us)
        return accepts_slowly(f, l);
    backlog_too_small(f, l, s);
}

Finding starved(const ListenerEvidence& l, const Settings& s)
{
    constexpr std::uint64_t least = 65536;
    Finding f = about(l, "descriptor_limit", l.no_descriptor);
    f.process = acceptor(l);
    const std::uint64_t limit = l.fd_limit.value_or(0);
    const std::uint64_t most = s.number(0, "fs.nr_open").value_or(1'048'576);
    const std::string want =
        std::to_string(std::min(std::max(std::bit_ceil(4 * limit), least), most));
    f.what = fmt::format("accept() on {} failed {} times: {} has no descriptor left",
                         to_string(l.local), grouped(f.n), who(f.process));
    f.cause = l.fd_limit ? fmt::format("its descriptor limit (RLIMIT_NOFILE) is {} (EMFILE)",
                                       grouped(limit))
                         : "its descriptor limit (RLIMIT_NOFILE) is reached (EMFILE)";
    f.remedies.push_back({fmt::format("prlimit --pid {0} --nofile={1}:{1}", f.process.pid, want),
                          "RLIMIT_NOFILE", l.fd_limit ? std::to_string(limit) : "", want,
                          fmt::format("room for {} descriptors, at once and until it restarts; for "
                                      "good LimitNOFILE={} in its systemd unit{}",
                                      grouped(std::stoull(want)), want,
                                      f.process.name() == "nginx"
                                          ? ", worker_rlimit_nofile " + want + "; in nginx.conf"
                                          : "")});
    f.remedies.push_back({fmt::format("ls -l /proc/{}/fd | awk '{{print $NF}}' | sort | uniq -c | "
                                      "sort -rn | head",
                                      f.process.pid),
                          "", "", "", "what it has open: if that only grows, it leaks"});
    return f;
}

Finding out_of_files(const ListenerEvidence& l, const Settings& s)
{
    Finding f = about(l, "file_limit", l.no_file);
    f.process = acceptor(l);
    const std::uint64_t now = s.number(0, "fs.file-max").value_or(0);
    f.what = fmt::format("accept() on {} failed {} times: the host has no open file left",
                         to_string(l.local), grouped(f.n));
    f.cause = fmt::format("fs.file-max of {} is reached (ENFILE)", grouped(now));
    f.remedies.push_back(sysctl(s, 0, "fs.file-max", std::to_string(std::max(2 * now, 100'000UL)),
                                "twice as many for all processes together"));
    f.remedies.push_back({"cat /proc/sys/fs/file-nr", "", "", "", "how many are open now"});
    return f;
}

void add_full(Finding& f, const ListenerEvidence& l)
{
    const std::uint64_t n = l.full.n + l.dropped.n;
    if (n == 0)
        return;
    f.counts.emplace_back("dropped", n);
    f.counts.emplace_back("worst_second", l.full_peak.most);
    f.proof.push_back(fmt::format("{} packets met a full queue of {}, {} of them in the worst "
                                  "second",
                                  grouped(n), grouped(l.backlog + 1), grouped(l.full_peak.most)));
}

/// By what waited, and for how long.
bool must_have_been_full(const ListenerEvidence& l)
{
    return l.waiting > l.backlog ||
           (l.accepts != 0 && l.accept_wait_us.max() >= l.backlog * l.service_us.percentile(50));
}

/// accept() fails for want of descriptors, so the queue fills.
bool lacks_descriptors(const ListenerEvidence& l)
{
    const Sighting& why = l.no_descriptor ? l.no_descriptor : l.no_file;
    constexpr std::uint64_t before_ns = 2'000'000'000;
    return why && (!l.full || l.full.first_ns + before_ns >= why.first_ns);
}

} // namespace

void descriptor_limit(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, l] : e.listeners) {
        if ((!l.no_descriptor && !l.no_file) || l.netns == 0)
            continue;
        Finding f = l.no_descriptor ? starved(l, s) : out_of_files(l, s);
        f.counts.emplace_back("failed", f.n);
        if (lacks_descriptors(l))
            add_full(f, l);
        add_waits(f, l);
        to.push_back(std::move(f));
    }
}

void accept_queue(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, l] : e.listeners) {
        if ((!l.full && !l.dropped) || lacks_descriptors(l) || l.netns == 0)
            continue;
        Finding f = about(l, "accept_queue", l.full ? l.full : l.dropped);
        f.n = l.full.n + l.dropped.n;
        f.what = fmt::format("the accept queue of {} overflows: {} dropped", to_string(l.local),
                             counted(f.n, "packet"));
        add_full(f, l);
        find_cause(f, l, s);
        add_waits(f, l);
        if (!l.full) // only a look now and then, when it had room again
            f.sure = std::max(f.sure, must_have_been_full(l) ? Sure::likely : Sure::possible);
        to.push_back(std::move(f));
    }
}

void abort_on_overflow(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, l] : e.listeners) {
        if (!l.full_rst || l.netns == 0)
            continue;
        Finding f = about(l, "abort_on_overflow", l.full_rst);
        f.what = fmt::format("{} got a RST for their final ACK at {}'s full accept queue",
                             counted(f.n, "client"), to_string(l.local));
        f.cause = "net.ipv4.tcp_abort_on_overflow is on: connections that were up to the client "
                  "are cut off";
        f.counts.emplace_back("resets", f.n);
        f.remedies.push_back(sysctl(s, l.netns, "net.ipv4.tcp_abort_on_overflow", "0",
                                    "their data is sent again and finds room when accept() has "
                                    "made some"));
        to.push_back(std::move(f));
    }
}

void syn_queue(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, l] : e.listeners) {
        if ((!l.syn_drops && !l.syn_cookies) || l.netns == 0)
            continue;
        const bool drops = l.syn_drops.n != 0;
        Finding f = about(l, drops ? "syn_queue_full" : "syn_queue_cookies",
                          drops ? l.syn_drops : l.syn_cookies);
        f.harm = drops ? Harm::fails : Harm::delays;
        f.what = drops ? fmt::format("{} dropped at {}: the SYN queue is full", counted(f.n, "SYN"),
                                     to_string(l.local))
                       : fmt::format("{} answered with a cookie at {}: the SYN queue is full",
                                     counted(f.n, "SYN"), to_string(l.local));
        const bool flood = 10 * l.births < l.syn_drops.n + l.syn_cookies.n;
        f.sure = flood ? Sure::likely : Sure::certain;
        f.cause = flood ? "few of those who send SYNs go on: a SYN flood, or answers that do not "
                          "reach them"
                        : "more handshakes at once than the queue holds";
        f.counts = {{"dropped", l.syn_drops.n},
                    {"cookies", l.syn_cookies.n},
                    {"half_open_given_up", l.synack_timeouts.n},
                    {"births", l.births}};
        f.proof.push_back(fmt::format("{} SYNs dropped, {} cookies, {} half-open given up, {} "
                                      "handshakes completed",
                                      grouped(l.syn_drops.n), grouped(l.syn_cookies.n),
                                      grouped(l.synack_timeouts.n), grouped(l.births)));
        if (drops)
            f.remedies.push_back(sysctl(s, l.netns, "net.ipv4.tcp_syncookies", "1",
                                        "a full SYN queue then costs options, not connections"));
        const auto now = s.number(l.netns, "net.ipv4.tcp_max_syn_backlog");
        if (l.max_syn_backlog && now)
            f.remedies.push_back(sysctl(s, l.netns, "net.ipv4.tcp_max_syn_backlog",
                                        std::to_string(4 * *now),
                                        "room for four times as many half-open connections"));
        else if (!flood)
            add_backlog_remedies(f, l, s);
        to.push_back(std::move(f));
    }
}

void not_accepting(const Evidence& e, const Settings& s, Findings& to)
{
    for (const auto& [key, l] : e.listeners) {
        const auto queue = std::ranges::find_if(s.queues, [&, &l = l](const QueueNow& q) {
            return q.netns == l.netns && q.local == l.local;
        });
        if (l.full || l.dropped || l.ended || queue == s.queues.end() || queue->acceptq == 0 ||
            l.used_unaccepted != 0 || !e.accepts_seen)
            continue;
        const std::uint64_t since = std::max({e.begin_ns, l.last_accept_ns, l.waiting_since_ns});
        const std::uint64_t us = e.end_ns > since ? (e.end_ns - since) / 1000 : 0;
        if (us < second_us)
            continue;
        Finding f = about(l, "not_accepting", {});
        f.n = queue->acceptq;
        f.first_ns = since;
        f.last_ns = e.end_ns;
        f.sure = l.waiting != 0 ? Sure::certain : Sure::likely;
        f.harm = Harm::delays;
        f.what = fmt::format("{} wait{} at {} and {} does not accept", counted(f.n, "connection"),
                             f.n == 1 ? "s" : "", to_string(l.local), who(l.owner));
        f.cause = fmt::format("no accept() for {}: it is blocked, or busy with something else",
                              time_of(us));
        f.counts = {{"waiting", queue->acceptq}, {"not_accepted_for_us", us}};
        f.remedies.push_back({fmt::format("cat /proc/{}/stack", l.owner.pid), "", "", "",
                              "where it hangs"});
        to.push_back(std::move(f));
    }
}

} // namespace tcpsaga::rules
