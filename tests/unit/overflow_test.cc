// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <random>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Task worker{203, "worker", 33};

/// A packet from 10.0.0.9 to the listener of cookie 3.
Socket packet()
{
    return Socket().id(3).local("10.0.0.2", 80).remote("10.0.0.9", 40009);
}

ListenerTotals totals(std::uint32_t kind, std::uint64_t n, std::uint64_t id = 3)
{
    ListenerTotals t{};
    t.key.id = id;
    t.key.netns = init_netns;
    t.counts.total[kind] = n;
    return t;
}

class overflow : public ::testing::Test {
protected:
    overflow()
    {
        story.tell(1ms, listener().listen(128).by(nginx));
        story.news();
    }
    void settle(const std::vector<ListenerTotals>& all) { story.correlator.settle(all, 9'000'000); }

    Story story;
};

TEST_F(overflow, of_every_kind)
{
    for (std::uint32_t kind = 0; kind < TS_OVERFLOW_KINDS; kind++)
        story.tell(2ms, packet().overflow(kind, 1));
    EXPECT_THAT(story.news(),
                ElementsAre("overflow syn syn drop n=1", "overflow syn syn cookie n=1",
                            "overflow syn syn drop max_syn_backlog n=1",
                            "overflow accept syn drop n=1", "overflow accept ack drop n=1",
                            "overflow accept ack reset n=1"));
    EXPECT_EQ(story.correlator.summary().overflows, 6U);
}

TEST_F(overflow, tells_the_queues)
{
    story.tell(2ms, packet().overflow(TS_ACK_DROP, 1));
    const auto& o = story.last().as<event::Overflow>();
    EXPECT_EQ(o.synq, 7U);
    EXPECT_EQ(o.acceptq, 129U);
    EXPECT_EQ(o.acceptq_max, 128U);
}

TEST_F(overflow, is_the_listeners_with_the_addresses_of_the_packet)
{
    story.tell(2ms, packet().overflow(TS_ACK_DROP, 1));
    const Seen& seen = story.last();
    EXPECT_EQ(seen.ts_ns, 2'000'000U);
    EXPECT_EQ(seen.conn->id, 3U);
    EXPECT_EQ(seen.conn->role, Role::server);
    EXPECT_EQ(seen.conn->tuple, packet().tuple());
    EXPECT_EQ(seen.actor.pid, nginx.pid);
    EXPECT_EQ(seen.actor.from, PidFrom::listener);
    // Only the copy that was shown has them.
    story.tell(3ms, listener().state(State::listen, State::close).by(nginx));
    EXPECT_EQ(story.last("unlisten").conn->tuple, listener().tuple());
    EXPECT_EQ(story.last("unlisten").actor.from, PidFrom::task);
}

TEST_F(overflow, of_ipv6_at_a_listener_of_both_families)
{
    const Socket v6 = Socket().id(3).local("2001:db8::2", 80).remote("2001:db8::9", 40009);
    story.tell(2ms, v6.overflow(TS_SYN_DROP, 1));
    EXPECT_EQ(story.last().conn->family, 6);
    EXPECT_EQ(story.last().conn->id, 3U);
}

TEST_F(overflow, of_an_unknown_listener)
{
    story.tell(2ms, packet().id(99).overflow(TS_SYN_DROP, 1)); // found by its address
    EXPECT_EQ(story.last().conn->id, 3U);
    story.tell(2ms, packet().id(99).local("10.0.0.2", 81).overflow(TS_SYN_DROP, 2));
    EXPECT_EQ(story.last().conn->id, 99U);
    EXPECT_FALSE(story.last().actor.known());
    EXPECT_EQ(story.last().as<event::Overflow>().n, 1U);
    // An address is no identity to show, and too large for JSON.
    story.tell(2ms, packet().id(address_a).local("10.0.0.2", 82).overflow(TS_SYN_DROP, 1));
    EXPECT_EQ(story.last().conn->id, 0U);
    settle({totals(TS_SYN_DROP, 3, address_a)});
    EXPECT_EQ(story.last().conn->id, 0U);
    EXPECT_EQ(story.last().as<event::Overflow>().n, 2U);
}

