// SPDX-License-Identifier: BSD-2-Clause
// One JSON object a line: events.md, version 1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "rendering.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using Keys = std::set<std::string>;

std::vector<json> parsed(const std::string& text)
{
    std::vector<json> events;
    for (const std::string& line : lines_of(text))
        events.push_back(json::parse(line));
    return events;
}

std::vector<json> events_of(const std::function<void(Correlator&)>& run)
{
    return parsed(render_records(make_json, plain(), run));
}

std::vector<json> everything()
{
    return parsed(render(make_json, plain(), tell_everything));
}

// ---- the whole stream -----------------------------------------------------------------------

TEST(json, is_as_it_was)
{
    expect_golden("events.jsonl", render(make_json, plain(), tell_everything));
}

const Keys on_every_event{"v", "ts", "event", "host"};
const Keys of_a_connection{"conn", "netns", "family", "laddr", "lport",    "raddr",       "rport",
                           "role", "pid",   "comm",   "uid",   "pid_from", "community_id"};
const std::map<std::string, Keys> own_keys{
    {"listen", {"backlog", "backlog_asked"}},
    {"unlisten", {"why"}},
    {"connect", {}},
    {"bind_error", {"errno"}},
    {"listen_error", {"errno"}},
    {"connect_error", {"errno", "port_range", "ports_time_wait", "ports_live"}},
    {"synack_timeout", {"retransmits"}},
    {"stuck", {"state", "us"}},
    {"state", {"old", "new", "us", "inferred"}},
    {"accept", {"accept_wait_us", "handshake_us", "acceptq", "acceptq_max"}},
    {"accept_error", {"errno", "fd_limit", "acceptq", "acceptq_max", "n"}},
    {"time_wait", {"why", "held_ms"}},
    {"overflow",
     {"queue", "stage", "action", "max_syn_backlog", "synq", "acceptq", "acceptq_max", "n",
      "polled", "poll_ms"}},
    {"reset", {"dir", "reason"}},
    {"retransmit", {"what", "nth", "segments", "errno"}},
    {"drop", {"reason", "place", "n"}},
    {"close",
     {"tx_bytes", "rx_bytes", "duration_us", "established_us", "handshake_us", "accept_wait_us",
      "srtt_us", "retransmits", "closed_by", "end", "why", "seen_start", "peer"}},
    {"lost", {"n", "where"}},
    {"summary",
     {"opens",
      "births",
      "accepts",
      "closes",
      "alive",
      "events",
      "records",
      "lost",
      "lost_ring",
      "lost_table",
      "lost_output",
      "lost_missed",
      "overflows",
      "accept_errors",
      "drops",
      "connect_errors",
      "retransmits",
      "time_wait_in",
      "time_wait_out",
      "time_wait_overflows",
      "bind_errors",
      "synack_timeouts",
      "time_wait_alive",
      "time_waits",
      "final",
      "closes_by_end",
      "connect_errors_by_errno",
      "top_remotes",
      "top_processes",
      "interval",
      "listeners",
      "audit"}},
};

TEST(json, has_every_kind_of_event)
{
    Keys seen;
    for (const json& e : everything())
        seen.insert(e.at("event"));
    for (const auto& [kind, keys] : own_keys)
        EXPECT_EQ(seen.count(kind), 1U) << kind;
    EXPECT_EQ(seen.size(), own_keys.size());
}

TEST(json, has_only_keys_that_are_documented)
{
    for (const json& e : everything()) {
        const Keys& own = own_keys.at(e.at("event"));
        const bool of_host = e.at("event") == "lost" || e.at("event") == "summary";
        for (const auto& [key, value] : e.items()) {
            const bool known = on_every_event.contains(key) || own.contains(key) ||
                               (!of_host && of_a_connection.contains(key));
            EXPECT_TRUE(known) << key << " in " << e;
            EXPECT_FALSE(value.is_null()) << key << " in " << e;
        }
    }
}

TEST(json, shows_every_key)
{
    std::map<std::string, Keys> seen;
    for (const json& e : everything())
        for (const auto& [key, value] : e.items())
            seen[e.at("event")].insert(key);
    for (const auto& [kind, keys] : own_keys)
        for (const std::string& key : keys)
            EXPECT_TRUE(seen[kind].contains(key)) << key << " of " << kind;
}

