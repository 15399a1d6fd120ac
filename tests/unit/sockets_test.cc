// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rendering.h"
#include "schema.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;

Endpoint end(const std::string& addr, std::uint16_t port)
{
    return {parse_cidr(addr)->addr, port};
}

Process process(std::uint32_t pid, std::string_view comm, std::uint32_t uid = 0)
{
    Process p;
    p.pid = pid;
    p.uid = uid;
    p.from = PidFrom::snapshot;
    comm.copy(p.comm.data(), p.comm.size());
    return p;
}

const Process nginx = process(812, "nginx");
const Process worker = process(813, "nginx", 33);
const Process curl = process(900, "curl", 1000);
const Process hostile = process(7, "\x1b[2J\n\"\xff,:/");

/// A row of a socket that somebody holds.
SocketRow row(State state, const Endpoint& local, const Endpoint& remote,
              std::vector<Holder> holders = {})
{
    SocketRow r;
    r.tuple = {local, remote, 4026531840};
    r.family = local.addr.is_v4() || remote.addr.is_v4() ? 4 : 6;
    r.state = state;
    r.cookie = std::uint64_t{local.port} << 16 | remote.port;
    r.inode = holders.empty() ? 0 : 5000U + local.port;
    r.holders = std::move(holders);
    return r;
}

SocketRow listener()
{
    SocketRow r = row(State::listen, end("0.0.0.0", 80), end("0.0.0.0", 0),
                      {{nginx, 6}, {nginx, 9}, {worker, 6}});
    r.rx_queue = 3;
    r.tx_queue = 511;
    return r;
}

SocketRow established()
{
    SocketRow r =
        row(State::established, end("192.0.2.1", 80), end("198.51.100.7", 40001), {{worker, 11}});
    r.uid = 33;
    r.rx_queue = 12;
    r.tx_queue = 4096;
    r.timer = SocketTimer::on;
    r.timer_ms = 208;
    r.retries = 2;
    r.tx_bytes = 1'000'000;
    r.rx_bytes = 77;
    r.rtt_us = 12'345;
    r.retransmits = 5;
    return r;
}

SocketRow time_wait()
{
    SocketRow r = row(State::time_wait, end("192.0.2.1", 80), end("198.51.100.7", 40002));
    r.timer = SocketTimer::time_wait;
    r.timer_ms = 59'990;
    return r;
}

SocketRow request()
{
    SocketRow r = row(State::new_syn_recv, end("192.0.2.1", 80), end("198.51.100.9", 1025));
    r.timer = SocketTimer::on;
    r.timer_ms = 999;
    return r;
}

