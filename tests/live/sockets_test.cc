// SPDX-License-Identifier: BSD-2-Clause
/* `tcpsaga sockets` beside ss and /proc/net/tcp, and its manners. */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "mixture.h"
#include "ss.h"

namespace live {
namespace {

using Sockets = Live;

std::vector<json> parse(const std::string& text)
{
    std::vector<json> all;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        all.push_back(parse_event(line));
    return all;
}

Ran sockets(const std::vector<std::string>& args)
{
    std::vector<std::string> argv{tcpsaga_path(), "sockets"};
    argv.insert(argv.end(), args.begin(), args.end());
    return run(std::move(argv));
}

std::vector<json> sockets_json(std::vector<std::string> args)
{
    args.emplace_back("--json");
    const Ran r = sockets(args);
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_EQ(r.err, "");
    return parse(r.out);
}

std::string end_of(const json& e, const char* addr, const char* port)
{
    const bool listens = !e.contains(port);
    std::string text = listens ? e["family"] == "ipv4" ? "0.0.0.0" : "::" : e[addr];
    if (text.find(':') != std::string::npos)
        text = "[" + text + "]";
    return text + ":" + (listens ? "*" : std::to_string(e[port].get<int>()));
}

HolderSet holders_of(const json& e)
{
    HolderSet all;
    if (e.contains("pid"))
        all.emplace(e["comm"], e["pid"].get<pid_t>(), e["fd"].get<int>());
    for (const json& h : e.value("holders", json::array()))
        all.emplace(h["comm"], h["pid"].get<pid_t>(), h["fd"].get<int>());
    return all;
}

/// What the kernel counts of SYN and FIN on top of payload.
void expect_payload(std::uint64_t counted, const json& payload, std::uint64_t most, const json& e)
{
    EXPECT_LE(payload.get<std::uint64_t>(), counted) << e;
    EXPECT_GE(payload.get<std::uint64_t>() + most, counted) << e;
}

/// `after`: read by ss once we had looked.
void expect_same(const json& e, const SsRow& ss, const SsRow& after)
{
    EXPECT_EQ(e["state"], ss.state) << e;
    EXPECT_EQ(e["rx_queue"], ss.rx_queue) << e;
    EXPECT_EQ(e["tx_queue"], ss.tx_queue) << e;
    EXPECT_EQ(end_of(e, "laddr", "lport"), ss.local) << e;
    if (e.contains("rport") || !ss.remote.starts_with("[")) {
        EXPECT_EQ(end_of(e, "raddr", "rport"), ss.remote) << e;
    }
    EXPECT_EQ(holders_of(e), ss.holders) << e;
    EXPECT_EQ(e.value("uid", 0U), ss.uid) << e;
    EXPECT_EQ(e.value("inode", 0U), ss.inode) << e;
    EXPECT_EQ(e.value("timer", ""), ss.timer.kind) << e;
    EXPECT_EQ(e.value("retries", 0), ss.timer.retries) << e;
    EXPECT_LT(e.value("timer_ms", 0U), ss.timer.ms + ss.timer.unit_ms) << e;
    EXPECT_GE(e.value("timer_ms", 0U), after.timer.ms) << e;
    if (!e.contains("tx_bytes"))
        return;
    EXPECT_LT(std::abs(e.value("srtt_us", 0) / 1000.0 - ss.rtt_ms), 0.001 + ss.rtt_ms * 1e-5) << e;
    EXPECT_EQ(e["retransmits"], ss.retransmits) << e;
    expect_payload(ss.bytes_acked, e["tx_bytes"], 2, e);
    expect_payload(ss.bytes_received, e["rx_bytes"], 1, e);
}

const std::vector<std::string> kernel_states{"",           "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
                                             "FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
                                             "CLOSE_WAIT", "LAST_ACK",    "LISTEN",    "CLOSING"};

void expect_same(const json& e, const ProcRow& proc)
{
    EXPECT_EQ(e["state"], kernel_states.at(static_cast<std::size_t>(proc.state))) << e;
    EXPECT_EQ(e["rx_queue"], proc.rx_queue) << e;
    EXPECT_EQ(e["state"] == "LISTEN" ? 0 : e["tx_queue"].get<std::uint64_t>(), proc.tx_queue) << e;
    EXPECT_EQ(e.value("inode", 0U), proc.inode) << e;
    if (e.contains("uid")) { // of a request it shows the listener's
        EXPECT_EQ(e["uid"], proc.uid) << e;
    }
}

/// All that one look at both namespaces gives, between two of ss.
struct Look {
    explicit Look(const Mixture& m) : pids{{m.here(), getpid()}, {m.there(), m.of_there()}}
    {
        const auto start = std::chrono::steady_clock::now();
        for (const auto& [netns, pid] : pids)
            before[netns] = read_ss(pid);
        rows =
            sockets_json({"--netns", std::to_string(m.here()) + "," + std::to_string(m.there())});
        for (const auto& [netns, pid] : pids) {
            proc[netns] = read_proc_net(pid);
            after[netns] = read_ss(pid);
        }
        took_ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                 std::chrono::steady_clock::now() - start)
                                                 .count());
    }