/// In its objects too, and the names that stand for values.
void expect_documented(const json& value, const std::string& in)
{
    const auto expect = [&](const std::string& word) {
        EXPECT_TRUE(in.find("`" + word + "`") != in.npos || in.find("\"" + word + "\":") != in.npos)
            << word << " in " << value;
    };
    static const Keys of_names{"event",     "family", "role",     "why",  "queue",
                               "stage",     "action", "pid_from", "what", "dir",
                               "closed_by", "end",    "where",    "ended"};
    if (value.is_object())
        for (const auto& [key, inner] : value.items()) {
            expect(key);
            if (of_names.contains(key) && !value.contains("counter"))
                expect(inner.get<std::string>());
        }
    if (value.is_structured())
        for (const json& inner : value)
            expect_documented(inner, in);
}

TEST(json, is_as_it_is_documented)
{
    const std::string documented = read_file(TCPSAGA_EVENTS_MD);
    for (const json& e : everything())
        expect_documented(e, documented);
}

TEST(json, has_the_keys_that_every_event_has)
{
    for (const json& e : everything()) {
        EXPECT_EQ(e.at("v"), 1) << e;
        EXPECT_EQ(e.at("host"), "web1") << e;
        EXPECT_THAT(e.at("ts").get<std::string>(),
                    ::testing::MatchesRegex(
                        "2023-11-14T22:1[0-9]:[0-9][0-9]\\.[0-9][0-9][0-9][0-9][0-9][0-9][0-9]"
                        "[0-9][0-9]Z"));
        if (e.at("event") == "lost" || e.at("event") == "summary")
            continue;
        EXPECT_TRUE(e.contains("netns")) << e;
        for (const char* key : {"conn", "family", "laddr"}) // a packet may be nobody's
            EXPECT_TRUE(e.contains(key) || e.at("event") == "drop") << key << " in " << e;
    }
}

TEST(json, keys_are_not_repeated)
{
    for (const std::string& line : lines_of(render(make_json, plain(), tell_everything))) {
        std::vector<Keys> keys; // of the object at hand and those around it
        const auto once = [&](int, json::parse_event_t event, json& key) {
            if (event == json::parse_event_t::object_start)
                keys.emplace_back();
            else if (event == json::parse_event_t::object_end)
                keys.pop_back();
            EXPECT_TRUE(event != json::parse_event_t::key || keys.back().insert(key).second)
                << key << " in " << line;
            return true;
        };
        EXPECT_FALSE(json::parse(line, once).is_null());
    }
}

TEST(json, numbers_are_exact_in_every_reader)
{
    for (const json& e : everything())
        for (const auto& [key, value] : e.items())
            if (value.is_number()) {
                EXPECT_TRUE(value.is_number_unsigned()) << key << " in " << e;
                EXPECT_LT(value.get<std::uint64_t>(), std::uint64_t{1} << 53) << key;
            }
}

// ---- one connection -------------------------------------------------------------------------

TEST(json, tells_a_connect)
{
    const json e = events_of([](Correlator& c) { client_life(c); }).at(0);
    EXPECT_EQ(e, json::parse(R"({"v":1,"ts":"2023-11-14T22:13:20.001000000Z","event":"connect",
        "host":"web1","conn":1,"netns":4026531840,"family":"ipv4","laddr":"10.0.0.1",
        "lport":40000,"raddr":"10.0.0.2","rport":80,"role":"client","pid":101,"comm":"curl",
        "uid":1000,"pid_from":"task","community_id":"1:3k1SoWXs/FltHw2aBCgUTgbDQF4="})"));
}

TEST(json, tells_a_life)
{
    const json e = events_of([](Correlator& c) { server_life(c); }).back();
    EXPECT_EQ(e.at("event"), "close");
    EXPECT_EQ(e.at("tx_bytes"), 2000);
    EXPECT_EQ(e.at("rx_bytes"), 100);
    EXPECT_EQ(e.at("duration_us"), 4050);
    EXPECT_EQ(e.at("established_us"), 4049);
    EXPECT_EQ(e.at("handshake_us"), 200);
    EXPECT_EQ(e.at("accept_wait_us"), 40);
    EXPECT_EQ(e.at("srtt_us"), 190);
    EXPECT_EQ(e.at("retransmits"), 2);
    EXPECT_EQ(e.at("closed_by"), "remote");
    EXPECT_EQ(e.at("end"), "fin");
    EXPECT_EQ(e.at("seen_start"), true);
    EXPECT_EQ(e.at("role"), "server");
    EXPECT_EQ(e.at("pid"), 202);
    EXPECT_EQ(e.at("comm"), "nginx");
    EXPECT_EQ(e.at("uid"), 33);
    EXPECT_EQ(e.at("pid_from"), "accept");
}

TEST(json, tells_the_accept)
{
    const json e = events_of([](Correlator& c) { server_life(c); }).at(2);
    EXPECT_EQ(e.at("event"), "accept");
    EXPECT_EQ(e.at("accept_wait_us"), 40);
    EXPECT_EQ(e.at("handshake_us"), 200);
    EXPECT_EQ(e.at("acceptq"), 1);
    EXPECT_EQ(e.at("acceptq_max"), 128);
}

