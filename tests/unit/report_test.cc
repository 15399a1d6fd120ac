// SPDX-License-Identifier: BSD-2-Clause
// What a page shows of a recording, and that nothing of it can become markup.
#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/replay.h"
#include "rendering.h"
#include "report/page.h"
#include "scene.h"
#include "tape.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::int64_t utc_ms = 1'700'000'000'000; // of monotonic 0, as plain() has it
constexpr std::int64_t million = 1'000'000;

std::vector<std::uint64_t> of(const Bins& bins, Series s)
{
    std::vector<std::uint64_t> counts;
    for (const Bin& b : bins.all())
        counts.push_back(b.of(s));
    return counts;
}

std::uint64_t sum(const json& numbers)
{
    std::uint64_t all = 0;
    for (const json& n : numbers)
        all += n.get<std::uint64_t>();
    return all;
}

/// A report of what `run` tells, begun at monotonic 0.
json report_of(const Origin& from, const std::function<void(Report&)>& run)
{
    Report report(plain(), from);
    run(report);
    return json::parse(report.data("night.tsr", {}));
}

json report_of_records(const Origin& from, const std::function<void(Correlator&)>& run,
                       std::uint64_t end_ns)
{
    return report_of(from, [&](Report& report) {
        Correlator correlator(from.config, report);
        run(correlator);
        event::Summary s = correlator.summary();
        s.final = true;
        report.on_event({end_ns, nullptr, {}, s});
    });
}

// ---- bins ---------------------------------------------------------------------------------------

TEST(report_bins, are_tenths_of_seconds_at_first)
{
    Bins bins(utc_ms * million + 250 * million);
    bins.add((utc_ms + 290) * million, Series::opened);
    bins.add((utc_ms + 300) * million, Series::opened, 5);
    bins.add((utc_ms + 10) * million, Series::opened); // before the beginning
    EXPECT_EQ(bins.width_ms(), 100U);
    EXPECT_EQ(bins.first_ms(), static_cast<std::uint64_t>(utc_ms) + 200);
    EXPECT_THAT(of(bins, Series::opened), ElementsAre(2, 5));
}

