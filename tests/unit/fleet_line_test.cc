// SPDX-License-Identifier: BSD-2-Clause
// Lines of events.md that become events again.
#include "fleet/event_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rendering.h"

namespace tcpsaga::fleet {
namespace {

using ::testing::HasSubstr;
using namespace tcpsaga::testing;

/// What a presenter prints of the event that was read from a line.
std::string again(MakeSink make, const EventReader& reader, Whereabouts& whereabouts)
{
    const Event& e = reader.event();
    if (e.actor.known() && !reader.home().cgroup.empty())
        whereabouts.learn(e.actor, reader.home(), e.ts_ns);
    if (e.conn != nullptr && !reader.netns_name().empty())
        whereabouts.learn(e.conn->tuple.netns, reader.netns_name(), e.ts_ns);
    PresentOptions o;
    o.host = reader.host();
    o.whereabouts = &whereabouts;
    o.header = false;
    return render(make, o, [&](Sink& to) { to.on_event(e); });
}

/// Bytes that were no UTF-8 became longer than a name may be.
bool lost_bytes(const std::string& line)
{
    return line.find("\\ufffd") != std::string::npos;
}

class EveryLine : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryLine, IsPrintedAsItWasRead)
{
    std::size_t read = 0;
    EventReader reader;
    for (const std::string& line :
         lines_of(read_file(std::string(TCPSAGA_GOLDEN_DIR) + "/" + GetParam()))) {
        if (lost_bytes(line))
            continue;
        ASSERT_TRUE(reader.read(line)) << reader.why() << "\n" << line;
        Whereabouts whereabouts;
        EXPECT_EQ(again(make_json, reader, whereabouts), line + "\n");
        read++;
    }
    EXPECT_GT(read, 100U);
}
INSTANTIATE_TEST_SUITE_P(OfTheGoldens, EveryLine, ::testing::Values("events.jsonl", "day.jsonl"));

const std::string life =
    R"({"v":1,"ts":"2023-11-14T22:13:21.000000000Z","event":"close","host":"web1","conn":7,)"
    R"("netns":4026531840,"family":"ipv4","laddr":"10.0.0.2","lport":80,"raddr":"10.0.0.1",)"
    R"("rport":5000,"community_id":"1:x","role":"server","pid":202,"comm":"nginx","uid":33,)"
    R"("pid_from":"accept","closed_by":"remote","seen_start":true,"tx_bytes":10,"rx_bytes":20,)"
    R"("duration_us":500000,"established_us":499000,"handshake_us":2000,"accept_wait_us":12,)"
    R"("retransmits":0,"end":"fin"})";

TEST(EventLines, OfALifeHaveItsTimes)
{
    EventReader reader;
    ASSERT_TRUE(reader.read(life)) << reader.why();
    const Event& e = reader.event();
    constexpr std::uint64_t end = 1'700'000'001'000'000'000;
    EXPECT_EQ(e.ts_ns, end);
    EXPECT_EQ(e.conn->started_ns, end - 500'000'000);
    EXPECT_EQ(e.conn->established_ns, end - 499'000'000);
    EXPECT_EQ(e.conn->handshake_us, 2000U);
    EXPECT_TRUE(e.conn->accepted);
    EXPECT_EQ(e.conn->owner.pid, 202U);
    EXPECT_EQ(reader.host(), "web1");
}

TEST(EventLines, KeepPercentiles)
{
    EventReader reader;
    ASSERT_TRUE(
        reader.read(R"({"v":1,"ts":"2023-11-14T22:13:21Z","event":"summary","host":"h","opens":1,)"
                    R"("listeners":[{"netns":1,"laddr":"::","lport":80,"births":3,"accepts":3,)"
                    R"("handshake_us":{"p50":100,"p90":9000,"p99":70000,"max":70001}}]})"))
        << reader.why();
    const auto& h = std::get<event::Summary>(reader.event().what).listeners.at(0).handshake_us;
    EXPECT_EQ(h.percentile(50), 100U);
    EXPECT_EQ(h.max(), 70001U);
    EXPECT_NEAR(static_cast<double>(h.percentile(90)), 9000, 9000.0 / 100);
}

TEST(EventLines, ThatAreNotOursAreRefusedWithTheReason)
{
    const auto with = [](std::string_view from, std::string_view to) {
        std::string line = life;
        return line.replace(line.find(from), from.size(), to);
    };
    EventReader reader;
    for (const auto& [line, why] :
         {std::pair(std::string("hello"), "no JSON object"),
          std::pair(std::string("[1]"), "no JSON"), std::pair(std::string("{}"), "'v'"),
          std::pair(with(R"("v":1)", R"("v":2)"), "'v'"),
          std::pair(with("close", "gossip"), "'event'"),
          std::pair(with("2023-11-14T", "yesterday "), "'ts'"),
          std::pair(with(R"("lport":80)", R"("lport":"80")"), "'lport'"),
          std::pair(with(R"("lport":80)", R"("lport":-1)"), "'lport'"),
          std::pair(with("10.0.0.2", "nowhere"), "'laddr'"),
          std::pair(with(R"("end":"fin")", R"("end":"?")"), "'end'"),
          std::pair(with(R"("netns":4026531840,)", ""), "'netns'")}) {
        EXPECT_FALSE(reader.read(line)) << line;
        EXPECT_THAT(reader.why(), HasSubstr(why)) << line;
    }
    EXPECT_FALSE(reader.read(R"({"v":1,"host":"h","finding":"syn_unanswered"})"));
    EXPECT_EQ(reader.why(), "") << "a doctor's";
    EXPECT_TRUE(reader.read(life)) << "and go on";
}

TEST(EventLines, MayHaveKeysThatAreNotKnown)
{
    std::string line = life;
    line.insert(line.size() - 1, R"(,"later":[1,{"a":null}])");
    EventReader reader;
    EXPECT_TRUE(reader.read(line)) << reader.why();
}

} // namespace
} // namespace tcpsaga::fleet
