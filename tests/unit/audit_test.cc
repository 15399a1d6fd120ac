// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr std::uint32_t ns = 4026531840;

using AllCounters = std::map<std::uint32_t, ProcCounters>;

/// On a host that stands still during each reading.
std::vector<event::AuditRow> audited(const AllCounters& start, const AllCounters& end,
                                     const std::map<std::uint32_t, SeenCounts>& seen,
                                     const AuditContext& context)
{
    return audit({start, start}, {end, end}, seen, context);
}

ProcCounters parsed(const std::string& text)
{
    ProcCounters c;
    parse_counters(text, c);
    return c;
}

TEST(counters, are_read_from_pairs_of_lines)
{
    EXPECT_THAT(parsed("Ip: Forwarding DefaultTTL\nIp: 1 64\n"
                       "Tcp: ActiveOpens PassiveOpens\nTcp: 7 18446744073709551615\n"),
                ElementsAre(Pair("Ip.DefaultTTL", 64U), Pair("Ip.Forwarding", 1U),
                            Pair("Tcp.ActiveOpens", 7U),
                            Pair("Tcp.PassiveOpens", 18446744073709551615U)));
}

TEST(counters, behind_a_negative_one_are_read)
{
    EXPECT_EQ(parsed("Tcp: MaxConn ActiveOpens\nTcp: -1 7\n").at("Tcp.ActiveOpens"), 7U);
}

TEST(counters, of_two_files_are_joined)
{
    ProcCounters c;
    parse_counters("Tcp: ActiveOpens\nTcp: 1\n", c);
    parse_counters("TcpExt: ListenDrops\nTcpExt: 2\n", c);
    EXPECT_THAT(c, ElementsAre(Pair("Tcp.ActiveOpens", 1U), Pair("TcpExt.ListenDrops", 2U)));
}

TEST(counters, are_only_those_that_have_a_value_and_a_name)
{
    EXPECT_THAT(parsed("Tcp: A B\nTcp: 1\n"), ElementsAre(Pair("Tcp.A", 1U)));
    EXPECT_THAT(parsed("Tcp: A\nTcp: 1 2\n"), ElementsAre(Pair("Tcp.A", 1U)));
    EXPECT_THAT(parsed("Tcp: A B C\nTcp: 1 x 3\n"), ElementsAre(Pair("Tcp.A", 1U)));
}

TEST(counters, of_what_is_something_else)
{
    for (const char* text : {"", "\n", "\n\n", "Tcp: A\n", "Tcp: A", "Tcp A\nTcp 1\n",
                             "Tcp: A\nUdp: 1\n", "Tcp:\nTcp:\n", "   \n   \n"})
        EXPECT_THAT(parsed(text), IsEmpty()) << text;
    EXPECT_THAT(parsed("Tcp: A\nUdp: 1\nTcp: A\nTcp: 2\n"), ElementsAre(Pair("Tcp.A", 2U)));
}

// ---- what the kernel counted and what was seen -----------------------------------------------

/// Everything happened, each a different number of times.
SeenCounts some()
{
    SeenCounts s;
    s.active_opens = 1;
    s.passive_opens = 2;
    s.overflows.at(TS_SYN_DROP) = 10;
    s.overflows.at(TS_SYN_COOKIE) = 200;
    s.overflows.at(TS_SYN_BACKLOG_DROP) = 3000;
    s.overflows.at(TS_SYN_ACCEPTQ_DROP) = 40000;
    s.overflows.at(TS_ACK_DROP) = 500000;
    s.overflows.at(TS_ACK_RESET) = 6000000;
    s.other_drops = 70000000;
    s.cookies_wanted = 201;
    s.time_wait_in = 301;
    s.time_wait_expired = 302;
    s.time_wait_overflows = 303;
    s.rsts_sent = 304;
    s.established_resets = 305;
    s.retransmits = 306;
    s.syn_retransmits = 307;
    return s;
}

ProcCounters counted()
{
    return {{"Tcp.ActiveOpens", 1},
            {"Tcp.PassiveOpens", 2},
            {"TcpExt.ListenOverflows", 6540000},
            {"TcpExt.ListenDrops", 76543010},
            {"TcpExt.TCPReqQFullDoCookies", 201},
            {"TcpExt.TCPReqQFullDrop", 10},
            {"TcpExt.TW", 301},
            {"TcpExt.TCPTimeWaitOverflow", 303},
            {"Tcp.OutRsts", 304},
            {"Tcp.EstabResets", 305},
            {"Tcp.RetransSegs", 306},
            {"TcpExt.TCPSynRetrans", 307}};
}

/// The counter that a row is about; of a sum, the first.
std::string counter_of(const event::AuditRow& row)
{
    return row.counter.substr(0, row.counter.find('+'));
}

ProcCounters plus(const ProcCounters& a, std::uint64_t n)
{
    ProcCounters sum = a;
    for (auto& [name, value] : sum)
        value += n;
    return sum;
}

