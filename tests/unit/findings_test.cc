// SPDX-License-Identifier: BSD-2-Clause
/* Doctor's rules about connections, and how findings are ranked. */
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scene.h"

namespace tcpsaga::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class connection_findings : public ::testing::Test, protected Scene {
protected:
    /// All words that it says.
    static std::string text_of(const Finding& f)
    {
        std::string text = f.what + "\n" + f.cause + "\n";
        for (const auto& proof : f.proof)
            text += proof + "\n";
        for (const auto& r : f.remedies)
            text += r.command + "\n" + r.meaning + "\n";
        return text;
    }
};

TEST_F(connection_findings, nothing_is_wrong_with_what_works)
{
    for (std::uint16_t i = 1; i <= 200; i++) {
        connected(i * 10 * ms, i);
        closes(i * 10 * ms + ms, client(i), event::End::fin);
        waits_on(i * 10 * ms + ms, client(i));
    }
    EXPECT_THAT(news(), IsEmpty());
}

TEST_F(connection_findings, refused_where_nobody_listens)
{
    remote = at("127.0.0.1", 81);
    fails(second, 1, ECONNREFUSED);
    fails(2 * second, 2, ECONNREFUSED);
    ASSERT_THAT(news(), ElementsAre("refused certain"));
    const Finding f = findings().at(0);
    EXPECT_EQ(f.n, 2U);
    EXPECT_EQ(f.first_ns, second);
    EXPECT_EQ(f.last_ns, 2 * second);
    EXPECT_EQ(f.cause, "nobody listens there");
    EXPECT_EQ(f.remedies.at(0).command, "ss -ltnp 'sport = :81'");
    ASSERT_THAT(f.examples, SizeIs(2));
    EXPECT_EQ(f.examples[0].process.pid, user.pid);
}

TEST_F(connection_findings, refused_where_it_listens_elsewhere)
{
    fails(second, 1, ECONNREFUSED);
    settings.queues = {{scene_netns, at("127.0.0.1", 443), 9, 0, 128}};
    EXPECT_THAT(findings().at(0).cause, HasSubstr("listened on at 127.0.0.1:443 only"));
}

TEST_F(connection_findings, localhost_is_tried_as_ipv6_first)
{
    remote = at("::1", 81);
    fails(second, 1, ECONNREFUSED);
    EXPECT_THAT(news(), ElementsAre("refused certain"));
    remote = at("127.0.0.1", 81);
    connected(second + ms, 2);
    EXPECT_THAT(news(), IsEmpty());
}

TEST_F(connection_findings, a_listener_that_died)
{
    local = remote = at("127.0.0.1", 80);
    listen(128);
    born(second, 1);
    born(second, 2);
    accepted(second, 1, 10);
    dies(2 * second);
    closes(2 * second, child(2), event::End::never_accepted);
    fails(3 * second, 3, ECONNREFUSED);
    ASSERT_THAT(news(), ElementsAre("listener_died certain"));
    const Finding f = findings().at(0);
    EXPECT_EQ(f.what, "the listener 127.0.0.1:80 died at 22:13:22: 1 refused, 1 reset before "
                      "accept()");
    EXPECT_EQ(f.process.pid, server.pid);
}

TEST_F(connection_findings, a_listener_that_ends_and_is_missed_by_nobody)
{
    local = remote = at("127.0.0.1", 80);
    listen(128);
    fails(second / 2, 1, ECONNREFUSED); // not because of that
    dies(2 * second);
    EXPECT_THAT(news(), ElementsAre("refused certain"));
}

TEST_F(connection_findings, syns_that_nobody_answers)
{
    for (std::uint16_t i = 1; i <= 2; i++) {
        connects(second, i);
        syn_again(2 * second, i, 1);
    }
    ASSERT_THAT(news(), ElementsAre("syn_unanswered likely"));
    const Finding f = findings().at(0);
    EXPECT_EQ(f.n, 2U);
    EXPECT_THAT(f.cause, HasSubstr("a firewall that drops"));
    EXPECT_THAT(text_of(f), HasSubstr("nft list ruleset"));
}