TEST(json, tells_a_state_change)
{
    const auto events = events_of([](Correlator& c) { client_life(c); });
    EXPECT_EQ(events.at(1).at("old"), "CLOSE");
    EXPECT_EQ(events.at(1).at("new"), "SYN_SENT");
    EXPECT_FALSE(events.at(1).contains("us"));
    EXPECT_EQ(events.at(2).at("old"), "SYN_SENT");
    EXPECT_EQ(events.at(2).at("new"), "ESTABLISHED");
    EXPECT_EQ(events.at(2).at("us"), 250);
    EXPECT_FALSE(events.at(2).contains("inferred"));
}

TEST(json, says_what_is_inferred)
{
    int inferred = 0;
    for (const json& e : everything())
        if (e.contains("inferred")) {
            EXPECT_EQ(e.at("inferred"), true);
            EXPECT_EQ(e.at("new"), "TIME_WAIT");
            inferred++;
        }
    EXPECT_EQ(inferred, 1);
}

TEST(json, tells_the_end_of_time_wait)
{
    const json e = events_of([](Correlator& c) { client_life(c); }).back();
    EXPECT_EQ(e.at("event"), "time_wait");
    EXPECT_EQ(e.at("why"), "expired");
    EXPECT_EQ(e.at("held_ms"), 60000);
    const auto told = [](const Record<ts_head>& r) {
        return events_of([&](Correlator& c) { tell(c, 8ms, r); }).back();
    };
    const json unknown = told(client().time_wait_out().detail(TS_TW_UNKNOWN));
    EXPECT_FALSE(unknown.contains("why"));
    EXPECT_FALSE(unknown.contains("held_ms"));
    EXPECT_EQ(told(client().time_wait_out().detail(TS_TW_REUSED)).at("why"), "reused");
    const json overflow = told(client().time_wait_full());
    EXPECT_EQ(overflow.at("event"), "time_wait");
    EXPECT_EQ(overflow.at("why"), "overflow");
    EXPECT_FALSE(overflow.contains("held_ms"));
}

TEST(json, tells_a_retransmit)
{
    const auto events = events_of([](Correlator& c) {
        tell(c, 1s, client().retransmit(TS_RE_SYN, 1, State::syn_sent));
        auto refused = client().retransmit(TS_RE_DATA, 3).error(EPERM);
        refused.raw.segments = 2;
        tell(c, 2s, refused);
    });
    EXPECT_EQ(events.at(0).at("event"), "retransmit");
    EXPECT_EQ(events.at(0).at("what"), "syn");
    EXPECT_EQ(events.at(0).at("nth"), 1);
    EXPECT_FALSE(events.at(0).contains("segments"));
    EXPECT_FALSE(events.at(0).contains("errno"));
    EXPECT_EQ(events.at(1).at("what"), "data");
    EXPECT_EQ(events.at(1).at("nth"), 3);
    EXPECT_EQ(events.at(1).at("segments"), 2);
    EXPECT_EQ(events.at(1).at("errno"), "EPERM");
}

TEST(json, tells_what_was_found_by_looking)
{
    const PolledListener found{3, listener().tuple(), 129, 128, 0, 5};
    const json e = events_of([&](Correlator& c) {
                       c.on_polled({}, 1'000'000, 0);
                       c.on_polled({&found, 1}, 2'000'000, 200);
                   }).at(0);
    EXPECT_EQ(e.at("event"), "overflow");
    EXPECT_EQ(e.at("polled"), true);
    EXPECT_EQ(e.at("poll_ms"), 200);
    EXPECT_EQ(e.at("n"), 5);
    for (const char* key : {"stage", "synq", "raddr", "rport"})
        EXPECT_FALSE(e.contains(key)) << key;
}

TEST(json, tells_a_reset)
{
    const auto events = parsed(render(make_json, plain(), [](Sink& sink) {
        Correlator::Config config;
        config.reset_reasons = {"NOT_SPECIFIED", "TCP_TIMEOUT"};
        Correlator c(config, sink);
        tell(c, 1ms, client().reset(State::established, true, 1));
        tell(c, 1ms, client().reset(State::established, false));
    }));
    EXPECT_EQ(events.at(0).at("event"), "reset");
    EXPECT_EQ(events.at(0).at("dir"), "sent");
    EXPECT_EQ(events.at(0).at("reason"), "TCP_TIMEOUT");
    EXPECT_EQ(events.at(1).at("dir"), "received");
    EXPECT_FALSE(events.at(1).contains("reason"));
}

