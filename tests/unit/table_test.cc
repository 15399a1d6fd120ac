// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/table.h"

#include <gtest/gtest.h>

#include <set>

#include "records.h"

namespace tcpsaga::testing {
namespace {

Tuple tuple(std::uint16_t port, std::uint32_t netns = init_netns)
{
    return client().local("10.0.0.1", port).netns(netns).tuple();
}

TEST(table, finds_by_id_and_by_tuple)
{
    ConnectionTable t(10);
    Connection& c = t.insert(7, tuple(1));
    EXPECT_EQ(c.kernel_id, 7U);
    EXPECT_EQ(c.tuple, tuple(1));
    EXPECT_EQ(t.find(7, init_netns), &c);
    EXPECT_EQ(t.find(tuple(1)), &c);
    EXPECT_EQ(t.find(8, init_netns), nullptr);
    EXPECT_EQ(t.find(7, 1), nullptr);
    EXPECT_EQ(t.find(tuple(2)), nullptr);
    EXPECT_EQ(t.find(tuple(1, 1)), nullptr);
    EXPECT_EQ(t.size(), 1U);
}

TEST(table, keeps_namespaces_apart)
{
    ConnectionTable t(10);
    const Connection& a = t.insert(7, tuple(1, 100));
    const Connection& b = t.insert(7, tuple(1, 200));
    EXPECT_EQ(t.find(7, 100), &a);
    EXPECT_EQ(t.find(7, 200), &b);
    EXPECT_EQ(t.find(tuple(1, 100)), &a);
    EXPECT_EQ(t.find(tuple(1, 200)), &b);
    EXPECT_EQ(t.size(), 2U);
}

TEST(table, erases_both_ways_to_an_entry)
{
    ConnectionTable t(10);
    t.erase(t.insert(7, tuple(1)));
    EXPECT_EQ(t.find(7, init_netns), nullptr);
    EXPECT_EQ(t.find(tuple(1)), nullptr);
    EXPECT_EQ(t.size(), 0U);
    EXPECT_EQ(t.evicted(), 0U);
}

TEST(table, an_id_again_is_another_connection)
{
    ConnectionTable t(10);
    t.insert(7, tuple(1)).role = Role::client;
    const Connection& again = t.insert(7, tuple(2));
    EXPECT_EQ(again.role, Role::unknown);
    EXPECT_EQ(t.find(7, init_netns), &again);
    EXPECT_EQ(t.find(tuple(1)), nullptr);
    EXPECT_EQ(t.find(tuple(2)), &again);
    EXPECT_EQ(t.size(), 1U);
    EXPECT_EQ(t.evicted(), 0U);
}

TEST(table, a_reused_tuple_belongs_to_the_younger)
{
    ConnectionTable t(10);
    const Connection& old = t.insert(1, tuple(1));
    const Connection& young = t.insert(2, tuple(1));
    EXPECT_EQ(t.find(tuple(1)), &young);
    EXPECT_EQ(t.find(1, init_netns), &old);
    t.erase(old);
    EXPECT_EQ(t.find(tuple(1)), &young);
    EXPECT_EQ(t.find(1, init_netns), nullptr);
    EXPECT_EQ(t.find(2, init_netns), &young);
    EXPECT_EQ(t.size(), 1U);
    t.erase(young);
    EXPECT_EQ(t.find(tuple(1)), nullptr);
}

TEST(table, rekeys)
{
    ConnectionTable t(10);
    Connection& c = t.insert(address_a, tuple(1));
    t.rekey(c, 7);
    EXPECT_EQ(c.kernel_id, 7U);
    EXPECT_EQ(t.find(7, init_netns), &c);
    EXPECT_EQ(t.find(address_a, init_netns), nullptr);
    EXPECT_EQ(t.find(tuple(1)), &c);
    EXPECT_EQ(t.size(), 1U);
    t.erase(c);
    EXPECT_EQ(t.size(), 0U);
    EXPECT_EQ(t.find(7, init_netns), nullptr);
}

TEST(table, retuples)
{
    ConnectionTable t(10);
    Connection& c = t.insert(7, tuple(0));
    t.retuple(c, tuple(40000));
    EXPECT_EQ(c.tuple, tuple(40000));
    EXPECT_EQ(t.find(tuple(40000)), &c);
    EXPECT_EQ(t.find(tuple(0)), nullptr);
    EXPECT_EQ(t.find(7, init_netns), &c);
    t.erase(c);
    EXPECT_EQ(t.find(tuple(40000)), nullptr);
}

// Two connects to one service share a tuple until their ports are chosen.
TEST(table, retuples_one_of_two_with_the_same_tuple)
{
    ConnectionTable t(10);
    Connection& first = t.insert(1, tuple(0));
    Connection& second = t.insert(2, tuple(0));
    t.retuple(first, tuple(40001));
    EXPECT_EQ(t.find(tuple(0)), &second);
    EXPECT_EQ(t.find(tuple(40001)), &first);
    t.retuple(second, tuple(40002));
    EXPECT_EQ(t.find(tuple(0)), nullptr);
    EXPECT_EQ(t.find(tuple(40001)), &first);
    EXPECT_EQ(t.find(tuple(40002)), &second);
}

TEST(table, evicts_the_stalest)
{
    ConnectionTable t(3);
    for (std::uint16_t i = 1; i <= 3; i++)
        t.insert(i, tuple(i));
    EXPECT_EQ(t.evicted(), 0U);
    t.touch(*t.find(1, init_netns));
    t.insert(4, tuple(4));
    EXPECT_EQ(t.evicted(), 1U);
    EXPECT_EQ(t.size(), 3U);
    EXPECT_EQ(t.find(2, init_netns), nullptr);
    EXPECT_EQ(t.find(tuple(2)), nullptr);
    for (const std::uint64_t id : {1, 3, 4})
        EXPECT_NE(t.find(id, init_netns), nullptr) << id;
    t.insert(5, tuple(5));
    EXPECT_EQ(t.find(3, init_netns), nullptr);
    EXPECT_EQ(t.evicted(), 2U);
}

TEST(table, looking_is_not_touching)
{
    ConnectionTable t(2);
    t.insert(1, tuple(1));
    t.insert(2, tuple(2));
    EXPECT_NE(t.find(1, init_netns), nullptr);
    t.insert(3, tuple(3));
    EXPECT_EQ(t.find(1, init_netns), nullptr);
}

TEST(table, replacing_evicts_nobody)
{
    ConnectionTable t(2);
    t.insert(1, tuple(1));
    t.insert(2, tuple(2));
    t.insert(1, tuple(3));
    EXPECT_EQ(t.evicted(), 0U);
    EXPECT_EQ(t.size(), 2U);
    EXPECT_NE(t.find(2, init_netns), nullptr);
}

TEST(table, eviction_of_an_old_tuple_leaves_the_younger)
{
    ConnectionTable t(2);
    t.insert(1, tuple(1));
    const Connection& young = t.insert(2, tuple(1));
    t.insert(3, tuple(3));
    EXPECT_EQ(t.find(tuple(1)), &young);
}

TEST(table, never_grows_past_its_bound)
{
    ConnectionTable t(100);
    for (std::uint64_t i = 0; i < 10'000; i++) {
        t.insert(i, tuple(static_cast<std::uint16_t>(i % 150)));
        ASSERT_LE(t.size(), 100U);
    }
    EXPECT_EQ(t.size(), 100U);
    EXPECT_EQ(t.evicted(), 9'900U);
    for (std::uint64_t i = 9'900; i < 10'000; i++)
        EXPECT_NE(t.find(i, init_netns), nullptr) << i;
}

TEST(table, visits_what_is_there)
{
    ConnectionTable t(3);
    const auto ids = [&] {
        std::set<std::uint64_t> all;
        t.for_each([&](const Connection& c) { EXPECT_TRUE(all.insert(c.kernel_id).second); });
        return all;
    };
    EXPECT_EQ(ids(), std::set<std::uint64_t>{});
    for (std::uint16_t i = 1; i <= 4; i++) // the first is evicted
        t.insert(i, tuple(i));
    t.insert(3, tuple(5));
    t.erase(*t.find(2, init_netns));
    EXPECT_EQ(ids(), (std::set<std::uint64_t>{3, 4}));
}

TEST(table, references_outlive_growth)
{
    ConnectionTable t(10'000);
    Connection& first = t.insert(1, tuple(1));
    first.started_ns = 42;
    for (std::uint64_t i = 2; i < 5'000; i++)
        t.insert(i, tuple(static_cast<std::uint16_t>(i)));
    EXPECT_EQ(t.find(1, init_netns), &first);
    EXPECT_EQ(first.started_ns, 42U);
}

} // namespace
} // namespace tcpsaga::testing