TEST(report_bins, are_joined_when_they_are_too_many)
{
    Bins bins(utc_ms * million + 450 * million);
    for (std::int64_t ms = 450; ms < 60'400; ms += 50)
        bins.add((utc_ms + ms) * million, Series::opened);
    EXPECT_EQ(bins.width_ms(), 100U);
    EXPECT_THAT(bins.all(), SizeIs(600));
    bins.add_wait((utc_ms + 450) * million, 3);
    bins.add((utc_ms + 60'400) * million, Series::closed);
    EXPECT_EQ(bins.width_ms(), 500U);
    EXPECT_EQ(bins.first_ms(), static_cast<std::uint64_t>(utc_ms)); // a multiple of the width
    EXPECT_THAT(bins.all(), SizeIs(121));
    const auto opened = of(bins, Series::opened);
    EXPECT_EQ(opened.front(), 1U);
    EXPECT_EQ(opened[1], 10U);
    EXPECT_EQ(std::accumulate(opened.begin(), opened.end(), 0U), 1199U);
    EXPECT_EQ(bins.all()[0].waits.at(wait_row(3)), 1U);
    EXPECT_EQ(bins.all()[120].of(Series::closed), 1U);
}

TEST(report_bins, are_bounded_however_long_it_takes)
{
    Bins bins(0);
    bins.add(0, Series::opened);
    bins.add(INT64_MAX, Series::opened);
    bins.add(INT64_MIN, Series::opened);
    EXPECT_LE(bins.all().size(), Bins::most);
    EXPECT_EQ(bins.all().front().of(Series::opened), 2U);
    EXPECT_EQ(bins.all().back().of(Series::opened), 1U);
}

TEST(report_bins, rows_of_waits_are_half_powers_of_two)
{
    const std::vector<std::size_t> rows{wait_row(0), wait_row(1),    wait_row(2),
                                        wait_row(3), wait_row(1000), wait_row(UINT64_MAX)};
    EXPECT_THAT(rows, ElementsAre(0, 0, 2, 3, 19, wait_rows - 1));
}

// ---- worst connections --------------------------------------------------------------------------

TEST(report_worst, keeps_a_fixed_number_of_the_longest)
{
    Worst worst;
    const Scene scene;
    for (std::uint16_t n = 1; n <= 1000; n++) {
        const Connection c = scene.child(n);
        event::Close close{};
        close.accept_wait_us = n % 2 == 0 ? n : 2000 - n;
        close.duration_us = n;
        close.end = n > 900 ? event::End::refused : event::End::fin;
        worst.add({n * ms, &c, {}, close}, close);
    }
    const auto lives = worst.all();
    ASSERT_THAT(lives, SizeIs(Worst::most_each + Worst::most_ends));
    EXPECT_EQ(lives.front().close.accept_wait_us, 1999U);
    EXPECT_EQ(lives[99].close.accept_wait_us, 1801U);
    for (std::size_t i = Worst::most_each; i < lives.size(); i++)
        EXPECT_GE(lives[i].close.duration_us, 976U) << i;
}

TEST(report_worst, tells_each_once)
{
    Worst worst;
    const Connection c = Scene().child(1);
    event::Close close{};
    close.accept_wait_us = close.handshake_us = 5;
    close.retransmits = 1;
    close.end = event::End::timeout;
    worst.add({ms, &c, {}, close}, close);
    EXPECT_THAT(worst.all(), SizeIs(1));
}

// ---- the data -----------------------------------------------------------------------------------

TEST(report, golden)
{
    const Origin from = an_origin();
    Report report(plain(), from);
    tell_everything(report);
    const json data = json::parse(report.data("night.tsr", {"block 3 is broken"}));
    expect_golden("report.json", data.dump(1) + "\n");
}

TEST(report, sums_are_those_of_the_summary)
{
    const json j = report_of_records(
        a_plain_origin(),
        [](Correlator& to) {
            for (std::uint16_t n = 0; n < 7; n++) {
                client_life(to, client().id(100U + n).local("10.0.0.1",
                                                            static_cast<std::uint16_t>(40000 + n)));
                server_life(to,
                            server().id(200U + n).remote("10.0.0.1",
                                                         static_cast<std::uint16_t>(40000 + n)));
            }
            refused_life(to, client().id(61).local("10.0.0.1", 40061));
            tell(to, 2s, client().id(62).retransmit(TS_RE_DATA, 1));
        },
        70 * second);
    const json& series = j["time"]["series"];
    const json& totals = j["totals"];
    EXPECT_EQ(totals["opened"], 8);
    for (const auto& [name, total] : {std::pair{"opened", "opened"},
                                      {"arrived", "arrived"},
                                      {"accepted", "accepted"},
                                      {"closed", "closed"},
                                      {"connect_error", "connect_errors"},
                                      {"re_data", "retransmits"}}) {
        EXPECT_EQ(sum(series[name]), totals[total]) << name;
        EXPECT_NE(sum(series[name]), 0U) << name;
        EXPECT_EQ(series[name].size(), j["time"]["n"]) << name;
    }
    EXPECT_EQ(sum(series["end_fin"]), totals["ends"]["fin"]);
    EXPECT_EQ(sum(series["end_refused"]), 1U);
    EXPECT_FALSE(series.contains("end_timeout"));
    EXPECT_EQ(j["time"]["waits"], json({0, wait_row(40), 7}));
    EXPECT_EQ(j["wait_us"]["p99"], 40);
}

/// Until the end is told, and of one that was there before.
TEST(report, time_wait_is_what_there_is_of_it)
{
    const auto run = [](Correlator& to) {
        to.adopt(std::vector{row(client().id(9).local("10.0.0.1", 9), 9, State::time_wait)}, 1);
        client_life(to);
        tell(to, 30s, client().id(9).local("10.0.0.1", 9).time_wait_out());
    };
    const json j = report_of_records(a_plain_origin(), run, 70 * second);
    const auto at = [&](int s) {
        return j["time"]["time_wait"][static_cast<std::size_t>(s) * 2].get<int>();
    };
    EXPECT_EQ(j["time"]["width_ms"], 500);
    EXPECT_TRUE(j["time_wait_ends_seen"]);
    EXPECT_EQ(at(1), 2);
    EXPECT_EQ(at(31), 1);
    EXPECT_EQ(at(59), 1);
    EXPECT_EQ(at(61), 0);
}

TEST(report, time_wait_lasts_a_minute_where_nobody_tells)
{
    Origin from = a_plain_origin();
    from.config = on_tracepoint();
    const json j = report_of_records(
        from, [](Correlator& to) { client_life(to); }, 70 * second);
    EXPECT_FALSE(j["time_wait_ends_seen"]);
    EXPECT_EQ(j["time"]["time_wait"][2], 1);
    EXPECT_EQ(j["time"]["time_wait"][119], 1);
    EXPECT_EQ(j["time"]["time_wait"][120], 0);
}

TEST(report, has_the_doctors_findings)
{
    Scene scene;
    const Origin from = a_plain_origin();
    const json j = report_of(from, [&](Report& report) {
        const Connection c = scene.client(1);
        for (int i = 0; i < 3; i++)
            report.on_event({static_cast<unsigned>(i) * ms, &c, scene.user,
                             event::ConnectError{ECONNREFUSED, {}}});
        report.on_settings(scene.settings);
        event::Summary s;
        s.final = true;
        report.on_event({second, nullptr, {}, s});
    });
    EXPECT_EQ(j["found"], 1);
    EXPECT_EQ(j["findings"][0]["finding"], "refused");
    EXPECT_EQ(j["findings"][0]["n"], 3);
    EXPECT_EQ(j["end_ms"], utc_ms + 1000);
}

// ---- as a command -------------------------------------------------------------------------------

struct Ran {
    int exit_code;
    std::string err;
};

Ran run_report(const std::vector<std::string>& files, const std::string& output, bool in_json)
{
    Options o;
    o.command = Command::replay;
    o.view = Command::report;
    o.files = files;
    o.output = output;
    o.json = in_json;
    ::testing::internal::CaptureStderr();
    const int code = run_replay(o);
    return {code, ::testing::internal::GetCapturedStderr()};
}

/// A connection's end; whole, or without its last two bytes.
std::string a_recording(const TempDir& dir, bool whole = true)
{
    const std::string path = dir.file(whole ? "whole.tsr" : "cut.tsr");
    {
        const auto tape = begun(path, a_plain_origin());
        put(*tape, 1ms, client().connect().by(curl));
        put(*tape, 2ms, client().state(State::syn_sent, State::close).error(ECONNREFUSED));
        tape->write(input::Summarize{3'000'000, true, {}});
        tape->end();
    }
    if (!whole)
        std::filesystem::resize_file(path, std::filesystem::file_size(path) - 2);
    return path;
}

TEST(report_command, replaces_the_page_that_is_there)
{
    const TempDir dir;
    const std::string page = dir.file("page.html");
    std::ofstream(page) << std::string(1'000'000, 'x');
    const Ran ran = run_report({a_recording(dir)}, page, false);
    EXPECT_EQ(ran.exit_code, 0) << ran.err; // though something is found
    EXPECT_THAT(read_file(page), ::testing::StartsWith("<!doctype html>"));
    EXPECT_THAT(read_file(page), ::testing::EndsWith("</html>\n\n"));
    EXPECT_THAT(ran.err, HasSubstr("closed by refused 1"));
}

TEST(report_command, does_not_write_over_the_recording)
{
    const TempDir dir;
    const std::string path = a_recording(dir);
    const std::string before = read_file(path);
    const Ran ran = run_report({path}, dir.file("./whole.tsr"), false);
    EXPECT_EQ(ran.exit_code, 2);
    EXPECT_THAT(ran.err, HasSubstr("whole.tsr; it is the recording"));
    EXPECT_EQ(read_file(path), before);
}

TEST(report_command, tells_of_damage)
{
    const TempDir dir;
    const std::string out = dir.file("out.json");
    EXPECT_EQ(run_report({a_recording(dir, false), a_recording(dir)}, out, true).exit_code, 1);
    const auto lines = lines_of(read_file(out));
    ASSERT_THAT(lines, SizeIs(2));
    const json cut = json::parse(lines[0]);
    EXPECT_EQ(cut["file"], "cut.tsr");
    EXPECT_THAT(cut["damage"], SizeIs(1));
    EXPECT_EQ(cut["totals"]["ends"]["refused"], 1);
    EXPECT_EQ(json::parse(lines[1])["damage"], json::array());
}

// ---- the page -----------------------------------------------------------------------------------

TEST(report_page, no_data_can_end_its_element)
{
    const std::string evil = R"(["</script><!--<script>","]]>"])";
    const std::string safe = inside_script(evil);
    EXPECT_THAT(safe, Not(HasSubstr("<")));
    EXPECT_EQ(json::parse(safe), json::parse(evil));
}

TEST(report_page, holds_a_list_of_what_it_is_given)
{
    const std::string page = make_page({R"({"a":"</script>"})", "{}"});
    const std::string begin = R"(<script type="application/json" id="data">)";
    const auto at = page.find(begin) + begin.size();
    const json data = json::parse(page.substr(at, page.find("</script>", at) - at));
    EXPECT_EQ(data, json::parse(R"([{"a":"</script>"},{}])"));
    EXPECT_THAT(page, HasSubstr("default-src 'none'"));
    EXPECT_THAT(page, HasSubstr("The MIT License (MIT)"));
    EXPECT_THAT(page, Not(HasSubstr("src=")));
}

} // namespace
} // namespace tcpsaga::testing