std::vector<json> drops_of(const std::function<void(Correlator&)>& run)
{
    auto all = parsed(render(make_json, plain(), [&](Sink& sink) {
        Correlator::Config config;
        config.drop_reasons = {"SKB_NOT_DROPPED_YET", "NO_SOCKET"};
        config.place_of = [](std::uint64_t at) { return at == place_a ? "tcp_v4_rcv+0x1a0" : ""; };
        Correlator c(config, sink);
        run(c);
    }));
    std::erase_if(all, [](const json& e) { return e.at("event") != "drop"; });
    return all;
}

TEST(json, tells_a_drop_of_nobodys_packet)
{
    const json e = drops_of([](Correlator& c) { tell(c, 1ms, server().drop(1, 2)); }).at(0);
    EXPECT_EQ(e, json::parse(R"({"v":1,"ts":"2023-11-14T22:13:20.001000000Z","event":"drop",
        "host":"web1","netns":4026531840,"family":"ipv4","laddr":"10.0.0.2","lport":80,
        "raddr":"10.0.0.1","rport":40000,"community_id":"1:3k1SoWXs/FltHw2aBCgUTgbDQF4=",
        "reason":"NO_SOCKET","place":"tcp_v4_rcv+0x1a0","n":2})"));
}

TEST(json, tells_a_drop_of_a_connections_packet)
{
    const json e = drops_of([](Correlator& c) {
                       tell(c, 1ms, client().connect().by(curl));
                       tell(c, 2ms, client().drop(TS_NO_REASON, 1, place_b));
                   }).at(0);
    EXPECT_EQ(e.at("conn"), 1);
    EXPECT_EQ(e.at("role"), "client");
    EXPECT_EQ(e.at("pid"), curl.pid);
    EXPECT_FALSE(e.contains("reason"));
    EXPECT_FALSE(e.contains("place"));
}

TEST(json, a_drop_that_stands_for_several_has_no_ends)
{
    const DropTotals totals{{place_a, 7, 1}, {9, 0, 0}};
    const json e = drops_of([&](Correlator& c) { c.settle({&totals, 1}, 1'000'000); }).at(0);
    EXPECT_EQ(e, json::parse(R"({"v":1,"ts":"2023-11-14T22:13:20.001000000Z","event":"drop",
        "host":"web1","netns":7,"reason":"NO_SOCKET","place":"tcp_v4_rcv+0x1a0","n":9})"));
}

TEST(json, names_the_error)
{
    const auto events = events_of([](Correlator& c) { refused_life(c); });
    EXPECT_EQ(events.at(2).at("event"), "connect_error");
    EXPECT_EQ(events.at(2).at("errno"), "ECONNREFUSED");
}

TEST(json, tells_a_bind_and_a_listen_that_failed)
{
    const auto events = events_of([](Correlator& c) {
        tell(c, 1ms, listener().bind_error(EADDRINUSE).by(nginx));
        tell(c, 2ms, listener().local("::1", 0).remote("::", 0).listen_error(EACCES).by(nginx));
    });
    EXPECT_EQ(events.at(0), json::parse(R"({"v":1,"ts":"2023-11-14T22:13:20.001000000Z",
        "event":"bind_error","host":"web1","conn":3,"netns":4026531840,"family":"ipv4",
        "laddr":"0.0.0.0","lport":80,"pid":202,"comm":"nginx","uid":33,"pid_from":"task",
        "errno":"EADDRINUSE"})"));
    EXPECT_EQ(events.at(1).at("event"), "listen_error");
    EXPECT_EQ(events.at(1).at("family"), "ipv6");
    EXPECT_EQ(events.at(1).at("errno"), "EACCES");
    EXPECT_FALSE(events.at(1).contains("lport"));
}

TEST(json, tells_synacks_in_vain)
{
    const Socket packet = Socket().id(3).local("10.0.0.2", 80).remote("10.0.0.9", 40009);
    const json e = events_of([&](Correlator& c) { tell(c, 63s, packet.synack_timeout(5)); }).at(0);
    EXPECT_EQ(e.at("event"), "synack_timeout");
    EXPECT_EQ(e.at("retransmits"), 5);
    EXPECT_EQ(e.at("conn"), 3);
    EXPECT_EQ(e.at("role"), "server");
    EXPECT_EQ(e.at("raddr"), "10.0.0.9");
    EXPECT_EQ(e.at("rport"), 40009);
    EXPECT_FALSE(e.contains("pid"));
}

