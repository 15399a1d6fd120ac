// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

DropTotals totals(std::uint32_t reason, std::uint64_t n, std::uint64_t location = place_a)
{
    return {{location, init_netns, reason}, {n, 0, 0}};
}

Correlator::Config config()
{
    Correlator::Config c;
    c.drop_reasons = {"SKB_NOT_DROPPED_YET", "NO_SOCKET", "", "NETFILTER_DROP"};
    c.place_of = [](std::uint64_t at) { return at == place_a ? "a+0x1" : ""; };
    return c;
}

class drop : public ::testing::Test {
protected:
    void settle(const std::vector<DropTotals>& all) { story.correlator.settle(all, 9'000'000); }

    Story story{config()};
};

TEST_F(drop, tells_reason_and_place)
{
    story.tell(2ms, client().drop(1, 1)).tell(2ms, client().drop(3, 1, place_b));
    EXPECT_THAT(story.news(), ElementsAre("drop NO_SOCKET a+0x1 n=1", "drop NETFILTER_DROP  n=1"));
    EXPECT_EQ(story.correlator.summary().drops, 2U);
}

// A gap in the enum, past its end, a subsystem's own; and a kernel that gives none.
TEST_F(drop, a_reason_without_a_name_is_its_number)
{
    story.tell(2ms, client().drop(2, 1)).tell(2ms, client().drop(99, 1));
    story.tell(2ms, client().drop(0x30004, 1)).tell(2ms, client().drop(TS_NO_REASON, 1));
    EXPECT_THAT(story.news(), ElementsAre("drop 0x2 a+0x1 n=1", "drop 0x63 a+0x1 n=1",
                                          "drop 0x30004 a+0x1 n=1", "drop  a+0x1 n=1"));
}

TEST_F(drop, without_symbols_has_no_place)
{
    Story blind;
    blind.tell(2ms, client().drop(TS_NO_REASON, 1));
    EXPECT_THAT(blind.news(), ElementsAre("drop   n=1"));
}

TEST_F(drop, is_of_its_connection)
{
    story.tell(1ms, client().connect().by(curl)).tell(2ms, client().drop(1, 1));
    const Seen& seen = story.last();
    EXPECT_EQ(seen.ts_ns, 2'000'000U);
    EXPECT_EQ(seen.conn->id, 1U);
    EXPECT_EQ(seen.conn->role, Role::client);
    EXPECT_EQ(seen.actor.pid, curl.pid);
    EXPECT_EQ(seen.actor.from, PidFrom::connect);
}

TEST_F(drop, of_nobodys_packet_makes_no_connection)
{
    story.tell(1ms, client().connect().by(curl)).tell(2ms, server().drop(1, 1));
    const Seen& seen = story.last();
    EXPECT_EQ(seen.conn->id, 0U);
    EXPECT_EQ(seen.conn->role, Role::unknown);
    EXPECT_EQ(seen.conn->tuple, server().tuple());
    EXPECT_FALSE(seen.actor.known());
    EXPECT_EQ(story.correlator.summary().alive, 1U);
    story.tell(2ms, Socket().local("2001:db8::1", 1).remote("2001:db8::2", 2).drop(1, 2));
    EXPECT_EQ(story.last().conn->family, 6);
}

TEST_F(drop, of_nobodys_packet_is_no_process)
{
    Correlator::Config c;
    c.filter.pids = {curl.pid};
    Story picky(c);
    picky.tell(1ms, client().connect().by(curl));
    picky.tell(2ms, server().drop(1, 1)).tell(2ms, client().drop(1, 2));
    EXPECT_EQ(picky.last().conn->tuple, client().tuple());
    EXPECT_THAT(picky.news(), ElementsAre("connect", "CLOSE>SYN_SENT", "drop 0x1  n=1"));
}

TEST_F(drop, stands_for_all_since_the_last_one_of_its_reason_and_place)
{
    story.tell(2ms, client().drop(1, 5)).tell(2ms, client().drop(1, 7, place_b));
    story.tell(2ms, client().drop(3, 2)).tell(2ms, client().netns(7).drop(1, 3));
    story.tell(2ms, client().drop(1, 9)).tell(2ms, client().drop(1, 8)); // two CPUs
    EXPECT_THAT(story.news(), ElementsAre("drop NO_SOCKET a+0x1 n=5", "drop NO_SOCKET  n=7",
                                          "drop NETFILTER_DROP a+0x1 n=2",
                                          "drop NO_SOCKET a+0x1 n=3", "drop NO_SOCKET a+0x1 n=4"));
    EXPECT_EQ(story.correlator.summary().drops, 21U);
}

TEST_F(drop, settling_tells_the_rest_once)
{
    story.tell(2ms, client().drop(1, 4));
    story.news();
    for (int twice = 0; twice < 2; twice++)
        settle({totals(1, 10), totals(TS_NO_REASON, 3, place_b)});
    EXPECT_THAT(story.news(), ElementsAre("drop NO_SOCKET a+0x1 n=6", "drop   n=3"));
    EXPECT_EQ(story.last().conn->tuple, (Tuple{{}, {}, init_netns}));
    EXPECT_EQ(story.last().conn->id, 0U);
    EXPECT_EQ(story.last().conn->family, 0);
    story.tell(10ms, client().drop(1, 8)); // was still in the ring
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().drops, 13U);
}

TEST(no_loss, is_by_name)
{
    EXPECT_EQ(no_loss({}), (std::array<std::uint64_t, 4>{}));
    ReasonNames names(300);
    names[0] = "SKB_NOT_DROPPED_YET";
    names[2] = "NO_SOCKET";
    names[63] = "QUEUE_PURGE";
    names[64] = "NOT_SPECIFIED";
    names[255] = "TCP_OLD_DATA";
    names[256] = "TCP_OLD_DATA"; // past what the kernel side looks up
    EXPECT_EQ(no_loss(names),
              (std::array<std::uint64_t, 4>{1 | 1ULL << 63, 1, 0, std::uint64_t{1} << 63}));
}

TEST(no_loss, leaves_what_matters)
{
    for (const char* reason :
         {"NO_SOCKET", "NETFILTER_DROP", "TCP_CSUM", "SOCKET_BACKLOG", "SOCKET_RCVBUFF",
          "PROTO_MEM", "TCP_ZEROWINDOW", "TCP_RFC7323_PAWS", "TCP_INVALID_SEQUENCE", "TCP_CLOSE",
          "TCP_LISTEN_OVERFLOW", "IP_INNOROUTES", "IP_RPFILTER", "CPU_BACKLOG", "QDISC_DROP",
          "NEIGH_FAILED", "NOMEM", "XDP", "SOCKET_FILTER"})
        EXPECT_EQ(no_loss({reason}), (std::array<std::uint64_t, 4>{})) << reason;
}

} // namespace
} // namespace tcpsaga::testing
