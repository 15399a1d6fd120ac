// SPDX-License-Identifier: BSD-2-Clause
// How messages are named, shared and counted; how a place is written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fleet/host_text.h"
#include "fleet/leases.h"
#include "fleet/message.h"
#include "fleet/place.h"
#include "fleet/tally.h"

namespace tcpsaga::fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(Place, HasServersAStreamAndKeys)
{
    const auto p = parse_place("nats://a:4222,[::1]:4223,c/EVENTS-1?partitions=16&creds=/x/y.creds"
                               "&spool=/s&spool_size=3M");
    ASSERT_TRUE(p) << p.error().message();
    EXPECT_THAT(p->servers, ElementsAre("nats://a:4222", "nats://[::1]:4223", "nats://c"));
    EXPECT_EQ(p->stream, "EVENTS-1");
    EXPECT_EQ(p->partitions, 16);
    EXPECT_EQ(p->credentials, "/x/y.creds");
    EXPECT_EQ(p->spool, "/s");
    EXPECT_EQ(p->spool_most, 3U << 20U);
    EXPECT_FALSE(p->tls);
    EXPECT_EQ(p->name, "nats://a:4222,[::1]:4223,c/EVENTS-1");
}

TEST(Place, MayAskForTls)
{
    EXPECT_TRUE(parse_place("tls://a/S")->tls);
    EXPECT_TRUE(parse_place("nats://a/S?ca=/ca.pem")->tls);
    EXPECT_FALSE(parse_place("nats://a/S?cert=/c.pem"));
}

TEST(Place, IsRefusedWithTheReason)
{
    for (const auto& [where, why] :
         {std::pair("nats://", "want nats://"), std::pair("nats://host", "want nats://"),
          std::pair("nats:///S", "want nats://"), std::pair("nats://a/", "a stream's name"),
          std::pair("nats://a/S.T", "a stream's name"), std::pair("nats://a,,b/S", "want nats://"),
          std::pair("nats://me:secret@a/S", "secrets do not belong"),
          std::pair("nats://a/S?partitions=0", "partitions are 1 to 64"),
          std::pair("nats://a/S?partitions=65", "partitions are 1 to 64"),
          std::pair("nats://a/S?spool_size=12", "1M at least"),
          std::pair("nats://a/S?spool=", "'spool' is empty"),
          std::pair("nats://a/S?colour=red", "no key 'colour'")}) {
        const auto p = parse_place(where);
        ASSERT_FALSE(p) << where;
        EXPECT_THAT(p.error().message(), HasSubstr(why)) << where;
    }
}

TEST(Sizes, HaveUnits)
{
    EXPECT_EQ(parse_size("12"), 12U);
    EXPECT_EQ(parse_size("256M"), 256U << 20U);
    EXPECT_EQ(parse_size("2G"), std::uint64_t{2} << 30U);
    for (const char* bad : {"", "M", "1X", "-1", "1.5G", "99999999999G"})
        EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(MessageIds, AreReadAsTheyWereWritten)
{
    const MessageId id{fleet::Run{"db 1/x.y", "b-o-o-t", 42}.text(), "7", 123};
    EXPECT_EQ(id.text(), "db%201%2Fx%2Ey/b-o-o-t/42/7/123");
    const auto back = MessageId::parse(id.text());
    ASSERT_TRUE(back);
    EXPECT_EQ(back->run, id.run);
    EXPECT_EQ(back->lane, "7");
    EXPECT_EQ(back->sequence, 123U);
    EXPECT_EQ(back->host(), "db 1/x.y");
    for (const char* foreign : {"", "x", "a/b/c/d", "a/b/c/d/0", "a/b/c/d/e", "a/b/c/d/e/5", "/1"})
        EXPECT_FALSE(MessageId::parse(foreign)) << foreign;
}

TEST(Partitions, AreTheSameForBothEnds)
{
    const std::string client =
        R"({"v":1,"host":"a","lport":5,"community_id":"1:xyz=","role":"client"})";
    const std::string server =
        R"({"v":1,"host":"b","rport":5,"community_id":"1:xyz=","role":"server"})";
    for (unsigned n = 1; n <= most_partitions; n++) {
        EXPECT_EQ(partition_of(client, n), partition_of(server, n));
        EXPECT_LT(partition_of(client, n), n);
    }
    // As anybody may compute them: FNV-1a, 32 bits, of "1:xyz=".
    EXPECT_EQ(partition_of(client, 64), 0xbe381490U % 64);
}

TEST(Partitions, OfLinesWithoutAFlowGoByTheHost)
{
    EXPECT_EQ(partition_of(R"({"event":"summary","host":"a"})", 64),
              partition_of(R"({"event":"lost","host":"a","n":3})", 64));
    EXPECT_NE(partition_of(R"({"event":"summary","host":"a"})", 64),
              partition_of(R"({"event":"summary","host":"b"})", 64));
}

TEST(Partitions, UseManyOfThem)
{
    std::set<unsigned> used;
    for (int i = 0; i < 400; i++)
        used.insert(partition_of(R"({"community_id":"1:)" + std::to_string(i) + "\"}", 8));
    EXPECT_EQ(used.size(), 8U);
}