TEST_F(overflow, of_an_unknown_kind_is_malformed)
{
    story.tell(2ms, packet().overflow(TS_OVERFLOW_KINDS, 1));
    story.tell(2ms, packet().overflow(0xffffffff, 1));
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.malformed(), 2U);
    EXPECT_EQ(story.correlator.summary().overflows, 0U);
}

TEST_F(overflow, creates_no_connection)
{
    const auto before = story.correlator.summary().alive;
    story.tell(2ms, packet().overflow(TS_ACK_DROP, 1)).tell(2ms, listener().accept_error(24, 1));
    story.tell(2ms, packet().id(99).local("10.0.0.2", 81).overflow(TS_ACK_DROP, 1));
    EXPECT_EQ(story.correlator.summary().alive, before);
}

// ---- how many packets an event stands for ----------------------------------------------------

TEST_F(overflow, stands_for_all_since_the_last_one)
{
    story.tell(2ms, packet().overflow(TS_ACK_DROP, 1))
        .tell(3ms, packet().overflow(TS_ACK_DROP, 2))
        .tell(4ms, packet().overflow(TS_ACK_DROP, 1000));
    EXPECT_THAT(story.news(),
                ElementsAre("overflow accept ack drop n=1", "overflow accept ack drop n=1",
                            "overflow accept ack drop n=998"));
    EXPECT_EQ(story.correlator.summary().overflows, 1000U);
}

// Two CPUs count, then put their records into the ring in the other order.
TEST_F(overflow, later_total_first)
{
    story.tell(2ms, packet().overflow(TS_ACK_DROP, 2))
        .tell(2ms, packet().overflow(TS_ACK_DROP, 1))
        .tell(3ms, packet().overflow(TS_ACK_DROP, 3));
    EXPECT_THAT(story.news(),
                ElementsAre("overflow accept ack drop n=2", "overflow accept ack drop n=1"));
    EXPECT_EQ(story.correlator.summary().overflows, 3U);
}

TEST_F(overflow, is_counted_by_kind_listener_and_namespace)
{
    story.tell(2ms, packet().overflow(TS_ACK_DROP, 5))
        .tell(2ms, packet().overflow(TS_SYN_COOKIE, 3))
        .tell(2ms, packet().id(4).overflow(TS_ACK_DROP, 2))
        .tell(2ms, packet().netns(7).overflow(TS_ACK_DROP, 4));
    EXPECT_THAT(story.news(),
                ElementsAre("overflow accept ack drop n=5", "overflow syn syn cookie n=3",
                            "overflow accept ack drop n=2", "overflow accept ack drop n=4"));
}

TEST_F(overflow, settling_tells_the_rest_once)
{
    story.tell(2ms, packet().overflow(TS_ACK_DROP, 4));
    story.news();
    settle({totals(TS_ACK_DROP, 10)});
    EXPECT_THAT(story.news(), ElementsAre("overflow accept ack drop n=6"));
    const Seen& seen = story.last();
    EXPECT_EQ(seen.ts_ns, 9'000'000U);
    EXPECT_EQ(seen.conn->id, 3U);
    EXPECT_EQ(seen.conn->tuple, listener().tuple());
    EXPECT_EQ(seen.actor.pid, nginx.pid);
    EXPECT_EQ(seen.actor.from, PidFrom::listener);
    EXPECT_EQ(seen.as<event::Overflow>().acceptq, std::nullopt);
    settle({totals(TS_ACK_DROP, 10)});
    EXPECT_THAT(story.news(), IsEmpty());
    // A record that was still in the ring.
    story.tell(10ms, packet().overflow(TS_ACK_DROP, 8));
    EXPECT_THAT(story.news(), IsEmpty());
    story.tell(10ms, packet().overflow(TS_ACK_DROP, 11));
    EXPECT_THAT(story.news(), ElementsAre("overflow accept ack drop n=1"));
    EXPECT_EQ(story.correlator.summary().overflows, 11U);
}