    /// As it is in both of ss's looks, and no timer can have fired between them.
    [[nodiscard]] bool stable(std::uint32_t netns, std::uint64_t conn) const
    {
        const auto first = before.at(netns).find(conn);
        const auto last = after.at(netns).find(conn);
        return first != before.at(netns).end() && last != after.at(netns).end() &&
               first->second.same_as(last->second) &&
               (first->second.timer.kind.empty() || first->second.timer.ms > took_ms);
    }

    std::map<std::uint32_t, pid_t> pids;
    std::map<std::uint32_t, std::map<std::uint64_t, SsRow>> before, after;
    std::map<std::uint32_t, std::map<std::pair<std::string, std::string>, ProcRow>> proc;
    std::vector<json> rows;
    std::uint64_t took_ms = 0;
};

using ByConn = std::map<std::uint64_t, json>;

/// Compares what did not move, and adds it.
void compare(const Look& look, ByConn& compared)
{
    std::set<std::uint64_t> seen;
    for (const json& e : look.rows) {
        const std::uint64_t conn = e["conn"];
        const std::uint32_t netns = e["netns"];
        EXPECT_TRUE(seen.insert(conn).second) << "twice: " << e;
        if (!look.stable(netns, conn))
            continue;
        const SsRow& ss = look.before.at(netns).at(conn);
        expect_same(e, ss, look.after.at(netns).at(conn));
        const auto proc = look.proc.at(netns).find({ss.local, ss.remote});
        EXPECT_NE(proc, look.proc.at(netns).end()) << e;
        if (proc != look.proc.at(netns).end())
            expect_same(e, proc->second);
        compared[conn] = e;
    }
    for (const auto& [netns, rows] : look.before)
        for (const auto& [conn, row] : rows)
            EXPECT_TRUE(seen.contains(conn) || !look.stable(netns, conn))
                << "not shown: " << row.state << " " << row.local << " " << row.remote;
}

std::set<std::string> values_of(const std::vector<json>& rows, const char* key)
{
    std::set<std::string> all;
    for (const json& e : rows)
        if (e.contains(key))
            all.insert(e[key].get<std::string>());
    return all;
}

TEST_F(Sockets, AreThoseOfSsAndProcFieldByField)
{
    const Mixture mixture;
    ByConn compared;
    bool all = false;
    for (int i = 0; i < 60 && !all; i++) { // some end meanwhile
        const Look look(mixture);
        compare(look, compared);
        if (HasFailure())
            return;
        all = std::ranges::all_of(look.rows,
                                  [&](const json& e) { return compared.contains(e["conn"]); });
    }
    EXPECT_TRUE(all) << "some were never the same twice";
    EXPECT_GE(compared.size(), 40U);
    std::vector<json> rows;
    for (const auto& [conn, e] : compared)
        rows.push_back(e);
    EXPECT_EQ(values_of(rows, "state"),
              (std::set<std::string>{"LISTEN", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT1",
                                     "FIN_WAIT2", "CLOSE_WAIT", "LAST_ACK", "CLOSING",
                                     "TIME_WAIT"}));
    EXPECT_EQ(values_of(rows, "timer"),
              (std::set<std::string>{"on", "keepalive", "timewait", "persist"}));
    EXPECT_EQ(values_of(rows, "family"), (std::set<std::string>{"ipv4", "ipv6"}));
}

json only(const std::vector<json>& rows, const json& pattern)
{
    const auto found = select(rows, pattern);
    EXPECT_EQ(found.size(), 1U) << pattern;
    return found.empty() ? json::object() : found[0];
}