TEST(json, tells_what_takes_the_ports)
{
    const auto told = [](const event::ConnectError& error) {
        const auto text = render(make_json, plain(), [&](Sink& sink) {
            const Connection c;
            sink.on_event({0, &c, {}, error});
        });
        return json::parse(text);
    };
    const json e = told({EADDRNOTAVAIL, event::PortUse{32768, 60999, 28000, 232}});
    EXPECT_EQ(e.at("errno"), "EADDRNOTAVAIL");
    EXPECT_EQ(e.at("port_range"), json::parse("[32768,60999]"));
    EXPECT_EQ(e.at("ports_time_wait"), 28000);
    EXPECT_EQ(e.at("ports_live"), 232);
    for (const char* key : {"port_range", "ports_time_wait", "ports_live"})
        EXPECT_FALSE(told({EADDRNOTAVAIL}).contains(key)) << key;
}

TEST(json, tells_why_it_ended_so)
{
    const auto closed = [](const Record<ts_state>& r) {
        return events_of([&](Correlator& c) { tell(c, 1ms, r); }).back();
    };
    const auto gone = client().state(State::established, State::close);
    const json e = closed(Record(gone).by(curl).detail(TS_UNREAD));
    EXPECT_EQ(e.at("end"), "aborted");
    EXPECT_EQ(e.at("why"), "unread_data");
    EXPECT_FALSE(closed(gone).contains("why"));
}

TEST(json, a_connect_without_port_shows_none)
{
    const auto events = parsed(render(make_json, plain(), [](Sink& sink) {
        const Socket s = client().local("0.0.0.0", 0);
        Correlator limited(on_tracepoint(), sink);
        tell(limited, 1ms, s.state(State::syn_sent, State::close).by(curl));
        Correlator full({}, sink);
        tell(full, 1ms, s.connect_error(EADDRNOTAVAIL).by(curl));
    }));
    for (const json& e : events) {
        EXPECT_EQ(e.at("event"), "connect_error");
        EXPECT_FALSE(e.contains("lport"));
        EXPECT_FALSE(e.contains("community_id"));
        EXPECT_EQ(e.at("raddr"), "10.0.0.2");
        EXPECT_EQ(e.at("rport"), 80);
    }
    EXPECT_FALSE(events.at(0).contains("errno"));
    EXPECT_EQ(events.at(1).at("errno"), "EADDRNOTAVAIL");
}

TEST(json, port_0_is_never_shown)
{
    for (const json& e : everything())
        for (const char* key : {"lport", "rport"})
            EXPECT_NE(e.value(key, 1), 0) << e;
}

TEST(json, a_listener_has_no_peer)
{
    const json e =
        events_of([](Correlator& c) { tell(c, 1ms, listener().listen(4096).by(nginx)); }).at(0);
    EXPECT_EQ(e.at("event"), "listen");
    EXPECT_EQ(e.at("backlog"), 4096);
    EXPECT_EQ(e.at("laddr"), "0.0.0.0");
    EXPECT_EQ(e.at("lport"), 80);
    for (const char* key : {"raddr", "rport", "community_id", "backlog_asked"})
        EXPECT_FALSE(e.contains(key)) << key;
}

TEST(json, tells_a_listener)
{
    const auto events = events_of([](Correlator& c) {
        tell(c, 1ms, listener().listen(4096).asked(65535).by(nginx));
        tell(c, 2ms, listener().state(State::listen, State::close).by(nginx).flag(TS_EXITING));
        tell(c, 3ms, listener().id(4).state(State::listen, State::close).by(nginx));
    });
    EXPECT_EQ(events.at(0).at("event"), "listen");
    EXPECT_EQ(events.at(0).at("backlog"), 4096);
    EXPECT_EQ(events.at(0).at("backlog_asked"), 65535);
    EXPECT_EQ(events.at(3).at("event"), "unlisten");
    EXPECT_EQ(events.at(3).at("why"), "process_exit");
    EXPECT_EQ(events.at(5).at("why"), "closed");
}

TEST(json, what_is_unknown_is_absent)
{
    const auto events = events_of([](Correlator& c) {
        tell(c, 1ms, client().state(State::established, State::close));
    });
    for (const json& e : events)
        for (const char* key :
             {"role", "pid", "comm", "uid", "pid_from", "us", "closed_by", "duration_us",
              "established_us", "handshake_us", "accept_wait_us", "srtt_us"})
            EXPECT_FALSE(e.contains(key)) << key << " in " << e;
    EXPECT_EQ(events.back().at("seen_start"), false);
}