const event::AuditRow& row_of(const std::vector<event::AuditRow>& rows, std::string_view counter)
{
    const auto it = std::ranges::find(rows, counter, &event::AuditRow::counter);
    if (it == rows.end())
        throw std::runtime_error("no row of " + std::string(counter));
    return *it;
}

TEST(audit, agrees_where_everything_was_seen)
{
    const auto rows = audited({{ns, plus({}, 0)}}, {{ns, counted()}}, {{ns, some()}}, {});
    ASSERT_EQ(rows.size(), counted().size());
    for (const event::AuditRow& row : rows) {
        EXPECT_EQ(row.netns, ns);
        EXPECT_EQ(row.kernel, counted().at(counter_of(row))) << row.counter;
        EXPECT_EQ(row.seen, row.kernel) << row.counter;
        EXPECT_EQ(row.why, "");
        EXPECT_FALSE(row.unexplained());
    }
}

TEST(audit, is_of_what_the_counters_rose_by)
{
    const ProcCounters start = plus(counted(), 1'000'000'000);
    ProcCounters end = start;
    for (auto& [name, value] : end)
        value += counted().at(name);
    for (const event::AuditRow& row : audited({{ns, start}}, {{ns, end}}, {{ns, some()}}, {}))
        EXPECT_EQ(row.kernel, row.seen) << row.counter;
}

TEST(audit, nothing_explains_a_difference)
{
    ProcCounters more = counted();
    more["Tcp.PassiveOpens"]++;
    more["TcpExt.ListenDrops"]--;
    const auto rows = audited({{ns, {}}}, {{ns, more}}, {{ns, some()}}, {});
    for (const event::AuditRow& row : rows)
        EXPECT_EQ(row.unexplained(),
                  row.counter == "Tcp.PassiveOpens" || row.counter == "TcpExt.ListenDrops");
    EXPECT_EQ(row_of(rows, "Tcp.PassiveOpens").kernel, 3U);
    EXPECT_EQ(row_of(rows, "Tcp.PassiveOpens").seen, 2U);
}

TEST(audit, something_explains_a_difference)
{
    ProcCounters more = counted();
    more["Tcp.PassiveOpens"]++;
    const auto why = [&](const AuditContext& context) {
        const auto rows = audited({{ns, {}}}, {{ns, more}}, {{ns, some()}}, context);
        EXPECT_EQ(row_of(rows, "Tcp.ActiveOpens").why, ""); // it does not differ
        EXPECT_FALSE(row_of(rows, "Tcp.PassiveOpens").unexplained());
        return row_of(rows, "Tcp.PassiveOpens").why;
    };
    EXPECT_EQ(why({5, false, {}}), "5 records lost");
    EXPECT_EQ(why({0, true, {}}), "filtered");
    EXPECT_EQ(why({0, false, {"Tcp.PassiveOpens", "Tcp.ActiveOpens"}}), "no hook");
    EXPECT_EQ(why({5, true, {"Tcp.PassiveOpens"}}), "no hook");
    EXPECT_EQ(why({5, true, {"TcpExt.ListenDrops"}}), "filtered");
}

TEST(audit, a_counter_that_is_unseen_does_not_explain_another)
{
    ProcCounters more = counted();
    more["Tcp.PassiveOpens"]++;
    const auto rows =
        audited({{ns, {}}}, {{ns, more}}, {{ns, some()}}, {0, false, {"TcpExt.ListenDrops"}});
    EXPECT_TRUE(row_of(rows, "Tcp.PassiveOpens").unexplained());
}

TEST(audit, a_new_namespace_begins_at_zero)
{
    const auto rows = audited({{ns, {}}}, {{ns, {}}, {7, counted()}}, {{7, some()}}, {});
    EXPECT_EQ(rows.size(), 2 * counted().size());
    for (const event::AuditRow& row : rows) {
        EXPECT_EQ(row.kernel, row.netns == 7 ? counted().at(counter_of(row)) : 0) << row.counter;
        EXPECT_EQ(row.seen, row.kernel) << row.counter;
    }
}

TEST(audit, a_namespace_that_is_gone_has_no_rows)
{
    EXPECT_THAT(audited({{7, counted()}}, {}, {{7, some()}}, {}), IsEmpty());
}

TEST(audit, of_a_namespace_where_nothing_was_seen)
{
    const auto rows = audited({}, {{ns, counted()}}, {}, {});
    for (const event::AuditRow& row : rows) {
        EXPECT_EQ(row.seen, 0U);
        EXPECT_TRUE(row.unexplained());
    }
}

// The kernel gives inode numbers of namespaces that are gone to new ones.
TEST(audit, a_counter_that_fell_is_of_a_new_namespace)
{
    const auto rows =
        audited({{ns, plus(counted(), 1'000'000'000)}}, {{ns, counted()}}, {{ns, some()}}, {});
    for (const event::AuditRow& row : rows)
        EXPECT_EQ(row.kernel, row.seen) << row.counter;
}

// The old one went and the new one came between the two readings at the start.
TEST(audit, a_counter_that_fell_while_it_was_read_is_of_a_new_namespace)
{
    SeenCounts more = some();
    more.passive_opens = 99;
    const CounterReading start{{{ns, plus(counted(), 1'000'000'000)}}, {}};
    const CounterReading end{{{ns, counted()}}, {{ns, counted()}}};
    const auto rows = audit(start, end, {{ns, more}}, {});
    EXPECT_EQ(row_of(rows, "Tcp.ActiveOpens").kernel, 1U);
    EXPECT_EQ(row_of(rows, "Tcp.PassiveOpens").kernel, 2U);
    EXPECT_TRUE(row_of(rows, "Tcp.PassiveOpens").unexplained());
}

TEST(audit, counts_drops_that_were_found_by_looking)
{
    SeenCounts s;
    s.polled_drops = 5;
    s.other_drops = 10;
    const auto rows = audited({}, {{ns, {{"TcpExt.ListenDrops", 15}}}}, {{ns, s}}, {});
    EXPECT_EQ(row_of(rows, "TcpExt.ListenDrops").seen, 15U);
}

// Small sockets that are made for 4 s or less count in TWKilled.
TEST(audit, time_waits_of_both_kinds_are_one_counter)
{
    ProcCounters split = counted();
    split["TcpExt.TW"] = 300;
    split["TcpExt.TWKilled"] = 1;
    const auto rows = audited({{ns, {}}}, {{ns, split}}, {{ns, some()}}, {});
    EXPECT_EQ(row_of(rows, "TcpExt.TW+TWKilled").kernel, 301U);
    EXPECT_EQ(row_of(rows, "TcpExt.TW+TWKilled").seen, 301U);
}

TEST(audit, time_waits_are_counted_where_the_kernel_does)
{
    AuditContext context;
    const auto seen = [&] {
        const auto rows = audited({{ns, {}}}, {{ns, counted()}}, {{ns, some()}}, context);
        return row_of(rows, "TcpExt.TW+TWKilled").seen;
    };
    EXPECT_EQ(seen(), some().time_wait_in);
    context.time_wait_counted_at_end = true;
    EXPECT_EQ(seen(), some().time_wait_expired);
}

// ---- while the counters move -------------------------------------------------------------------

ProcCounters opened(std::uint64_t n)
{
    return {{"Tcp.ActiveOpens", n}};
}

event::AuditRow opens_in(const CounterReading& start, const CounterReading& end, std::uint64_t seen)
{
    SeenCounts s;
    s.active_opens = seen;
    return row_of(audit(start, end, {{ns, s}}, {}), "Tcp.ActiveOpens");
}

// From 10 to 12 at the start and from 20 to 25 at the end: by 8 to 15.
TEST(audit_range, takes_the_nearest_to_what_was_seen)
{
    const CounterReading start{{{ns, opened(10)}}, {{ns, opened(12)}}};
    const CounterReading end{{{ns, opened(20)}}, {{ns, opened(25)}}};
    for (std::uint64_t seen = 0; seen <= 20; seen++) {
        const event::AuditRow row = opens_in(start, end, seen);
        EXPECT_EQ(row.seen, seen);
        EXPECT_EQ(row.kernel, std::clamp<std::uint64_t>(seen, 8, 15));
        EXPECT_EQ(row.unexplained(), seen < 8 || seen > 15) << seen;
    }
}

TEST(audit_range, of_a_namespace_that_came_in_the_last_reading)
{
    EXPECT_EQ(opens_in({}, {{}, {{ns, opened(5)}}}, 3).kernel, 3U);
    EXPECT_EQ(opens_in({}, {{}, {{ns, opened(5)}}}, 6).kernel, 5U);
}

TEST(audit_range, of_a_namespace_that_came_in_the_first_reading)
{
    const CounterReading start{{}, {{ns, opened(2)}}};
    const CounterReading end{{{ns, opened(9)}}, {{ns, opened(9)}}};
    EXPECT_EQ(opens_in(start, end, 1).kernel, 7U);
    EXPECT_EQ(opens_in(start, end, 8).kernel, 8U);
    EXPECT_EQ(opens_in(start, end, 10).kernel, 9U);
}

// Nothing was between the readings at the start and the end but those.
TEST(audit_range, of_no_time_at_all)
{
    const CounterReading start{{{ns, opened(3)}}, {{ns, opened(5)}}};
    const CounterReading end{{{ns, opened(4)}}, {{ns, opened(5)}}};
    EXPECT_EQ(opens_in(start, end, 0).kernel, 0U);
    EXPECT_EQ(opens_in(start, end, 3).kernel, 2U);
}

} // namespace
} // namespace tcpsaga::testing