TEST_F(overflow, settling_tells_what_no_record_told)
{
    settle({totals(TS_SYN_DROP, 2), totals(TS_ACCEPT_FAILED, 3), totals(TS_ACK_RESET, 1, 99)});
    EXPECT_THAT(story.news(), ElementsAre("overflow syn syn drop n=2", "accept_error 0 n=3",
                                          "overflow accept ack reset n=1"));
    EXPECT_EQ(story.last().conn->id, 99U);
    EXPECT_EQ(story.last().conn->role, Role::server);
    EXPECT_FALSE(story.last().actor.known());
}

// The audit's numbers are the kernel side's totals, not what happened to be told.
TEST_F(overflow, settling_sums_the_totals_of_a_namespace)
{
    ListenerTotals a = totals(TS_ACK_DROP, 10);
    a.counts.other_drops = 2;
    a.counts.cookies_wanted = 3;
    ListenerTotals b = totals(TS_ACK_DROP, 5, 4);
    b.counts.other_drops = 20;
    b.counts.cookies_wanted = 30;
    ListenerTotals elsewhere = totals(TS_ACK_DROP, 1);
    elsewhere.key.netns = 7;
    for (int twice = 0; twice < 2; twice++) {
        settle({a, b, elsewhere});
        const auto& seen = story.correlator.seen();
        EXPECT_EQ(seen.at(init_netns).overflows.at(TS_ACK_DROP), 15U);
        EXPECT_EQ(seen.at(init_netns).overflows.at(TS_SYN_DROP), 0U);
        EXPECT_EQ(seen.at(init_netns).other_drops, 22U);
        EXPECT_EQ(seen.at(init_netns).cookies_wanted, 33U);
        EXPECT_EQ(seen.at(7).overflows.at(TS_ACK_DROP), 1U);
    }
    EXPECT_EQ(story.correlator.summary().overflows, 16U);
}

/// However the records are limited, lost and shuffled.
TEST_F(overflow, sums_equal_the_totals)
{
    std::mt19937_64 random(7); // NOLINT: the same story each time
    std::vector<ListenerTotals> all{totals(0, 0, 3), totals(0, 0, 4), totals(0, 0, address_b)};
    std::vector<Record<ts_overflow>> ring;
    std::uint64_t packets = 0;
    for (int i = 0; i < 5000; i++) {
        ListenerTotals& l = all.at(random() % all.size());
        const auto kind = static_cast<std::uint32_t>(random() % TS_OVERFLOW_KINDS);
        const std::uint64_t total = ++l.counts.total[kind];
        packets++;
        if (random() % 3 == 0)
            ring.push_back(packet().id(l.key.id).overflow(kind, total));
        if (ring.size() == 10) {
            std::ranges::shuffle(ring, random);
            for (auto& r : ring)
                story.tell(2ms, r);
            ring.clear();
        }
    }
    settle(all);
    for (auto& r : ring)
        story.tell(3ms, r);
    std::uint64_t told = 0;
    std::map<event::Queue, std::uint64_t> by_queue;
    for (const Seen& s : story.events.seen)
        if (const auto* o = std::get_if<event::Overflow>(&s.what)) {
            EXPECT_GT(o->n, 0U);
            told += o->n;
            by_queue[o->queue] += o->n;
        }
    EXPECT_EQ(told, packets);
    EXPECT_EQ(story.correlator.summary().overflows, packets);
    std::uint64_t of_syn_queue = 0;
    for (const ListenerTotals& l : all)
        for (const auto kind : {TS_SYN_DROP, TS_SYN_COOKIE, TS_SYN_BACKLOG_DROP})
            of_syn_queue += l.counts.total[kind];
    EXPECT_EQ(by_queue[event::Queue::syn], of_syn_queue);
}

