// SPDX-License-Identifier: BSD-2-Clause
/* Processes whose names and paths are made to break terminals and lines. */
#include <algorithm>
#include <filesystem>

#include "saga.h"

namespace live {
namespace {

namespace fs = std::filesystem;

// Newline, quotes, ESC sequence, broken UTF-8, C1 control, right-to-left override.
const std::string name = "\x1b[2J\n\"\\\xff\xc2\x9b\xe2\x80\xae'";
const std::string name_in_json = "\x1b[2J\n\"\\\xef\xbf\xbd\xc2\x9b\xe2\x80\xae'";
const std::string name_in_text = R"(\x1b[2J\x0a"\x5c\xff\xc2\x9b\xe2\x80\xae')";

class Hostile : public Live {
protected:
    void SetUp() override
    {
        Live::SetUp();
        char path[] = "/tmp/tcpsaga-hostile-XXXXXX";
        ASSERT_NE(mkdtemp(path), nullptr);
        folder_ = path;
        fs::create_directory(folder_ / name);
        fs::copy_file(peer_path(), folder_ / name / name);
    }
    void TearDown() override { fs::remove_all(folder_); }

    /// Our peer under that name, in a folder of that name.
    [[nodiscard]] std::vector<std::string> peer(std::vector<std::string> args) const
    {
        args.insert(args.begin(), folder_ / name / name);
        return args;
    }
    [[nodiscard]] std::vector<std::string> storm_to(const Listening& server) const
    {
        return peer({"storm", "127.0.0.1", std::to_string(server.port), "1"});
    }

private:
    fs::path folder_;
};

/// Printable, whatever it is: no C0, DEL or C1 control, no line end or change of direction, and
/// UTF-8 all through (which is what json::parse refuses otherwise).
void expect_harmless(const std::vector<std::string>& lines)
{
    for (const std::string& line : lines) {
        EXPECT_TRUE(std::ranges::none_of(line, [](unsigned char c) {
            return c < 0x20 || c == 0x7f;
        })) << testing::PrintToString(line);
        for (const char* sequence : {"\xc2\x9b", "\xe2\x80\xae", "\xff"})
            EXPECT_EQ(line.find(sequence), std::string::npos) << testing::PrintToString(line);
        EXPECT_NO_THROW(static_cast<void>(json(line).dump())) << testing::PrintToString(line);
    }
}

TEST_F(Hostile, JsonIsOneLineAnEventAndKeepsTheName)
{
    const Listening before(peer({"serve", "127.0.0.1", "0"})); // found by its /proc/PID/comm
    Saga saga;
    const Listening server(peer({"serve", "127.0.0.1", "0"}));
    ASSERT_EQ(run(storm_to(server)).exit_code, 0);
    ASSERT_EQ(run(storm_to(before)).exit_code, 0);
    std::size_t closes = 0;
    saga.process().wait_out([&](const std::string& line) {
        closes += line.find(R"("event":"close")") != std::string::npos ? 1 : 0;
        return closes == 4;
    });
    const auto events = saga.stop(); // each line is parsed, and held against the schema
    expect_harmless(saga.process().out());
    expect_harmless(saga.process().err());
    ASSERT_EQ(select(events, {{"event", "close"}, {"comm", name_in_json}}).size(), 4U);
    EXPECT_EQ(select(events, {{"event", "listen"}, {"comm", name_in_json}}).size(), 1U);
    for (const json& e : events)
        if (e.contains("comm")) {
            EXPECT_EQ(e["comm"], name_in_json);
        }
    for (const json& l : events.back()["listeners"])
        EXPECT_EQ(l.value("comm", ""), name_in_json) << l;
}

class HostileText : public Hostile, public testing::WithParamInterface<const char*> {};

TEST_P(HostileText, IsHarmless)
{
    const Listening server(peer({"serve", "127.0.0.1", "0"}));
    Process saga({tcpsaga_path(), GetParam(), "--netns", "self", "--attach", attach()});
    ASSERT_TRUE(saga.wait_err([](const auto& line) { return line.starts_with("tcpsaga: ready"); }));
    ASSERT_EQ(run(storm_to(server)).exit_code, 0);
    std::size_t closes = 0;
    const auto both_closed = [&](const std::string& line) {
        const bool closed = line.find(" close ") != std::string::npos || GetParam()[0] == 'l';
        closes += closed && line.find(name_in_text) != std::string::npos ? 1 : 0;
        return closes == 2;
    };
    EXPECT_TRUE(saga.wait_out(both_closed));
    EXPECT_EQ(saga.stop(), 0);
    expect_harmless(saga.out());
    expect_harmless(saga.err());
}

INSTANTIATE_TEST_SUITE_P(Commands, HostileText, testing::Values("trace", "life"),
                         [](const auto& info) { return std::string(info.param); });

/// What the operator types cannot steer the terminal of who reads the log either.
TEST_F(Hostile, AnErrorIsHarmlessToo)
{
    const auto r = run({tcpsaga_path(), "trace", "-o", "/proc/nowhere/" + name});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.err, "tcpsaga: cannot open /proc/nowhere/" + name_in_text +
                         ": No such file or directory; name a file that can be written with -o\n");
}

} // namespace
} // namespace live
