// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/whereabouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/player.h"
#include "rendering.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t minute = 60'000'000'000;
const std::string id = "3f2a1b4c5d6e" + std::string(52, '0');

Process someone(const Task& task = nginx)
{
    return found(task);
}

TEST(whereabouts, are_of_a_process_with_its_name)
{
    Whereabouts known;
    EXPECT_EQ(known.of(someone()), nullptr);
    EXPECT_TRUE(known.is_due(someone(), 0));
    known.learn(someone(), {"/a"}, 0);
    ASSERT_NE(known.of(someone()), nullptr);
    EXPECT_EQ(known.of(someone())->cgroup, "/a");
    Process acting = someone();
    acting.from = PidFrom::task;
    EXPECT_EQ(known.of(acting)->cgroup, "/a");
    EXPECT_FALSE(known.is_due(someone(), 5 * minute));
    EXPECT_TRUE(known.is_due(someone(), 5 * minute + 1));
    EXPECT_TRUE(known.is_due(someone({nginx.pid, "other", nginx.uid}), 0)); // exec, or another
    EXPECT_TRUE(known.is_due(someone({nginx.pid, nginx.comm, 5}), 0));
    EXPECT_EQ(known.of(someone({nginx.pid + 64, nginx.comm, nginx.uid})), nullptr);
}

TEST(whereabouts, that_are_not_found_are_not_looked_for_again_at_once)
{
    Whereabouts known;
    known.learn(someone(), {}, 0);
    EXPECT_EQ(known.of(someone()), nullptr);
    EXPECT_FALSE(known.is_due(someone(), minute));
    known.learn(someone(), {"/a"}, 6 * minute);
    known.learn(someone(), {}, 12 * minute); // gone: its number may be another's by now
    EXPECT_EQ(known.of(someone()), nullptr);
}

TEST(whereabouts, of_a_namespace_are_its_name)
{
    Whereabouts known;
    EXPECT_TRUE(known.is_due(7, 0));
    EXPECT_EQ(known.netns_name(7), "");
    known.learn(7, "blue", 0);
    known.learn(8, "", 0);
    EXPECT_EQ(known.netns_name(7), "blue");
    EXPECT_EQ(known.netns_name(8), "");
    EXPECT_FALSE(known.is_due(8, minute / 6));
    EXPECT_TRUE(known.is_due(7, minute / 6 + 1));
}

class Last : public Sink {
public:
    void on_event(const Event&) override { events++; }
    int events = 0;
};

TEST(home_finder, looks_once)
{
    Last last;
    Whereabouts known;
    int looks = 0;
    int names = 0;
    HomeFinder finder(
        last, known,
        [&](const Process& p, std::uint64_t) {
            looks++;
            return Home{"/" + std::to_string(p.pid)};
        },
        [&](std::uint32_t, std::uint64_t) {
            names++;
            return std::string();
        });
    Correlator c({}, finder);
    client_life(c, client(), curl);
    server_life(c, server(), nginx);
    client_life(c, client().id(9).local("10.0.0.1", 40009), curl);
    EXPECT_EQ(looks, 2);
    EXPECT_EQ(known.of(someone(curl))->cgroup, "/" + std::to_string(curl.pid));
    EXPECT_EQ(known.of(someone(nginx))->cgroup, "/" + std::to_string(nginx.pid));
    EXPECT_EQ(names, 2); // the last TIME_WAIT ends after a minute
    EXPECT_GT(last.events, 20);
}

/// What is printed of a server's life while its process lives there.
std::vector<std::string> life_at(MakeSink make, const Home& home)
{
    Whereabouts known;
    known.learn(someone(), home, 0);
    known.learn(init_netns, "bl\x1bue", 0);
    PresentOptions o = plain();
    o.whereabouts = &known;
    return lines_of(render_records(make, o, [](Correlator& c) { server_life(c); }));
}

TEST(home_in_json, has_all_that_is_known)
{
    const Home home{"/k\xff\"", id, "2c48913c-b29f-11e7-9350-020968147796", 7};
    int named = 0;
    for (const std::string& line : life_at(make_json, home)) {
        const json e = json::parse(line);
        EXPECT_EQ(e["netns_name"], "bl\x1bue") << line;
        if (!e.contains("pid"))
            continue;
        named++;
        EXPECT_EQ(e["cgroup"], "/k\xef\xbf\xbd\"") << line;
        EXPECT_EQ(e["container"], id);
        EXPECT_EQ(e["pod"], home.pod);
        EXPECT_EQ(e["ns_pid"], 7);
        const std::string documented = read_file(TCPSAGA_EVENTS_MD);
        for (const auto& [key, value] : e.items())
            EXPECT_THAT(documented, HasSubstr("`" + key + "`"));
    }
    EXPECT_GE(named, 4);
}

TEST(home_in_json, has_no_key_for_what_is_not_known)
{
    for (const std::string& line : life_at(make_json, {"/"})) {
        const json e = json::parse(line);
        for (const char* key : {"container", "pod", "ns_pid"})
            EXPECT_FALSE(e.contains(key)) << line;
        EXPECT_EQ(e.contains("cgroup"), e.contains("pid")) << line;
    }
    for (const std::string& line : life_at(make_json, {}))
        EXPECT_THAT(line, Not(HasSubstr("cgroup")));
}

TEST(home_in_json, is_the_new_one_once_that_is_known)
{
    Whereabouts known;
    PresentOptions o = plain();
    o.whereabouts = &known;
    const auto lines = lines_of(render_records(make_json, o, [&](Correlator& c) {
        for (const char* cgroup : {"", "/a", "/b"}) {
            known.learn(someone(), {cgroup}, 0);
            server_life(c);
        }
    }));
    std::set<std::string> cgroups;
    for (const std::string& line : lines)
        if (const json e = json::parse(line); e["event"] == "close")
            cgroups.insert(e.value("cgroup", "none"));
    EXPECT_EQ(cgroups, (std::set<std::string>{"none", "/a", "/b"}));
}

/// A path may be as long as PATH_MAX.
TEST(home_in_json, has_room_for_the_longest_path)
{
    for (const std::string& line : life_at(make_json, {std::string(4096, '\x01')}))
        EXPECT_TRUE(json::accept(line));
}

TEST(home_in_text, is_the_container_in_short)
{
    EXPECT_THAT(life_at(make_life, {"/x", id}).back(), EndsWith(" fin [3f2a1b4c5d6e]"));
    EXPECT_THAT(life_at(make_life, {"/x"}).back(), EndsWith(" fin"));
    EXPECT_THAT(life_at(make_trace, {"/x", id}).back(), EndsWith(" [3f2a1b4c5d6e]"));
    for (const std::string& line : life_at(make_trace, {"/x"}))
        EXPECT_THAT(line, Not(HasSubstr("[")));
}

} // namespace
} // namespace tcpsaga::testing