TEST(Subjects, SayHowManyPartitionsAStreamHas)
{
    EXPECT_THAT(subjects_of(2), ElementsAre("tcpsaga.v1.0", "tcpsaga.v1.1", "tcpsaga.v1.host.*"));
    EXPECT_EQ(partitions_of({"tcpsaga.v1.host.*", "tcpsaga.v1.1", "tcpsaga.v1.0"}), 2U);
    EXPECT_EQ(partitions_of({"tcpsaga.v1.host.*", "tcpsaga.v1.2", "tcpsaga.v1.0"}), 0U);
    EXPECT_EQ(partitions_of({"orders.>"}), 0U);
    EXPECT_EQ(partitions_of({}), 0U);
    EXPECT_EQ(host_subject("web.example"), "tcpsaga.v1.host.web%2Eexample");
}

MessageId nth(std::uint64_t n, const std::string& host = "h", const std::string& lane = "0")
{
    return {fleet::Run{host, "boot", 1}.text(), lane, n};
}

TEST(TallyTest, KnowsWhatHasCome)
{
    Tally t;
    for (const std::uint64_t n : {1, 3, 4, 6, 5}) // 2 is missing
        EXPECT_TRUE(t.is_new(nth(n))) << n;
    for (const std::uint64_t n : {1, 3, 4, 5, 6})
        EXPECT_FALSE(t.is_new(nth(n))) << n;
    EXPECT_EQ(t.messages(), 5U);
    EXPECT_EQ(t.again(), 5U);
    EXPECT_EQ(t.missing(), 1U);
    EXPECT_TRUE(t.is_new(nth(2)));
    EXPECT_EQ(t.missing(), 0U);
}

TEST(TallyTest, WhatWasAnothersIsNotMissing)
{
    Tally t;
    // One that was killed had acknowledged 1 to 7 and 9; the others come again.
    EXPECT_TRUE(t.is_new(nth(8), {1, true}));
    EXPECT_TRUE(t.is_new(nth(11), {1, false}));
    EXPECT_TRUE(t.is_new(nth(10), {1, true}));
    EXPECT_EQ(t.missing(), 0U);
    EXPECT_TRUE(t.is_new(nth(13), {1, false}));
    EXPECT_EQ(t.missing(), 1U) << "12";
    // Another has the partition for a while, and gives it back.
    EXPECT_TRUE(t.is_new(nth(31), {2, false}));
    EXPECT_EQ(t.missing(), 1U);
    EXPECT_TRUE(t.is_new(nth(33), {2, false}));
    EXPECT_EQ(t.missing(), 2U);
    EXPECT_FALSE(t.is_new(nth(13), {2, true}));
}

TEST(TallyTest, KeepsLanesAndHostsApart)
{
    Tally t;
    EXPECT_TRUE(t.is_new(nth(1)));
    EXPECT_TRUE(t.is_new(nth(1, "h", "1")));
    EXPECT_TRUE(t.is_new(nth(1, "g")));
    EXPECT_TRUE(t.is_new(nth(5, "g")));
    EXPECT_THAT(t.missing_by_host(), UnorderedElementsAre(Pair("g", 3U)));
}

TEST(Leases, OneReaderTakesAll)
{
    const Moves m = next_moves({4, 1, {}, {}});
    EXPECT_THAT(m.take, ElementsAre(0, 1, 2, 3));
    EXPECT_THAT(m.give, IsEmpty());
}

TEST(Leases, TheFirstGivesHalfToTheSecond)
{
    EXPECT_THAT(next_moves({4, 2, {0, 1, 2, 3}, {}}).give, ElementsAre(3, 2));
    EXPECT_THAT(next_moves({4, 2, {}, {0, 1, 2, 3}}).take, IsEmpty());
    EXPECT_THAT(next_moves({4, 2, {}, {0, 1}}).take, ElementsAre(2, 3));
}

TEST(Leases, WhoIsLeftTakesWhatIsFree)
{
    EXPECT_THAT(next_moves({4, 1, {0, 1}, {}}).take, ElementsAre(2, 3));
    const Moves uneven = next_moves({8, 3, {0, 1, 2}, {3, 4, 5}});
    EXPECT_THAT(uneven.take, IsEmpty()); // those are the third's
    EXPECT_THAT(uneven.give, IsEmpty());
}

TEST(HostTexts, AreReadAsTheyWereWritten)
{
    Origin o;
    o.host = "web";
    o.started_ns = 77;
    o.utc_offset_ns = 5;
    o.config.accept_seen = false;
    Settings s;
    s.sysctls[0]["net.core.somaxconn"] = "4096";
    const auto back = parse_host_text(host_text(o, s));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->origin.host, "web");
    EXPECT_EQ(back->origin.started_ns, 77U);
    EXPECT_FALSE(back->origin.config.accept_seen);
    EXPECT_EQ(back->settings.sysctls.at(0).at("net.core.somaxconn"), "4096");
    for (const char* foreign : {"", "{}", "[]", "x", R"({"origin":1,"settings":{}})"})
        EXPECT_FALSE(parse_host_text(foreign)) << foreign;
}

} // namespace
} // namespace tcpsaga::fleet