SocketRow client()
{
    SocketRow r =
        row(State::established, end("2001:db8::1", 50'000), end("2001:db8::2", 443), {{curl, 5}});
    r.timer = SocketTimer::keepalive;
    r.timer_ms = 119'500;
    r.tx_bytes = 1;
    return r;
}

SocketRow orphan()
{
    SocketRow r = row(State::fin_wait1, end("192.0.2.1", 22), end("203.0.113.5", 6000));
    r.tx_queue = 1;
    r.timer = SocketTimer::persist;
    r.timer_ms = 12'000;
    r.retries = 3;
    r.retransmits = 1;
    return r;
}

SocketRow elsewhere()
{
    SocketRow r = row(State::listen, end("::", 80), end("::", 0), {{hostile, 3}});
    r.tuple.netns = 4026532000;
    return r;
}

std::vector<SocketRow> all_kinds()
{
    return {orphan(), client(), elsewhere(), request(), listener(), time_wait(), established()};
}

std::vector<std::uint16_t> lports(const ChosenSockets& sockets)
{
    std::vector<std::uint16_t> ports;
    for (const SocketRow* r : sockets)
        ports.push_back(r->tuple.local.port);
    return ports;
}

std::vector<State> states_of(const ChosenSockets& sockets)
{
    std::vector<State> states;
    for (const SocketRow* r : sockets)
        states.push_back(r->state);
    return states;
}

// ---- which, in which order -----------------------------------------------------------------

TEST(sockets, come_by_namespace_listeners_first_then_by_their_ends)
{
    const auto rows = all_kinds();
    const auto all = choose_sockets(rows, {}, {});
    EXPECT_THAT(states_of(all),
                ElementsAre(State::listen, State::fin_wait1, State::established, State::time_wait,
                            State::new_syn_recv, State::established, State::listen));
    EXPECT_THAT(lports(all), ElementsAre(80, 22, 80, 80, 80, 50'000, 80));
}

TEST(sockets, are_chosen_by_place)
{
    const auto rows = all_kinds();
    Filter f;
    f.rports = {443};
    EXPECT_THAT(lports(choose_sockets(rows, f, {})), ElementsAre(50'000));
    f = {};
    f.family = 6;
    EXPECT_THAT(lports(choose_sockets(rows, f, {})), ElementsAre(50'000, 80));
    f = {};
    f.cidrs = {*parse_cidr("203.0.113.0/24")};
    EXPECT_THAT(lports(choose_sockets(rows, f, {})), ElementsAre(22));
    f = {};
    f.netns = {4026532000};
    EXPECT_THAT(lports(choose_sockets(rows, f, {})), ElementsAre(80));
}

TEST(sockets, are_chosen_by_any_holder)
{
    const auto rows = all_kinds();
    Filter f;
    f.pids = {813};
    EXPECT_THAT(states_of(choose_sockets(rows, f, {})),
                ElementsAre(State::listen, State::established));
    f = {};
    f.comms = {"curl"};
    EXPECT_THAT(lports(choose_sockets(rows, f, {})), ElementsAre(50'000));
    f.pids = {813}; // of one and the same process
    EXPECT_THAT(choose_sockets(rows, f, {}), IsEmpty());
}

TEST(sockets, are_chosen_by_state_and_a_request_is_in_syn_recv)
{
    const auto rows = all_kinds();
    EXPECT_THAT(states_of(choose_sockets(rows, {}, {"SYN_RECV", "TIME_WAIT"})),
                ElementsAre(State::time_wait, State::new_syn_recv));
    EXPECT_THAT(choose_sockets(rows, {}, {"CLOSE_WAIT"}), IsEmpty());
}

// ---- counts --------------------------------------------------------------------------------

using Counted = std::vector<std::pair<std::string, std::uint64_t>>;

Counted count(const std::vector<SocketRow>& rows, const std::vector<SocketKey>& keys,
              const SocketNames& names = {})
{
    Counted counted;
    for (const SocketCount& c : count_sockets(rows, choose_sockets(rows, {}, {}), keys, names)) {
        std::string key;
        for (const std::string& value : c.keys)
            key += (key.empty() ? "" : " ") + value;
        counted.emplace_back(key, c.n);
    }
    return counted;
}

TEST(socket_counts, are_most_first_then_by_name)
{
    EXPECT_EQ(count(all_kinds(), {SocketKey::state}), (Counted{{"ESTABLISHED", 2},
                                                               {"LISTEN", 2},
                                                               {"FIN_WAIT1", 1},
                                                               {"SYN_RECV", 1},
                                                               {"TIME_WAIT", 1}}));
}

TEST(socket_counts, by_remote_are_without_port_and_without_listeners)
{
    EXPECT_EQ(count(all_kinds(), {SocketKey::remote}), (Counted{{"198.51.100.7", 2},
                                                                {"198.51.100.9", 1},
                                                                {"2001:db8::2", 1},
                                                                {"203.0.113.5", 1}}));
    EXPECT_EQ(count(all_kinds(), {SocketKey::rport}),
              (Counted{{"1025", 1}, {"40001", 1}, {"40002", 1}, {"443", 1}, {"6000", 1}}));
}

TEST(socket_counts, by_process_take_the_first_holder)
{
    EXPECT_EQ(count(all_kinds(), {SocketKey::process}), (Counted{{"-", 3},
                                                                 {"7/\x1b[2J\n\"\xff,:/", 1},
                                                                 {"812/nginx", 1},
                                                                 {"813/nginx", 1},
                                                                 {"900/curl", 1}}));
}

TEST(socket_counts, by_listener_know_where_a_connection_was_accepted)
{
    std::vector<SocketRow> rows = all_kinds();
    EXPECT_EQ(count(rows, {SocketKey::listener}), (Counted{{"0.0.0.0:80", 3}}));
    // The listener of that very address is nearer.
    rows.push_back(row(State::listen, end("192.0.2.1", 80), end("0.0.0.0", 0)));
    EXPECT_EQ(count(rows, {SocketKey::listener}), (Counted{{"192.0.2.1:80", 3}}));
    // One on :: takes both families, but in its own namespace only.
    rows = {established(), client(), row(State::listen, end("::", 80), end("::", 0)),
            row(State::listen, end("::", 50'000), end("::", 0))};
    EXPECT_EQ(count(rows, {SocketKey::listener}), (Counted{{"[::]:50000", 1}, {"[::]:80", 1}}));
    rows = {established(), elsewhere()};
    EXPECT_EQ(count(rows, {SocketKey::listener}), Counted{});
    // 0.0.0.0 does not take IPv6.
    rows = {client(), row(State::listen, end("0.0.0.0", 50'000), end("0.0.0.0", 0))};
    EXPECT_EQ(count(rows, {SocketKey::listener}), Counted{});
}

TEST(socket_counts, by_listener_look_among_all_sockets)
{
    const auto rows = all_kinds();
    const auto counts =
        count_sockets(rows, choose_sockets(rows, {}, {"TIME_WAIT"}), {SocketKey::listener}, {});
    ASSERT_EQ(counts.size(), 1U);
    EXPECT_EQ(counts[0].n, 1U);
}

TEST(socket_counts, by_container_ask_once_for_each_process)
{
    int asked = 0;
    SocketNames names;
    names.container = [&](std::uint32_t pid) {
        asked++;
        return pid == 900 ? std::string() : "web-" + std::to_string(pid);
    };
    std::vector<SocketRow> rows = all_kinds();
    rows.push_back(established());
    EXPECT_EQ(count(rows, {SocketKey::container}, names),
              (Counted{{"-", 4}, {"web-813", 2}, {"web-7", 1}, {"web-812", 1}}));
    EXPECT_EQ(asked, 4);
}

TEST(socket_counts, by_namespace_have_its_name)
{
    SocketNames names;
    names.netns = [](std::uint32_t inode) {
        return std::string(inode == 4026532000 ? "blue" : "");
    };
    EXPECT_EQ(count(all_kinds(), {SocketKey::netns}, names),
              (Counted{{"4026531840", 6}, {"blue", 1}}));
}

TEST(socket_counts, by_several_keys)
{
    EXPECT_EQ(count({established(), time_wait(), established()},
                    {SocketKey::remote, SocketKey::state, SocketKey::lport}),
              (Counted{{"198.51.100.7 ESTABLISHED 80", 2}, {"198.51.100.7 TIME_WAIT 80", 1}}));
}

TEST(socket_counts, have_keys_by_name)
{
    for (const char* name :
         {"state", "remote", "rport", "lport", "process", "listener", "container", "netns"}) {
        ASSERT_TRUE(socket_key(name)) << name;
        EXPECT_EQ(name_of(*socket_key(name)), name);
    }
    EXPECT_FALSE(socket_key("colour"));
    EXPECT_FALSE(socket_key(""));
}

// ---- as lines ------------------------------------------------------------------------------

template <class Print>
std::string printed(const Print& print)
{
    const TempDir dir;
    const std::string path = dir.file("out");
    {
        const auto out = Output::open(path);
        print(**out);
    }
    return read_file(path);
}

SocketPrint how()
{
    SocketPrint how;
    how.host = "web1";
    how.utc_ns = 1'700'000'000'123'456'789;
    how.names.netns = [](std::uint32_t inode) {
        return std::string(inode == 4026532000 ? "bl\x1bue" : "");
    };
    return how;
}

std::string text(const std::vector<SocketRow>& rows, const SocketPrint& how)
{
    return printed([&](Output& out) { print_sockets(out, choose_sockets(rows, {}, {}), how); });
}

std::vector<json> as_json(const std::vector<SocketRow>& rows)
{
    std::vector<json> all;
    for (const std::string& line : lines_of(printed([&](Output& out) {
             print_sockets_json(out, choose_sockets(rows, {}, {}), how());
         })))
        EXPECT_EQ(schema_errors(all.emplace_back(json::parse(line))), "");
    return all;
}

TEST(socket_text, is_as_it_was)
{
    SocketPrint with_info = how();
    with_info.info = true;
    expect_golden("sockets.txt", text(all_kinds(), how()) + text(all_kinds(), with_info));
}

TEST(socket_text, tells_the_namespace_only_of_several)
{
    EXPECT_EQ(text({listener()}, how()).find("NETNS"), std::string::npos);
    EXPECT_NE(text(all_kinds(), how()).find("NETNS"), std::string::npos);
}

TEST(socket_text, is_bold_in_its_header_on_a_terminal_only)
{
    SocketPrint color = how();
    color.color = true;
    EXPECT_TRUE(text({}, color).starts_with("\x1b[1mSTATE"));
    EXPECT_TRUE(text({}, how()).starts_with("STATE"));
}

TEST(socket_text, of_nothing_is_its_header)
{
    EXPECT_EQ(lines_of(text({}, how())).size(), 1U);
}

TEST(socket_text, of_a_hostile_name_has_nothing_that_steers_a_terminal)
{
    for (const char c : text(all_kinds(), how()))
        EXPECT_TRUE(c == '\n' || (c >= ' ' && c < 0x7f)) << static_cast<int>(c);
}

TEST(socket_text, of_counts_is_as_it_was)
{
    const auto rows = all_kinds();
    const std::vector<SocketKey> keys{SocketKey::process, SocketKey::netns};
    const auto counts = count_sockets(rows, choose_sockets(rows, {}, {}), keys, how().names);
    expect_golden("socket_counts.txt", printed([&](Output& out) {
                      print_counts(out, counts, keys, how());
                      print_counts_json(out, counts, keys, how());
                  }));
}

// ---- both ends -----------------------------------------------------------------------------

const Endpoint here = end("10.0.0.1", 80);
const Endpoint there = end("10.0.0.2", 40001);

SocketRow end_of(const Endpoint& local, const Endpoint& remote, std::uint32_t netns,
                 const Process& p, State state = State::established)
{
    SocketRow r = row(state, local, remote, {{p, 4}});
    r.tuple.netns = netns;
    return r;
}

/// A pair on loopback whose server waits, one between two namespaces, one end without another, and
/// what is left of a connection.
std::vector<SocketRow> both_ends()
{
    const Endpoint lo = end("127.0.0.1", 80);
    const Endpoint from = end("127.0.0.1", 40000);
    SocketRow gone = end_of(lo, end("127.0.0.1", 40009), 1, nginx, State::time_wait);
    gone.timer = SocketTimer::time_wait;
    return {end_of(end("0.0.0.0", 80), end("0.0.0.0", 0), 1, nginx, State::listen),
            end_of(lo, from, 1, worker, State::close_wait),
            end_of(from, lo, 1, curl, State::fin_wait2),
            end_of(here, there, 1, worker),
            end_of(there, here, 4026532000, curl),
            end_of(here, end("10.0.0.9", 5), 1, worker),
            gone,
            end_of(end("127.0.0.1", 40009), lo, 1, curl, State::fin_wait2)};
}

TEST(socket_pairs, are_the_clients_with_its_server)
{
    const auto rows = both_ends();
    const auto pairs = pair_sockets(rows);
    EXPECT_EQ(pairs.size(), 4U);
    for (const auto& [at, client, server] :
         {std::tuple(1, 2, 1), std::tuple(2, 2, 1), std::tuple(3, 4, 3), std::tuple(4, 4, 3)}) {
        ASSERT_TRUE(pairs.contains(&rows[at])) << at;
        EXPECT_EQ(pairs.at(&rows[at]).client, &rows[client]) << at;
        EXPECT_EQ(pairs.at(&rows[at]).server, &rows[server]) << at;
    }
}

TEST(socket_pairs, have_the_lower_port_as_server_where_nothing_listens)
{
    const std::vector<SocketRow> rows{end_of(there, here, 1, curl), end_of(here, there, 1, nginx)};
    EXPECT_EQ(pair_sockets(rows).at(&rows[0]).client, &rows[0]);
}

TEST(socket_pairs, are_never_of_one_that_might_be_another)
{
    // Addresses that are used again in a third namespace, at either end.
    const std::vector<SocketRow> servers{
        end_of(here, there, 1, nginx), end_of(here, there, 2, nginx), end_of(there, here, 3, curl)};
    EXPECT_TRUE(pair_sockets(servers).empty());
    const std::vector<SocketRow> clients{
        end_of(here, there, 1, nginx), end_of(there, here, 2, curl), end_of(there, here, 3, curl)};
    EXPECT_TRUE(pair_sockets(clients).empty());
    // Loopback is each namespace's own; and not with oneself.
    const Endpoint lo = end("127.0.0.1", 80);
    const Endpoint from = end("127.0.0.1", 40000);
    const std::vector<SocketRow> loopback{end_of(lo, from, 1, nginx), end_of(from, lo, 2, curl),
                                          end_of(lo, lo, 1, curl)};
    EXPECT_TRUE(pair_sockets(loopback).empty());
    // In its own namespace there is the right one.
    const std::vector<SocketRow> own{end_of(here, there, 1, nginx), end_of(there, here, 1, curl),
                                     end_of(there, here, 2, curl)};
    EXPECT_EQ(pair_sockets(own).size(), 2U);
}

TEST(socket_pairs, are_one_line_each)
{
    const auto rows = both_ends();
    SocketPrint with_pairs = how();
    with_pairs.pairs = pair_sockets(rows);
    Filter port;
    port.lports = {80}; // one end is enough
    expect_golden("socket_pairs.txt", printed([&](Output& out) {
                      print_sockets(out, choose_sockets(rows, {}, {}), with_pairs);
                      print_sockets(out, choose_sockets(rows, port, {}), with_pairs);
                      print_sockets_json(out, choose_sockets(rows, port, {}), with_pairs);
                  }));
}

TEST(socket_json, tells_where_a_process_lives)
{
    SocketPrint with_homes = how();
    with_homes.names.home = [](std::uint32_t pid) {
        return pid == 813 ? Home{"/x", std::string(64, 'c'), "", 5} : Home();
    };
    SocketRow inner = established();
    inner.holders = {{worker, 11, 5}, {curl, 3, 900}};
    std::vector<json> all;
    const std::vector<SocketRow> rows{inner, client()};
    for (const std::string& line : lines_of(printed([&](Output& out) {
             print_sockets_json(out, choose_sockets(rows, {}, {}), with_homes);
         })))
        all.push_back(json::parse(line));
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["cgroup"], "/x");
    EXPECT_EQ(all[0]["container"], std::string(64, 'c'));
    EXPECT_EQ(all[0]["ns_pid"], 5);
    EXPECT_EQ(all[0]["holders"][0]["ns_pid"], 5);
    EXPECT_FALSE(all[0]["holders"][1].contains("ns_pid")); // it has one number
    EXPECT_FALSE(all[1].contains("cgroup"));
}

/// Asked for: arguments may hold secrets. They are any bytes.
TEST(socket_text, has_command_lines_when_asked)
{
    SocketPrint with_commands = how();
    with_commands.command = [](std::uint32_t pid) {
        return std::string(pid == 812 ? "nginx: master \x1b[2J\n" : "");
    };
    const auto lines = lines_of(text({listener(), client(), orphan()}, with_commands));
    EXPECT_THAT(lines[0], EndsWith("  COMMAND"));
    EXPECT_THAT(lines[1], EndsWith("  nginx: master \\x1b[2J\\x0a"));
    EXPECT_THAT(lines[2], EndsWith("  -")); // not known
    EXPECT_THAT(lines[3], EndsWith("  -")); // nobody's
    const std::vector<SocketRow> rows{listener(), client()};
    std::vector<json> all;
    for (const std::string& line : lines_of(printed([&](Output& out) {
             print_sockets_json(out, choose_sockets(rows, {}, {}), with_commands);
         })))
        EXPECT_EQ(schema_errors(all.emplace_back(json::parse(line))), "");
    EXPECT_EQ(all[0]["cmdline"], "nginx: master \x1b[2J\n");
    EXPECT_FALSE(all[1].contains("cmdline"));
    EXPECT_EQ(text({listener()}, how()).find("COMMAND"), std::string::npos);
}

TEST(socket_json, is_as_it_was)
{
    expect_golden("sockets.jsonl", printed([&](Output& out) {
                      const auto rows = all_kinds();
                      print_sockets_json(out, choose_sockets(rows, {}, {}), how());
                  }));
}

TEST(socket_json, has_all_that_is_known)
{
    const json e = as_json({established()})[0];
    const json expected{{"v", 1},
                        {"ts", "2023-11-14T22:13:20.123456789Z"},
                        {"event", "socket"},
                        {"host", "web1"},
                        {"conn", 80U << 16 | 40001U},
                        {"netns", 4026531840},
                        {"family", "ipv4"},
                        {"laddr", "192.0.2.1"},
                        {"lport", 80},
                        {"raddr", "198.51.100.7"},
                        {"rport", 40001},
                        {"community_id", e["community_id"]},
                        {"pid", 813},
                        {"comm", "nginx"},
                        {"pid_from", "snapshot"},
                        {"fd", 11},
                        {"state", "ESTABLISHED"},
                        {"uid", 33},
                        {"inode", 5080},
                        {"rx_queue", 12},
                        {"tx_queue", 4096},
                        {"timer", "on"},
                        {"timer_ms", 208},
                        {"retries", 2},
                        {"tx_bytes", 1'000'000},
                        {"rx_bytes", 77},
                        {"srtt_us", 12'345},
                        {"retransmits", 5}};
    EXPECT_EQ(e, expected);
}

TEST(socket_json, names_every_holder_of_several)
{
    const json e = as_json({listener()})[0];
    EXPECT_EQ(e["pid"], 812);
    EXPECT_EQ(e["fd"], 6);
    EXPECT_EQ(e["holders"], json::parse(R"([{"pid":812,"comm":"nginx","uid":0,"fd":6},
                                            {"pid":812,"comm":"nginx","uid":0,"fd":9},
                                            {"pid":813,"comm":"nginx","uid":33,"fd":6}])"));
}

TEST(socket_json, has_no_key_for_what_is_not_known)
{
    for (const SocketRow& small : {time_wait(), request()}) {
        const json e = as_json({small})[0];
        for (const char* key : {"pid", "comm", "uid", "inode", "holders", "fd", "tx_bytes",
                                "rx_bytes", "srtt_us", "retransmits"})
            EXPECT_FALSE(e.contains(key)) << key << " in " << e;
    }
    const json e = as_json({listener()})[0];
    for (const char* key :
         {"raddr", "rport", "community_id", "timer", "timer_ms", "retries", "tx_bytes", "rx_bytes"})
        EXPECT_FALSE(e.contains(key)) << key << " in " << e;
    EXPECT_FALSE(as_json({orphan()})[0].contains("pid"));
    EXPECT_EQ(as_json({orphan()})[0]["tx_bytes"], 0);
}

TEST(socket_json, keys_are_documented)
{
    const std::string documented = read_file(TCPSAGA_EVENTS_MD);
    auto lines = as_json(all_kinds());
    const auto rows = all_kinds();
    const std::vector<SocketKey> keys{SocketKey::state};
    lines.push_back(json::parse(printed([&](Output& out) {
        const auto counts = count_sockets(rows, choose_sockets(rows, {}, {"LISTEN"}), keys, {});
        print_counts_json(out, counts, keys, how());
    })));
    for (const json& line : lines) {
        EXPECT_NE(documented.find("| `" + line["event"].get<std::string>() + "`"),
                  std::string::npos);
        for (const auto& [key, value] : line.items())
            EXPECT_NE(documented.find("`" + key + "`"), std::string::npos) << key;
    }
}

} // namespace
} // namespace tcpsaga::testing