TEST_F(overflow, settling_takes_the_resets_of_a_namespace)
{
    const std::vector<NetnsTotals> all{{init_netns, {5}}, {7, {6}}};
    for (int twice = 0; twice < 2; twice++) {
        story.correlator.settle(all);
        EXPECT_EQ(story.correlator.seen().at(init_netns).rsts_sent, 5U);
        EXPECT_EQ(story.correlator.seen().at(7).rsts_sent, 6U);
    }
    EXPECT_THAT(story.news(), IsEmpty());
}

// ---- accept() that fails ---------------------------------------------------------------------

TEST_F(overflow, accept_error_tells_the_limit_and_the_queue)
{
    story.tell(2ms, listener().accept_error(EMFILE, 1, 256).by(worker));
    const auto& e = story.last().as<event::AcceptError>();
    EXPECT_EQ(e.err, EMFILE);
    EXPECT_EQ(e.fd_limit, 256U);
    EXPECT_EQ(e.acceptq, 5U);
    EXPECT_EQ(e.acceptq_max, 128U);
    EXPECT_EQ(e.n, 1U);
    EXPECT_EQ(story.last().conn->id, 3U);
    EXPECT_EQ(story.last().conn->tuple, listener().tuple());
}

TEST_F(overflow, accept_error_is_of_the_task_that_failed)
{
    story.tell(2ms, listener().accept_error(EMFILE, 1).by(worker));
    EXPECT_EQ(story.last().actor.pid, worker.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::task);
    EXPECT_EQ(story.last().conn->owner.pid, nginx.pid);
}

TEST_F(overflow, accept_error_stands_for_all_since_the_last_one)
{
    story.tell(2ms, listener().accept_error(EMFILE, 1).by(worker))
        .tell(2ms, listener().accept_error(ENFILE, 100).by(worker))
        .tell(2ms, listener().accept_error(EMFILE, 99).by(worker));
    settle({totals(TS_ACCEPT_FAILED, 101)});
    settle({totals(TS_ACCEPT_FAILED, 101)});
    EXPECT_THAT(story.news(),
                ElementsAre("accept_error 24 n=1", "accept_error 23 n=99", "accept_error 0 n=1"));
    EXPECT_EQ(story.last().actor.from, PidFrom::listener);
    EXPECT_EQ(story.last().as<event::AcceptError>().fd_limit, std::nullopt);
    EXPECT_EQ(story.correlator.summary().accept_errors, 101U);
    EXPECT_EQ(story.correlator.summary().overflows, 0U);
}

// ---- found by looking, where no hook tells ---------------------------------------------------

/// The listener of cookie 3 as it is found.
PolledListener with_drops(std::uint32_t drops, std::uint32_t acceptq = 0)
{
    PolledListener l;
    l.cookie = 3;
    l.tuple = listener().tuple();
    l.acceptq = acceptq;
    l.acceptq_max = 128;
    l.drops = drops;
    return l;
}

class polled : public overflow {
protected:
    std::vector<std::string> look(const std::vector<PolledListener>& found)
    {
        story.correlator.on_polled(found, 5'000'000, 200);
        return story.news();
    }
};

TEST_F(polled, at_first_nothing_is_new)
{
    EXPECT_THAT(look({with_drops(7)}), IsEmpty());
    EXPECT_THAT(look({with_drops(7)}), IsEmpty());
    EXPECT_EQ(story.correlator.summary().overflows, 0U);
}

TEST_F(polled, tells_what_was_dropped_since_the_last_look)
{
    look({with_drops(7)});
    EXPECT_THAT(look({with_drops(12, 129)}), ElementsAre("overflow accept drop n=5"));
    const Seen& seen = story.last();
    EXPECT_EQ(seen.ts_ns, 5'000'000U);
    EXPECT_EQ(seen.conn->id, 3U);
    EXPECT_EQ(seen.conn->tuple, listener().tuple());
    EXPECT_EQ(seen.conn->family, 4);
    EXPECT_EQ(seen.conn->role, Role::server);
    EXPECT_EQ(seen.actor.pid, nginx.pid);
    EXPECT_EQ(seen.actor.from, PidFrom::listener);
    const auto& o = seen.as<event::Overflow>();
    EXPECT_EQ(o.stage, std::nullopt);
    EXPECT_EQ(o.synq, std::nullopt);
    EXPECT_EQ(o.acceptq, 129U);
    EXPECT_EQ(o.acceptq_max, 128U);
    EXPECT_EQ(o.poll_ms, 200U);
    EXPECT_THAT(look({with_drops(13)}), ElementsAre("overflow syn drop n=1"));
}