TEST_F(Sockets, AreKnownToTheLastByte)
{
    const Mixture mixture;
    const auto rows = sockets_json({"--netns", std::to_string(mixture.here())});
    const json waiting = only(rows, {{"lport", Mixture::waiting_port}, {"state", "LISTEN"}});
    EXPECT_EQ(waiting["rx_queue"], 3);
    EXPECT_EQ(waiting["tx_queue"], 5);
    EXPECT_EQ(waiting["pid"], getpid());
    for (const json& child :
         select(rows, {{"lport", Mixture::waiting_port}, {"state", "ESTABLISHED"}}))
        EXPECT_FALSE(child.contains("pid")) << child;
    const json sender = only(rows, {{"lport", Mixture::unread_port}});
    EXPECT_EQ(sender["tx_bytes"], 7);
    EXPECT_EQ(sender["rx_bytes"], 0);
    const json reader = only(rows, {{"rport", Mixture::unread_port}});
    EXPECT_EQ(reader["rx_queue"], 7);
    EXPECT_EQ(reader["rx_bytes"], 7);
    const json half = only(rows, {{"lport", Mixture::half_port}});
    EXPECT_EQ(half["state"], "FIN_WAIT2");
    EXPECT_EQ(half["tx_bytes"], 5);
    const json other_half = only(rows, {{"rport", Mixture::half_port}});
    EXPECT_EQ(other_half["state"], "CLOSE_WAIT");
    EXPECT_EQ(other_half["rx_bytes"], 5);
    EXPECT_EQ(other_half["rx_queue"], 6); // with the FIN
    EXPECT_EQ(only(rows, {{"lport", Mixture::other_port}})["uid"], Mixture::other_uid);
    const json shared = only(rows, {{"lport", Mixture::shared_port}});
    ASSERT_EQ(shared["holders"].size(), 2U) << shared;
    EXPECT_EQ(shared["holders"][0]["pid"], std::min(getpid(), mixture.sharer()));
    EXPECT_EQ(shared["holders"][1]["pid"], std::max(getpid(), mixture.sharer()));
}

/// Of both namespaces when none is asked for, each as the one command of docs/sockets.md.
TEST_F(Sockets, AreCounted)
{
    const Mixture mixture;
    const std::string here = std::to_string(mixture.here());
    std::map<std::string, int> by_state;
    for (const json& e : sockets_json({"--netns", here}))
        by_state[e["state"]]++;
    std::map<std::string, int> counted;
    std::vector<int> order;
    for (const json& e : sockets_json({"--netns", here, "--by", "state"})) {
        counted[e["state"]] = e["n"];
        order.push_back(e["n"]);
        EXPECT_EQ(e["event"], "socket_count");
        EXPECT_EQ(e["by"], "state");
        EXPECT_EQ(e["key"], e["state"]);
    }
    EXPECT_EQ(counted, by_state);
    EXPECT_TRUE(std::ranges::is_sorted(order, std::greater{}));
    const auto remotes = sockets_json({"--netns", here, "--state", "SYN_RECV", "--by", "remote"});
    EXPECT_EQ(values_of(remotes, "key"), (std::set<std::string>{"192.0.2.2", "192.0.2.3"}));
    const auto listeners = sockets_json({"--netns", here, "--by", "listener"});
    EXPECT_EQ(only(listeners, {{"key", "127.0.0.1:81"}})["n"], 3);
    EXPECT_EQ(only(listeners, {{"key", "[::]:86"}})["n"], 1);
    const auto processes = sockets_json({"--by", "process"});
    EXPECT_EQ(select(processes, {{"key", std::to_string(mixture.of_there()) + "/peer"}}).size(),
              1U);
}

TEST_F(Sockets, AreFiltered)
{
    const Mixture mixture;
    const std::string port = std::to_string(Mixture::waiting_port);
    const auto listens = sockets_json({"--listening", "--lport", port, "--netns", "self"});
    ASSERT_EQ(listens.size(), 1U);
    EXPECT_EQ(listens[0]["state"], "LISTEN");
    for (const json& e : sockets_json({"--pid", std::to_string(mixture.sharer())}))
        EXPECT_EQ(e["lport"], Mixture::shared_port);
    EXPECT_EQ(sockets_json({"--pid", std::to_string(mixture.sharer())}).size(), 1U);
    const auto far = sockets_json({"--netns", std::to_string(mixture.there())});
    EXPECT_EQ(far.size(), 3U); // listener, client, child
    for (const json& e : far)
        EXPECT_EQ(e["netns"], mixture.there());
    EXPECT_EQ(only(far, {{"state", "LISTEN"}})["pid"], mixture.of_there());
    for (const json& e : sockets_json({"-6", "--netns", "self"}))
        EXPECT_EQ(e["family"], "ipv6");
    EXPECT_EQ(sockets_json({"--addr", "192.0.2.9", "--netns", "self"}).size(), 5U);
}

TEST_F(Sockets, ComeAsAlignedText)
{
    const Mixture mixture;
    const Ran r = sockets({"--lport", std::to_string(Mixture::waiting_port), "--netns", "self"});
    std::istringstream lines(r.out);
    std::string header;
    std::string first;
    std::getline(lines, header);
    std::getline(lines, first);
    EXPECT_EQ(header.substr(0, header.find("  ")), "STATE");
    const auto at = [&](const char* title) { return header.find(title); };
    EXPECT_EQ(first.substr(at("LOCAL"), 12), "127.0.0.1:81");
    EXPECT_EQ(first.substr(at("REMOTE"), 9), "0.0.0.0:*");
    EXPECT_EQ(first.substr(at("PID/COMM"), std::to_string(getpid()).size()),
              std::to_string(getpid()));
    EXPECT_EQ(header.find("NETNS"), std::string::npos);
    const std::string both = std::to_string(mixture.here()) + "," + std::to_string(mixture.there());
    EXPECT_NE(sockets({"--netns", both}).out.find("NETNS"), std::string::npos);
}