/// Here a listener waits for them.
TEST_F(connection_findings, syns_that_do_not_reach_a_listener_here)
{
    local = remote = at("10.0.0.2", 80);
    listen(128);
    connects(second, 1);
    syn_again(2 * second, 1, 1);
    syn_again(4 * second, 1, 2);
    EXPECT_THAT(findings().at(0).cause, HasSubstr("a firewall on this host"));
}

TEST_F(connection_findings, syns_that_this_host_refuses_to_send)
{
    connects(second, 1);
    syn_again(2 * second, 1, 1, EPERM);
    syn_again(4 * second, 1, 2, EPERM);
    EXPECT_THAT(news(), ElementsAre("syn_unanswered certain"));
    EXPECT_THAT(findings().at(0).cause, HasSubstr("own firewall"));
}

TEST_F(connection_findings, syns_that_were_not_sent_for_another_reason)
{
    connects(second, 1);
    syn_again(2 * second, 1, 1, ENOBUFS);
    syn_again(4 * second, 1, 2, ENOBUFS);
    EXPECT_THAT(news(), ElementsAre("syn_unanswered likely"));
    EXPECT_THAT(findings().at(0).cause, HasSubstr("a firewall that drops, no such host"));
}

TEST_F(connection_findings, netfilter_that_was_seen)
{
    connects(second, 1);
    syn_again(2 * second, 1, 1);
    syn_again(4 * second, 1, 2);
    tell(4 * second, client(1), event::Drop{"NETFILTER_DROP", "", 3}, user);
    EXPECT_THAT(news(), ElementsAre("syn_unanswered certain"));
    EXPECT_THAT(findings().at(0).cause, HasSubstr("netfilter on this host drops them: 3 packets"));
}

TEST_F(connection_findings, one_syn_again_is_no_finding)
{
    syn_again(2 * second, 1, 1);
    connected(2 * second, 1, 1'100'000);
    EXPECT_THAT(news(), IsEmpty());
}

TEST_F(connection_findings, no_route)
{
    fails(second, 1, ENETUNREACH);
    ASSERT_THAT(news(), ElementsAre("unreachable certain"));
    EXPECT_EQ(findings().at(0).cause, "there is no route");
}