// It takes one more than its backlog (include/net/sock.h, sk_acceptq_is_full).
TEST_F(polled, an_accept_queue_is_full_past_its_backlog)
{
    look({with_drops(0)});
    EXPECT_THAT(look({with_drops(1, 128)}), ElementsAre("overflow syn drop n=1"));
    EXPECT_THAT(look({with_drops(2, 129)}), ElementsAre("overflow accept drop n=1"));
}

TEST_F(polled, a_new_listener_dropped_all_it_has)
{
    look({});
    EXPECT_THAT(look({with_drops(7)}), ElementsAre("overflow syn drop n=7"));
}

TEST_F(polled, a_listener_that_was_left_out_is_not_new)
{
    look({with_drops(7)});
    look({});
    EXPECT_THAT(look({with_drops(9)}), ElementsAre("overflow syn drop n=2"));
}

TEST_F(polled, a_counter_may_wrap)
{
    look({with_drops(0xfffffffe)});
    EXPECT_THAT(look({with_drops(3)}), ElementsAre("overflow syn drop n=5"));
}

TEST_F(polled, a_listener_of_which_no_record_told)
{
    PolledListener unknown = with_drops(0);
    unknown.cookie = 99;
    unknown.tuple = Socket().local("::", 81).remote("::", 0).tuple();
    look({unknown});
    unknown.drops = 1;
    look({unknown});
    EXPECT_EQ(story.last().conn->id, 99U);
    EXPECT_EQ(story.last().conn->family, 6);
    EXPECT_EQ(story.last().conn->role, Role::server);
    EXPECT_FALSE(story.last().actor.known());
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

TEST_F(polled, a_listener_that_records_know_by_its_address)
{
    story.tell(1ms, listener().id(address_a).local("0.0.0.0", 81).listen(128).by(worker));
    const std::uint64_t id = story.last().conn->id;
    PolledListener l = with_drops(0);
    l.cookie = 98;
    l.tuple.local.port = 81;
    look({l});
    l.drops = 1;
    look({l});
    EXPECT_EQ(story.last().conn->id, id);
    EXPECT_EQ(story.last().actor.pid, worker.pid);
}

TEST_F(polled, is_counted_by_listener_and_namespace)
{
    PolledListener elsewhere = with_drops(100);
    elsewhere.tuple.netns = 7;
    look({with_drops(1), elsewhere});
    elsewhere.drops += 20;
    EXPECT_THAT(look({with_drops(4), elsewhere}),
                ElementsAre("overflow syn drop n=3", "overflow syn drop n=20"));
    EXPECT_EQ(story.correlator.summary().overflows, 23U);
    EXPECT_EQ(story.correlator.seen().at(init_netns).polled_drops, 3U);
    EXPECT_EQ(story.correlator.seen().at(7).polled_drops, 20U);
}

TEST(polled_filter, passes_the_wanted_listeners)
{
    for (const std::uint16_t port : {80, 81}) {
        Correlator::Config config;
        config.filter.lports = {port};
        Story story(config);
        for (const std::uint32_t drops : {1, 2}) {
            const PolledListener l = with_drops(drops);
            story.correlator.on_polled({&l, 1}, 1, 200);
        }
        EXPECT_EQ(story.news().size(), port == 80 ? 1U : 0U);
        EXPECT_EQ(story.correlator.summary().overflows, port == 80 ? 1U : 0U);
    }
}

} // namespace
} // namespace tcpsaga::testing