TEST(json, ipv6_and_mapped_addresses)
{
    const auto v6 = events_of([](Correlator& c) {
        client_life(c, Socket().local("2001:db8::1", 50001).remote("fe80::2", 443));
    });
    EXPECT_EQ(v6.at(0).at("family"), "ipv6");
    EXPECT_EQ(v6.at(0).at("laddr"), "2001:db8::1");
    EXPECT_EQ(v6.at(0).at("raddr"), "fe80::2");
    const auto mapped = events_of([](Correlator& c) {
        client_life(c, Socket().local("::ffff:127.0.0.1", 50001).remote("::ffff:127.0.0.1", 443));
    });
    EXPECT_EQ(mapped.at(0).at("family"), "ipv4");
    EXPECT_EQ(mapped.at(0).at("laddr"), "127.0.0.1");
    EXPECT_EQ(mapped.at(0).at("raddr"), "127.0.0.1");
}

// ---- what is about no connection ------------------------------------------------------------

TEST(json, tells_what_is_lost)
{
    const auto events = events_of([](Correlator& c) {
        c.lost(7, event::LostWhere::ring, 2'000'000'000);
        c.lost(8, event::LostWhere::missed, 2'000'000'000);
    });
    EXPECT_EQ(events.at(0), json::parse(R"({"v":1,"ts":"2023-11-14T22:13:22.000000000Z",
        "event":"lost","host":"web1","n":7,"where":"ring"})"));
    EXPECT_EQ(events.at(1).at("where"), "missed");
}

TEST(json, tells_the_summary)
{
    event::Summary s;
    s.opens = 1;
    s.births = 2;
    s.accepts = 3;
    s.closes = 4;
    s.alive = 5;
    s.events = 6;
    s.records = 18;
    s.lost_ring = 10;
    s.lost_table = 200;
    s.lost_output = 3000;
    s.lost_missed = 40000;
    s.overflows = 7;
    s.accept_errors = 8;
    s.connect_errors = 9;
    s.retransmits = 11;
    s.time_wait_in = 12;
    s.time_wait_out = 13;
    s.time_wait_overflows = 14;
    s.bind_errors = 15;
    s.synack_timeouts = 16;
    s.time_wait_alive = 17;
    const auto text = render(make_json, plain(), [&](Sink& sink) {
        sink.on_event({0, nullptr, {}, s});
    });
    EXPECT_EQ(json::parse(text), json::parse(R"({"v":1,"ts":"2023-11-14T22:13:20.000000000Z",
        "event":"summary","host":"web1","opens":1,"births":2,"accepts":3,"closes":4,"alive":5,
        "events":6,"records":18,"lost":43210,"lost_ring":10,"lost_table":200,"lost_output":3000,
        "lost_missed":40000,"overflows":7,"accept_errors":8,"connect_errors":9,"retransmits":11,
        "time_wait_in":12,"time_wait_out":13,"time_wait_overflows":14,
        "bind_errors":15,"synack_timeouts":16,"time_wait_alive":17})"));
}

TEST(json, says_which_summary_is_the_last)
{
    event::Summary s;
    s.final = true;
    const auto text = render(make_json, plain(), [&](Sink& sink) {
        sink.on_event({0, nullptr, {}, s});
    });
    EXPECT_EQ(json::parse(text).at("final"), true);
}

TEST(json, tells_the_listeners_of_the_summary)
{
    event::Summary s;
    event::ListenerSummary busy;
    busy.conn = 3;
    busy.netns = init_netns;
    busy.local = {ip("::"), 80};
    busy.births = 2;
    busy.accepts = 1;
    busy.acceptq_high = 2;
    busy.acceptq_max = 128;
    busy.handshake_us.add(10);
    busy.handshake_us.add(20);
    busy.accept_wait_us.add(40);
    busy.owner.pid = 5;
    busy.owner.from = PidFrom::task;
    std::string_view("a\"b").copy(busy.owner.comm.data(), 16);
    busy.asked = 256;
    busy.ended = event::UnlistenWhy::process_exit;
    event::ListenerSummary unknown;
    unknown.netns = 7;
    unknown.local = {ip("10.0.0.2"), 81};
    event::ListenerSummary unmeasured = unknown;
    unmeasured.births = 1;
    unmeasured.acceptq_max = 16;
    s.listeners = {busy, unknown, unmeasured};
    const auto text = render(make_json, plain(), [&](Sink& sink) {
        sink.on_event({0, nullptr, {}, s});
    });
    EXPECT_EQ(json::parse(text).at("listeners"), json::parse(R"([
        {"netns":4026531840,"laddr":"::","lport":80,"conn":3,"pid":5,"comm":"a\"b",
         "backlog_asked":256,"ended":"process_exit","births":2,"accepts":1,
         "acceptq_high":2,"acceptq_max":128,
         "handshake_us":{"p50":10,"p90":20,"p99":20,"max":20},
         "accept_wait_us":{"p50":40,"p90":40,"p99":40,"max":40}},
        {"netns":7,"laddr":"10.0.0.2","lport":81,"births":0,"accepts":0},
        {"netns":7,"laddr":"10.0.0.2","lport":81,"births":1,"accepts":0,"acceptq_max":16}])"));
}

TEST(json, tells_the_time_waits_of_the_summary)
{
    event::Summary s;
    s.time_waits = {{7, Role::client, {ip("2001:db8::2"), 443}, 28232},
                    {7, Role::server, {{}, 80}, 3},
                    {8, Role::unknown, {ip("10.0.0.9"), 5555}, 1}};
    const auto text = render(make_json, plain(), [&](Sink& sink) {
        sink.on_event({0, nullptr, {}, s});
    });
    EXPECT_EQ(json::parse(text).at("time_waits"), json::parse(R"([
        {"netns":7,"role":"client","raddr":"2001:db8::2","rport":443,"n":28232},
        {"netns":7,"role":"server","lport":80,"n":3},
        {"netns":8,"raddr":"10.0.0.9","rport":5555,"n":1}])"));
}

TEST(json, tells_the_audit_of_the_summary)
{
    event::Summary s;
    s.audit = {{7, "Tcp.ActiveOpens", 3, 3, ""}, {7, "Tcp.PassiveOpens", 5, 4, "filtered"}};
    const auto text = render(make_json, plain(), [&](Sink& sink) {
        sink.on_event({0, nullptr, {}, s});
    });
    EXPECT_EQ(json::parse(text).at("audit"), json::parse(R"([
        {"netns":7,"counter":"Tcp.ActiveOpens","kernel":3,"seen":3},
        {"netns":7,"counter":"Tcp.PassiveOpens","kernel":5,"seen":4,"why":"filtered"}])"));
}

// ---- --event and --state ---------------------------------------------------------------------

std::vector<std::string> kinds_with(PresentOptions options)
{
    std::vector<std::string> kinds;
    const auto text = render(make_json, options, [](Sink& sink) {
        Correlator c({}, sink);
        client_life(c);
        c.lost(1, event::LostWhere::ring, 1);
        sink.on_event({0, nullptr, {}, c.summary()});
    });
    for (const json& e : parsed(text))
        kinds.push_back(e.at("event") == "state"
                            ? e.at("old").get<std::string>() + ">" + e.at("new").get<std::string>()
                            : e.at("event").get<std::string>());
    return kinds;
}

TEST(wanted_events, by_kind_and_always_what_was_lost)
{
    PresentOptions o = plain();
    o.kinds = {"close", "connect"};
    EXPECT_THAT(kinds_with(o), ::testing::ElementsAre("connect", "close", "lost", "summary"));
}

TEST(wanted_events, by_state_from_or_to)
{
    PresentOptions o = plain();
    o.states = {"FIN_WAIT2"};
    EXPECT_THAT(kinds_with(o),
                ::testing::ElementsAre("connect", "FIN_WAIT1>FIN_WAIT2", "FIN_WAIT2>TIME_WAIT",
                                       "close", "time_wait", "lost", "summary"));
}

TEST(wanted_events, by_both)
{
    PresentOptions o = plain();
    o.kinds = {"state"};
    o.states = {"TIME_WAIT", "SYN_SENT"};
    EXPECT_THAT(kinds_with(o), ::testing::ElementsAre("CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED",
                                                      "FIN_WAIT2>TIME_WAIT", "TIME_WAIT>CLOSE",
                                                      "lost", "summary"));
}

// ---- strings --------------------------------------------------------------------------------

struct Quoted {
    std::string raw, quoted;

    friend void PrintTo(const Quoted& q, std::ostream* to) { *to << json(q.quoted); }
};

class json_string : public ::testing::TestWithParam<Quoted> {};

TEST_P(json_string, is_escaped)
{
    fmt::memory_buffer b;
    append_json_string(b, GetParam().raw);
    EXPECT_EQ(fmt::to_string(b), "\"" + GetParam().quoted + "\"");
    EXPECT_TRUE(json::accept(fmt::to_string(b)));
}

INSTANTIATE_TEST_SUITE_P(plain_and_escaped, json_string,
                         ::testing::Values(Quoted{"", ""}, Quoted{"nginx: worker", "nginx: worker"},
                                           Quoted{"a\"b", R"(a\"b)"}, Quoted{R"(a\b)", R"(a\\b)"},
                                           Quoted{"a\nb", R"(a\u000ab)"},
                                           Quoted{"\x1b[2J", R"(\u001b[2J)"},
                                           Quoted{std::string("\0", 1), R"(\u0000)"},
                                           Quoted{"\x7f", R"(\u007f)"}, Quoted{"/", "/"},
                                           Quoted{"\x1f", R"(\u001f)"}, Quoted{" ", " "}));

INSTANTIATE_TEST_SUITE_P(utf8, json_string,
                         ::testing::Values(Quoted{"caf\xc3\xa9", "caf\xc3\xa9"},
                                           Quoted{"\xe2\x82\xac", "\xe2\x82\xac"},
                                           Quoted{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                                           Quoted{"\xed\x9f\xbf", "\xed\x9f\xbf"},
                                           Quoted{"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
                                           Quoted{"\xc2\xa0", "\xc2\xa0"}));

INSTANTIATE_TEST_SUITE_P(
    not_utf8, json_string,
    ::testing::Values(
        Quoted{"\xff", R"(\ufffd)"}, Quoted{"a\x80z", R"(a\ufffdz)"}, Quoted{"\xc3", R"(\ufffd)"},
        Quoted{"\xc3(", R"(\ufffd()"}, Quoted{"\xe2\x82", R"(\ufffd\ufffd)"},
        Quoted{"\xe2\x82z", R"(\ufffd\ufffdz)"}, Quoted{"\xc0\x80", R"(\ufffd\ufffd)"}, // overlong
        Quoted{"\xc1\xbf", R"(\ufffd\ufffd)"}, Quoted{"\xe0\x9f\xbf", R"(\ufffd\ufffd\ufffd)"},
        Quoted{"\xf0\x8f\xbf\xbf", R"(\ufffd\ufffd\ufffd\ufffd)"},
        Quoted{"\xed\xa0\x80", R"(\ufffd\ufffd\ufffd)"},           // surrogate
        Quoted{"\xf4\x90\x80\x80", R"(\ufffd\ufffd\ufffd\ufffd)"}, // > U+10FFFF
        Quoted{"\xf5\x80\x80\x80", R"(\ufffd\ufffd\ufffd\ufffd)"}));

// JSON allows them raw, but xterm obeys U+009B as it does ESC [.
INSTANTIATE_TEST_SUITE_P(c1_controls, json_string,
                         ::testing::Values(Quoted{"\xc2\x80", R"(\u0080)"},
                                           Quoted{"\xc2\x9b", R"(\u009b)"},
                                           Quoted{"\xc2\x9f", R"(\u009f)"}));

TEST(json, hostile_names_come_back_as_they_were)
{
    for (const std::string_view name : {"a\nb", "a\"b", "a\\b", "\x1b[31m", "\xc2\x9b", "\t",
                                        "{\"v\":2}", "exactly 15 byte", ""}) {
        const auto text = render_records(make_json, plain(), [&](Correlator& c) {
            tell(c, 1ms, client().connect().by({1, name}));
        });
        ASSERT_EQ(lines_of(text).size(), 2U) << name;
        EXPECT_EQ(json::parse(lines_of(text)[0]).at("comm"), name);
    }
}

TEST(json, a_name_without_end_has_16_bytes)
{
    const auto events = events_of([](Correlator& c) {
        tell(c, 1ms, client().connect().by({1, "0123456789abcdef"}));
    });
    EXPECT_EQ(events.at(0).at("comm"), "0123456789abcdef");
}

TEST(json, a_hostile_host_name_is_escaped_too)
{
    PresentOptions o = plain();
    o.host = "a\"b\n";
    const auto text = render_records(make_json, o, [](Correlator& c) { client_life(c); });
    EXPECT_EQ(json::parse(lines_of(text).at(0)).at("host"), "a\"b\n");
}

// ---- time -----------------------------------------------------------------------------------

std::string rfc3339(std::int64_t utc_ns)
{
    fmt::memory_buffer b;
    append_rfc3339(b, utc_ns);
    return fmt::to_string(b);
}

TEST(rfc3339, known_times)
{
    EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
    EXPECT_EQ(rfc3339(951'782'400'000'000'001), "2000-02-29T00:00:00.000000001Z");
    EXPECT_EQ(rfc3339(1'700'000'000'123'456'789), "2023-11-14T22:13:20.123456789Z");
    EXPECT_EQ(rfc3339(1'735'689'599'999'999'999), "2024-12-31T23:59:59.999999999Z");
}

TEST(rfc3339, the_second_before_is_not_remembered_too_long)
{
    EXPECT_EQ(rfc3339(5'999'999'999), "1970-01-01T00:00:05.999999999Z");
    EXPECT_EQ(rfc3339(5'000'000'000), "1970-01-01T00:00:05.000000000Z");
    EXPECT_EQ(rfc3339(6'000'000'000), "1970-01-01T00:00:06.000000000Z");
    EXPECT_EQ(rfc3339(4'000'000'000), "1970-01-01T00:00:04.000000000Z");
}

} // namespace
} // namespace tcpsaga::testing