TEST_F(connection_findings, ports_that_are_all_in_time_wait)
{
    settings.sysctls[scene_netns]["net.ipv4.ip_local_port_range"] = "40000 40099";
    fails(second, 1, EADDRNOTAVAIL, event::PortUse{40000, 40099, 100, 0});
    ASSERT_THAT(news(), ElementsAre("port_exhaustion certain"));
    const Finding f = findings().at(0);
    EXPECT_THAT(f.cause, HasSubstr("100 of 100 ports are in TIME_WAIT"));
    ASSERT_THAT(f.remedies, SizeIs(3));
    EXPECT_EQ(f.remedies[0].command, "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"");
    EXPECT_EQ(f.remedies[0].now, "40000 40099");
    EXPECT_EQ(f.remedies[1].command, "sysctl -w net.ipv4.tcp_tw_reuse=1");
    EXPECT_EQ(f.remedies[1].now, "2");
}

TEST_F(connection_findings, ports_that_are_all_in_use)
{
    fails(second, 1, EADDRNOTAVAIL, event::PortUse{32768, 60999, 3, 28229});
    const Finding f = findings().at(0);
    EXPECT_THAT(f.cause, HasSubstr("28,229 of 28,232 ports are in use"));
    EXPECT_THAT(text_of(f), Not(HasSubstr("tcp_tw_reuse")));
}

/// Where the kernel gives no errno, it may have been the route.
TEST_F(connection_findings, no_port_or_no_route)
{
    settings.sysctls[scene_netns]["net.ipv4.ip_local_port_range"] = "40000 40009";
    fails(second, 1, 0);
    EXPECT_THAT(news(), IsEmpty());
    for (std::uint16_t i = 1; i <= 10; i++)
        waits_on(second, client(i));
    fails(second, 1, 0);
    EXPECT_THAT(news(),
                ElementsAre("port_exhaustion likely", "time_wait_pile_up likely <port_exhaustion"));
}

TEST_F(connection_findings, a_pile_of_time_waits)
{
    settings.sysctls[scene_netns]["net.ipv4.ip_local_port_range"] = "40000 40099";
    for (std::uint16_t i = 1; i <= 49; i++)
        waits_on(29 * second, client(i));
    EXPECT_THAT(news(), IsEmpty());
    waits_on(29 * second, client(50));
    ASSERT_THAT(news(), ElementsAre("time_wait_pile_up likely"));
    const Finding f = findings().at(0);
    EXPECT_EQ(f.n, 50U);
    EXPECT_THAT(text_of(f), AllOf(HasSubstr("keep-alive"), HasSubstr("tcp_tw_reuse=1"),
                                  HasSubstr("ip_local_port_range=\"1024 65535\""),
                                  HasSubstr("never net.ipv4.tcp_tw_recycle: gone since Linux 4.12"),
                                  HasSubstr("NAT")));
    for (const Remedy& r : f.remedies)
        EXPECT_THAT(r.command, Not(HasSubstr("recycle")));
}

TEST_F(connection_findings, time_waits_that_may_be_reused_do_not_pile_up)
{
    settings.sysctls[scene_netns]["net.ipv4.ip_local_port_range"] = "40000 40099";
    for (std::uint16_t i = 1; i <= 90; i++)
        waits_on(29 * second, client(i));
    EXPECT_THAT(news(), SizeIs(1));
    settings.sysctls[scene_netns]["net.ipv4.tcp_tw_reuse"] = "1";
    EXPECT_THAT(news(), IsEmpty());
}

TEST_F(connection_findings, on_loopback_they_are_reused_anyhow)
{
    remote = at("127.0.0.1", 80);
    settings.sysctls[scene_netns]["net.ipv4.ip_local_port_range"] = "40000 40099";
    for (std::uint16_t i = 1; i <= 90; i++)
        waits_on(29 * second, client(i));
    EXPECT_THAT(news(), IsEmpty());
    settings.sysctls[scene_netns]["net.ipv4.tcp_tw_reuse"] = "0";
    EXPECT_THAT(news(), SizeIs(1));
}

TEST_F(connection_findings, time_waits_that_are_over)
{
    settings.sysctls[scene_netns]["net.ipv4.ip_local_port_range"] = "40000 40199";
    for (std::uint16_t i = 1; i <= 60; i++) {
        waits_on(second, client(i));
        if (i % 2 == 0)
            tell(2 * second, client(i), event::TimeWait{event::TimeWaitEnd::reset, 1'000}, user);
    }
    EXPECT_THAT(news(30 * second), IsEmpty());
    for (std::uint16_t i = 1; i <= 80; i++)
        waits_on(second, client(i));
    EXPECT_THAT(news(30 * second), SizeIs(1));
    EXPECT_THAT(news(62 * second), IsEmpty());
}

TEST_F(connection_findings, no_room_for_time_waits)
{
    for (std::uint16_t i = 1; i <= 5; i++)
        tell(second, client(i), event::TimeWait{event::TimeWaitEnd::overflow, {}}, user);
    ASSERT_THAT(news(), ElementsAre("time_wait_overflow certain"));
    const Finding f = findings().at(0);
    EXPECT_EQ(f.remedies.at(0).command, "sysctl -w net.ipv4.tcp_max_tw_buckets=65536");
    EXPECT_EQ(f.remedies.at(0).now, "16384");
    EXPECT_THAT(f.examples, SizeIs(3));
}

TEST_F(connection_findings, data_that_nobody_read)
{
    for (std::uint16_t i = 1; i <= 2; i++)
        closes(second, client(i), event::End::aborted, "unread_data");
    EXPECT_THAT(news(), IsEmpty());
    closes(second, client(3), event::End::aborted, "unread_data");
    ASSERT_THAT(news(), ElementsAre("unread_data certain"));
    EXPECT_THAT(findings().at(0).what, HasSubstr("3 of 3 connections to 192.0.2.7:443"));
    for (std::uint16_t i = 4; i <= 301; i++)
        closes(second, client(i), event::End::fin);
    EXPECT_THAT(news(), IsEmpty()); // fewer than one in a hundred
}

/// The other end has closed already: nothing gets lost.
TEST_F(connection_findings, unread_data_after_a_fin_is_harmless)
{
    for (std::uint16_t i = 1; i <= 9; i++) {
        Connection c = client(i);
        c.closed_by = ClosedBy::remote;
        closes(second, c, event::End::aborted, "unread_data");
    }
    EXPECT_THAT(news(), IsEmpty());
}

/// A process that ends leaves data unread.
TEST_F(connection_findings, an_exit_is_no_abort)
{
    for (std::uint16_t i = 1; i <= 9; i++)
        closes(second, client(i), event::End::process_exit, "unread_data");
    EXPECT_THAT(news(), IsEmpty());
}

TEST_F(connection_findings, close_waits_that_stay)
{
    const auto stuck = [&](std::uint16_t n, bool accepted) {
        Connection c = child(n);
        c.accepted = accepted;
        tell(11 * second, c, event::Stuck{State::close_wait, 10'000'000}, server);
    };
    for (std::uint16_t i = 1; i <= 9; i++)
        stuck(i, false); // in the accept queue: nobody can close them
    stuck(10, true);
    stuck(11, true);
    EXPECT_THAT(news(), IsEmpty());
    stuck(12, true);
    ASSERT_THAT(news(), ElementsAre("close_wait_leak likely"));
    const Finding f = findings().at(0);
    EXPECT_EQ(f.process.pid, server.pid);
    EXPECT_THAT(f.what, HasSubstr("3 connections at 10.0.0.2:80"));
}

TEST_F(connection_findings, time_outs_by_their_reason)
{
    closes(second, client(1), event::End::timeout, "keepalive");
    closes(second, child(1), event::End::timeout, "retransmission");
    const auto all = findings();
    ASSERT_THAT(all, SizeIs(2));
    for (const Finding& f : all) {
        const bool ours = f.kind == "keepalive_timeout";
        EXPECT_TRUE(ours || f.kind == "retransmission_timeout") << f.kind;
        EXPECT_EQ(f.at, ours ? remote : local);
        EXPECT_EQ(f.remedies.at(1).setting,
                  ours ? "net.ipv4.tcp_keepalive_time" : "net.ipv4.tcp_retries2");
        EXPECT_EQ(f.remedies.at(1).now, ours ? "7200" : "15");
    }
}

TEST_F(connection_findings, what_fails_comes_before_what_is_late)
{
    for (std::uint16_t i = 1; i <= 50; i++) {
        syn_again(2 * second, i, 1);
        connected(3 * second, i, 1'100'000);
    }
    remote = at("192.0.2.8", 443);
    fails(second, 1, ECONNREFUSED);
    EXPECT_THAT(news(), ElementsAre("refused likely", "slow_handshake likely"));
}

// ---- settings ------------------------------------------------------------------------

TEST_F(connection_findings, settings_survive_a_recording)
{
    settings.inhabitants[scene_netns] = 77;
    settings.queues = {{scene_netns, at("2001:db8::2", 80), 3, 4, 128}};
    settings.looks[202] = {5, {{'S', 2}, {'T', 3}}, {{"futex_wait_queue", 2}}, 203};
    const auto again = settings_from_json(to_json(settings));
    ASSERT_TRUE(again);
    EXPECT_EQ(to_json(*again), to_json(settings));
    EXPECT_EQ(again->local_ports(scene_netns), 28232U);
    EXPECT_EQ(again->looks.at(202).stopped, 203U);
    EXPECT_EQ(again->queues.at(0).local, settings.queues.at(0).local);
    EXPECT_EQ(again->clock(2 * second), "22:13:22");
}

TEST_F(connection_findings, settings_that_are_broken)
{
    for (const char* text : {"", "{", "[]", R"({"own_netns":1})", R"({"own_netns":"x"})"}) {
        const auto read = settings_from_json(text);
        ASSERT_FALSE(read) << text;
        EXPECT_THAT(read.error().message(), HasSubstr("the system's settings"));
    }
}

} // namespace
} // namespace tcpsaga::testing