TEST_F(Sockets, AreShownWithCommandLinesWhenAsked)
{
    const Server server("127.0.0.1");
    const std::vector<std::string> args{"--listening", "--lport", std::to_string(server.port)};
    EXPECT_FALSE(only(sockets_json(args), {}).contains("cmdline"));
    auto with = args;
    with.emplace_back("--cmdline");
    const std::string command = only(sockets_json(with), {})["cmdline"];
    EXPECT_TRUE(command.starts_with(peer_path() + " serve 127.0.0.1 ")) << command;
}

/// A process may call itself anything.
TEST_F(Sockets, OfAHostileNameAreHarmless)
{
    const Mixture mixture;
    const std::string pid = std::to_string(getpid());
    std::array<char, 16> name{};
    prctl(PR_GET_NAME, name.data());
    prctl(PR_SET_NAME, "\x1b[2J\n\"\xff");
    const std::vector<std::string> args{"--lport", std::to_string(Mixture::unread_port), "--pid",
                                        pid};
    const Ran r = sockets(args);
    const auto rows = sockets_json(args);
    prctl(PR_SET_NAME, name.data());
    EXPECT_EQ(only(rows, {})["comm"], "\x1b[2J\n\"\xef\xbf\xbd");
    EXPECT_NE(r.out.find(pid + "/\\x1b[2J\\x0a\"\\xff "), std::string::npos) << r.out;
    EXPECT_EQ(r.out.find('\x1b'), std::string::npos);
}

TEST_F(Sockets, WithoutRootAreWhatMayBeSeen)
{
    const Mixture mixture;
    const Ran r = run({"setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534",
                       "--clear-groups", tcpsaga_path(), "sockets", "--json"});
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_EQ(r.err, "tcpsaga: processes of other users are not shown; run it with sudo to see "
                     "them\n");
    const auto rows = parse(r.out);
    const auto all = sockets_json({"--netns", "self"});
    EXPECT_EQ(rows.size(), all.size());
    for (const json& e : rows)
        EXPECT_FALSE(e.contains("pid")) << e;
}

TEST_F(Sockets, AnUnknownNamespaceIsNamed)
{
    const Ran r = sockets({"--netns", "7"});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.out, "");
    EXPECT_EQ(r.err, "tcpsaga: cannot look into network namespace 7; it has no name, and no "
                     "process that we may look at lives in it\n");
}

/// What a namespace keeps when all its processes have gone. `ip netns` is at work in a mount
/// namespace that goes with the shell.
TEST_F(Sockets, OfANamespaceWithoutProcesses)
{
    const Ran r = run({"unshare", "-m", "sh", "-ec",
                       "ip netns add saga; ip -n saga link set lo up; "
                       "ip netns exec saga " +
                           peer_path() +
                           " serve 127.0.0.1 8080 1 | { "
                           "read port; ip netns exec saga " +
                           peer_path() +
                           " storm 127.0.0.1 8080 1; "
                           "cat; }; " +
                           tcpsaga_path() + " sockets --netns saga --by netns,state; " +
                           tcpsaga_path() + " sockets --netns saga --json; ip netns del saga"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.out.find("COUNT  NETNS  STATE\n    1  saga   TIME_WAIT\n{"), 0U) << r.out;
    const json e = json::parse(r.out.substr(r.out.find('{')));
    EXPECT_EQ(e["state"], "TIME_WAIT");
    EXPECT_EQ(e["rport"], 8080);
    EXPECT_FALSE(e.contains("pid"));
}

TEST_F(Sockets, GoToAFileOrAFullDiskOrAClosedPipe)
{
    const Mixture mixture;
    const std::string path = testing::TempDir() + "sockets." + std::to_string(getpid());
    const Ran r = sockets({"--netns", "self", "--by", "state", "-o", path});
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_EQ(r.out, "");
    struct stat st {};
    ASSERT_EQ(stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
    EXPECT_GT(st.st_size, 0);
    unlink(path.c_str());
    const Ran full = sockets({"-o", "/dev/full"});
    EXPECT_EQ(full.exit_code, 1);
    EXPECT_NE(full.err.find("tcpsaga: cannot write to /dev/full: No space left on device"),
              std::string::npos)
        << full.err;
    const Ran closed =
        run({"bash", "-c", tcpsaga_path() + " sockets --json | true; echo ${PIPESTATUS[0]}"});
    EXPECT_EQ(closed.out, "0\n");
    EXPECT_EQ(closed.err, "");
}

} // namespace
} // namespace live
