// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lives.h"
#include "rendering.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using ::testing::Each;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::uint64_t closed_by(const event::Summary& s, event::End end)
{
    return s.closes_by_end.at(static_cast<std::size_t>(end));
}

TEST(summary, counts_ends_and_errors)
{
    Story story;
    client_life(story.correlator);
    server_life(story.correlator);
    refused_life(story.correlator, client().id(61).local("10.0.0.1", 40061));
    story.tell(5ms, client().id(62).local("0.0.0.0", 0).connect_error(EADDRNOTAVAIL).by(curl));
    story.tell(5ms, client().id(62).local("0.0.0.0", 0).connect_error(EADDRNOTAVAIL).by(curl));
    const auto s = story.correlator.summary();
    EXPECT_EQ(closed_by(s, event::End::fin), 2U);
    EXPECT_EQ(closed_by(s, event::End::refused), 1U);
    EXPECT_EQ(s.closes, 3U);
    EXPECT_THAT(s.connect_errors_by_errno,
                UnorderedElementsAre(Pair(ECONNREFUSED, 1U), Pair(EADDRNOTAVAIL, 2U)));
}

TEST(summary, names_the_busiest)
{
    Story story;
    for (std::uint16_t i = 0; i < 3; i++)
        story.tell(1ms, client().id(100U + i).local("10.0.0.1", 41000 + i).connect().by(curl));
    server_life(story.correlator);
    const auto s = story.correlator.summary();
    ASSERT_THAT(s.top_remotes, SizeIs(2));
    EXPECT_EQ(s.top_remotes[0].addr, ip("10.0.0.2"));
    EXPECT_EQ(s.top_remotes[0].made, 3U);
    EXPECT_EQ(s.top_remotes[0].got, 0U);
    EXPECT_EQ(s.top_remotes[1].addr, ip("10.0.0.1"));
    EXPECT_EQ(s.top_remotes[1].got, 1U);
    ASSERT_THAT(s.top_processes, SizeIs(2));
    EXPECT_EQ(s.top_processes[0].process.name(), "curl");
    EXPECT_EQ(s.top_processes[0].made, 3U);
    EXPECT_EQ(s.top_processes[1].process.name(), "nginx");
    EXPECT_EQ(s.top_processes[1].got, 1U);
}

TEST(summary, forgets_the_rarest_of_too_many)
{
    struct Count {
        std::uint64_t made = 0, got = 0;
    };
    Tops<std::uint32_t, Count, std::hash<std::uint32_t>> tops;
    for (std::uint32_t i = 0; i < 10; i++)
        tops.at(i).made += 100 + i;
    for (std::uint32_t i = 10; i < 100'000; i++)
        tops.at(i).got++;
    const auto first = tops.first(10);
    ASSERT_THAT(first, SizeIs(10));
    for (std::uint32_t i = 0; i < 10; i++) {
        EXPECT_EQ(first[i].first, 9 - i);
        EXPECT_EQ(first[i].second.made, 109 - i);
    }
    EXPECT_LE(tops.first(100'000).size(), 4096U);
}

TEST(summary, tells_an_interval)
{
    event::Summary before;
    before.opens = 10;
    before.listeners.resize(1);
    before.listeners[0].accepts = 4;
    event::Summary now = before;
    now.opens = 35;
    now.overflows = 2;
    now.listeners[0].accepts = 9;
    now.listeners.resize(2);
    now.listeners[1].local = {ip("10.0.0.2"), 81};
    now.listeners[1].accepts = 3;
    set_interval(now, before, 2'500'000);
    EXPECT_EQ(now.interval->opens, 25U);
    EXPECT_EQ(now.interval->overflows, 2U);
    EXPECT_EQ(now.listeners[0].new_accepts, 5U);
    EXPECT_EQ(now.listeners[1].new_accepts, 3U);
    const auto text = render(make_json, plain(), [&](Sink& sink) {
        sink.on_event({0, nullptr, {}, now});
    });
    const json told = json::parse(text);
    EXPECT_EQ(told["interval"]["us"], 2'500'000);
    EXPECT_EQ(told["interval"]["opens_per_s"], 10.0);
    EXPECT_EQ(told["listeners"][1]["new_accepts"], 3);
}

} // namespace
} // namespace tcpsaga::testing
