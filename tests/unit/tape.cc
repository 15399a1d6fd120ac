// SPDX-License-Identifier: BSD-2-Clause
#include "tape.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <stdexcept>

#include "cli/replay.h"
#include "recording/json.h"

namespace tcpsaga::testing {

Origin a_plain_origin(const std::string& host)
{
    Origin o;
    o.host = host;
    o.kernel = "6.12.41";
    o.machine = "x86_64";
    o.title = "trampoline, 36 hooks";
    o.utc_offset_ns = 1'700'000'000'000'000'000;
    return o;
}

Origin an_origin()
{
    Origin o = a_plain_origin();
    o.program = "tcpsaga 0.1.0";
    o.host = "web\xff\"1";
    o.facts = {{"state", "trampoline", ""}, {"accept", "", "accept()"}};
    o.started_ns = 123'456'789;
    o.zone_offset_s = -3600;
    o.config.capacity = 77;
    o.config.time_wait_exit_seen = false;
    o.config.connect_error_seen = o.config.accept_seen = false;
    o.config.infer_births = true;
    Filter& f = o.config.filter;
    f.family = 4;
    f.ports = {80, 443};
    f.lports = {1};
    f.rports = {2};
    f.cidrs = {*parse_cidr("10.0.0.0/8"), *parse_cidr("::/0")};
    f.netns = {init_netns};
    f.cgroup = 3;
    f.pids = {7};
    f.comms = {"nginx"};
    o.config.reset_reasons = {"", "NOT_SPECIFIED"};
    o.config.drop_reasons = {"SKB_NOT_DROPPED_YET", "", "NO_SOCKET"};
    o.audit.unseen = {"Tcp.OutRsts"};
    o.audit.misses_uncounted = o.audit.time_wait_counted_at_end = true;
    return o;
}

std::unique_ptr<RecordingWriter> begun(const std::string& path, const Origin& origin)
{
    auto tape = RecordingWriter::create(path, false);
    if (!tape)
        throw std::runtime_error(tape.error().message());
    (*tape)->begin(origin);
    return std::move(*tape);
}

std::unique_ptr<RecordingWriter> begun(const std::string& path)
{
    return begun(path, an_origin());
}

Input a_present_socket()
{
    const Process owner{
        5, 6, {'\x1b', '\xff', '"', 'c', 'a', 'f', '\xc3', '\xa9'}, PidFrom::snapshot};
    SocketRow s;
    s.tuple = listener().tuple();
    s.family = 6;
    s.state = State::listen;
    s.cookie = 0xfedcba9876543210;
    s.inode = 1;
    s.uid = 2;
    s.holders = {{owner, 3}};
    s.rx_queue = 4;
    s.tx_queue = 5;
    s.timer = SocketTimer::persist;
    s.timer_ms = 6;
    s.retries = 7;
    s.tx_bytes = 8;
    s.rx_bytes = 9;
    s.rtt_us = 10;
    s.retransmits = 11;
    return input::Present{{s}, 100};
}

Input some_totals()
{
    input::Totals t;
    t.listeners.push_back({{address_a, init_netns, 0}, {}});
    t.listeners[0].counts.total[TS_ACCEPT_FAILED] = 7;
    t.listeners[0].counts.other_drops = 8;
    t.listeners[0].counts.cookies_wanted = 9;
    t.namespaces.push_back({init_netns, {10}});
    t.drops.push_back({{place_a, init_netns, TS_NO_REASON}, {}});
    t.drops[0].counts.total = 11;
    t.ts_ns = 200;
    return t;
}

Input some_ports()
{
    return input::Ports{init_netns, client().tuple().remote, event::PortUse{40000, 40001, 3, 4}};
}

Input a_home()
{
    Process p = found(nginx);
    p.from = PidFrom::task;
    return input::ProcessHome{p, {"/a\xff", std::string(64, 'c'), "pod-uid", 7}, 60};
}

Input a_summary()
{
    return input::Summarize{300,
                            true,
                            {{{init_netns, {{"Tcp.ActiveOpens", 1}}}},
                             {{init_netns, {{"Tcp.ActiveOpens", UINT64_MAX}}}}}};
}

std::vector<Input> every_input()
{
    static const auto record = server().birth().queue(3, 1, 128).by(nginx).at(10ms);
    return {input::Record{record.bytes()},
            input::Lost{1, event::LostWhere::missed, 20},
            a_present_socket(),
            input::HeldBack{},
            input::Polled{{{1, listener().tuple(), 2, 3, 4, 5}}, 30, 200},
            input::Stuck{60, 40},
            input::Evictions{50},
            some_totals(),
            input::Start{{{{init_netns, {{"Tcp.ActiveOpens", 1}}}}, {}}},
            a_summary(),
            input::Place{place_b, "ip_rcv+0x1\xff"},
            some_ports(),
            input::Ports{init_netns, client().tuple().remote, {}},
            input::Translated{client().tuple(), server().tuple()},
            a_home(),
            input::NetnsName{init_netns, "bl\xffue", 70}};
}

std::string text_of(const Input& i)
{
    if (const auto* r = std::get_if<input::Record>(&i))
        return {reinterpret_cast<const char*>(r->bytes.data()), r->bytes.size()};
    return to_json_text(i);
}

Replayed replay(Options options, const std::vector<std::string>& files, const TempDir& dir)
{
    options.command = Command::replay;
    options.files = files;
    options.output = dir.file("again");
    std::remove(options.output.c_str());
    ::testing::internal::CaptureStderr();
    const int code = run_replay(options);
    return {code, read_file(options.output), ::testing::internal::GetCapturedStderr()};
}

Options as(Command view, bool in_json)
{
    Options o;
    o.view = view;
    o.json = in_json;
    return o;
}

std::vector<nlohmann::json> events_of(const std::string& text)
{
    std::vector<nlohmann::json> events;
    for (const std::string& line : lines_of(text))
        events.push_back(nlohmann::json::parse(line));
    return events;
}

} // namespace tcpsaga::testing
