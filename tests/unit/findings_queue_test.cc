// SPDX-License-Identifier: BSD-2-Clause
/* Doctor's rules about listeners. */
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scene.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class findings_queue : public ::testing::Test, protected Scene {};

TEST_F(findings_queue, of_a_healthy_listener_there_are_none)
{
    listen(128);
    served(second, 100, ms);
    EXPECT_THAT(news(), IsEmpty());
}

TEST_F(findings_queue, a_backlog_that_is_too_small)
{
    listen(7, 7);
    served(second, 20, ms / 5);
    full(second, 30);
    ASSERT_THAT(news(), ElementsAre("accept_queue_backlog certain"));
    const Finding f = findings().at(0);
    EXPECT_EQ(f.n, 30U);
    EXPECT_EQ(f.at, local);
    EXPECT_TRUE(f.local);
    EXPECT_EQ(f.process.pid, server.pid);
    EXPECT_THAT(f.cause, HasSubstr("backlog of 7 is too small"));
    ASSERT_THAT(f.examples, SizeIs(1));
    EXPECT_EQ(f.examples[0].tuple.remote.port, 40999);
    // 8 and 30 more, twice, as a power of two, and 128 at least.
    ASSERT_THAT(f.remedies, SizeIs(1));
    EXPECT_EQ(f.remedies[0].setting, "backlog");
    EXPECT_EQ(f.remedies[0].now, "7");
    EXPECT_EQ(f.remedies[0].want, "128");
    EXPECT_THAT(f.remedies[0].meaning, HasSubstr("listen(fd, 128)"));
}

TEST_F(findings_queue, nginx_is_told_in_its_own_words)
{
    server = guessed = process_named(202, "nginx");
    listen(7, 7);
    served(second, 20, ms / 5);
    full(second, 3'000);
    const auto remedies = findings().at(0).remedies;
    ASSERT_THAT(remedies, SizeIs(2)); // 8192 is more than somaxconn
    EXPECT_EQ(remedies[0].command, "sysctl -w net.core.somaxconn=8192");
    EXPECT_EQ(remedies[0].now, "4096");
    EXPECT_THAT(remedies[1].meaning, HasSubstr("backlog=8192"));
}

TEST_F(findings_queue, somaxconn_that_caps_it)
{
    settings.sysctls[scene_netns]["net.core.somaxconn"] = "7";
    listen(7, 511);
    served(second, 20, ms / 5);
    full(second, 30);
    ASSERT_THAT(news(), ElementsAre("accept_queue_somaxconn certain"));
    const auto remedies = findings().at(0).remedies;
    ASSERT_THAT(remedies, SizeIs(2));
    EXPECT_EQ(remedies[0].command, "sysctl -w net.core.somaxconn=128");
    EXPECT_EQ(remedies[0].now, "7");
    EXPECT_THAT(remedies[1].meaning, HasSubstr("restart pid 202, which asks for 511 already"));
}

TEST_F(findings_queue, what_was_asked_may_not_be_known)
{
    settings.sysctls[scene_netns]["net.core.somaxconn"] = "7";
    served(second, 20, ms / 5);
    full(second, 30);
    EXPECT_THAT(news(), ElementsAre("accept_queue_somaxconn likely"));
}

TEST_F(findings_queue, a_command_enters_the_namespace)
{
    settings.own_netns = 1;
    settings.inhabitants[scene_netns] = 77;
    settings.sysctls[scene_netns]["net.core.somaxconn"] = "7";
    listen(7, 511);
    served(second, 20, ms / 5);
    full(second, 30);
    EXPECT_EQ(findings().at(0).remedies.at(0).command,
              "nsenter -t 77 -n sysctl -w net.core.somaxconn=128");
}

/// A queue that took them all would have let the last one wait for longer than a second.
TEST_F(findings_queue, a_slow_accept)
{
    listen(7, 7);
    served(second, 20, 50 * ms);
    full(second + ms, 30);
    ASSERT_THAT(news(), ElementsAre("accept_queue_slow certain"));
    EXPECT_THAT(findings().at(0).cause, HasSubstr("one in 50 ms, which is 20 a second"));
}

TEST_F(findings_queue, between_slow_and_small_is_a_second)
{
    listen(7, 7);
    served(second, 20, 25 * ms);
    full(second + ms, 31); // 39 * 25 ms
    EXPECT_THAT(news(), ElementsAre("accept_queue_backlog certain"));
    full(second + ms, 2);
    EXPECT_THAT(news(), ElementsAre("accept_queue_slow certain"));
}

TEST_F(findings_queue, nobody_accepts)
{
    listen(7, 7);
    for (std::uint16_t i = 1; i <= 8; i++)
        born(second, i);
    full(second, 30);
    ASSERT_THAT(news(), ElementsAre("accept_queue_blocked likely"));
    EXPECT_THAT(findings().at(0).cause, HasSubstr("did not accept at all"));
}

TEST_F(findings_queue, it_stopped_accepting_for_a_while)
{
    listen(7, 7);
    served(second, 20, ms / 5);
    born(10 * second, 30);
    full(10 * second, 30);
    accepted(13 * second, 30, 3'000'000);
    settings.looks[202] = {5, {{'S', 5}}, {{"futex_wait_queue", 4}}, 0};
    ASSERT_THAT(news(), ElementsAre("accept_queue_blocked likely"));
    const Finding f = findings().at(0);
    EXPECT_THAT(f.cause, HasSubstr("stopped accepting for 3.0 s"));
    EXPECT_THAT(f.proof, ::testing::Contains(HasSubstr("asleep in futex_wait_queue at 4 of 5")));
}

TEST_F(findings_queue, a_process_that_is_stopped)
{
    listen(7, 7);
    for (std::uint16_t i = 1; i <= 8; i++)
        born(second, i);
    full(second, 30);
    settings.looks[202] = {5, {{'S', 2}, {'T', 3}}, {}, 203};
    ASSERT_THAT(news(), ElementsAre("accept_queue_stopped certain"));
    EXPECT_EQ(findings().at(0).remedies.at(0).command, "kill -CONT 203");
}

/// One of several workers, while the others accept.
TEST_F(findings_queue, a_stopped_worker_of_many_is_no_cause)
{
    listen(7, 7);
    served(second, 20, ms / 5);
    full(second, 30);
    settings.looks[202] = {5, {{'T', 5}}, {}, 203};
    EXPECT_THAT(news(), ElementsAre("accept_queue_backlog certain"));
}

TEST_F(findings_queue, the_descriptor_limit_explains_a_full_queue)
{
    listen(1024);
    starve(second, EMFILE);
    starve(2 * second, 0, 4); // the rest, when it is settled
    full(2 * second, 30);
    ASSERT_THAT(news(), ElementsAre("descriptor_limit certain"));
    const Finding f = findings().at(0);
    EXPECT_EQ(f.n, 5U);
    EXPECT_THAT(f.cause, HasSubstr("is 16 (EMFILE)"));
    EXPECT_EQ(f.remedies.at(0).command, "prlimit --pid 202 --nofile=65536:65536");
    EXPECT_EQ(f.remedies.at(0).now, "16");
}

TEST_F(findings_queue, a_full_queue_before_that_has_another_cause)
{
    listen(7, 7);
    served(second, 20, ms / 5);
    full(second, 30);
    starve(20 * second, EMFILE);
    EXPECT_THAT(news(), ElementsAre("accept_queue_backlog certain", "descriptor_limit certain"));
}

TEST_F(findings_queue, the_hosts_file_limit)
{
    listen(1024);
    starve(second, ENFILE);
    ASSERT_THAT(news(), ElementsAre("file_limit certain"));
    EXPECT_EQ(findings().at(0).remedies.at(0).command, "sysctl -w fs.file-max=200000");
}

TEST_F(findings_queue, abort_on_overflow_follows_from_the_full_queue)
{
    settings.sysctls[scene_netns]["net.ipv4.tcp_abort_on_overflow"] = "1";
    listen(7, 7);
    served(second, 20, ms / 5);
    full(second, 5, event::Action::reset);
    ASSERT_THAT(news(), ElementsAre("accept_queue_backlog certain",
                                    "abort_on_overflow certain <accept_queue_backlog"));
    EXPECT_EQ(findings().at(1).remedies.at(0).command,
              "sysctl -w net.ipv4.tcp_abort_on_overflow=0");
}

TEST_F(findings_queue, what_follows_at_the_clients_stands_behind)
{
    local = remote = at("10.0.0.2", 80);
    listen(7, 7);
    served(second, 20, ms / 5);
    full(second, 30);
    for (std::uint16_t i = 1; i <= 3; i++) {
        syn_again(2 * second, i, 1);
        connected(3 * second, i, 1'100'000);
    }
    EXPECT_THAT(news(), ElementsAre("accept_queue_backlog certain",
                                    "slow_handshake likely <accept_queue_backlog"));
}

TEST_F(findings_queue, a_full_syn_queue)
{
    listen(7, 7);
    Connection c = listener();
    c.tuple.remote = at("192.0.2.9", 1024);
    event::Overflow what{
        event::Queue::syn, event::Stage::syn, event::Action::cookie, false, 8, 0, 7, 500, {}};
    tell(second, c, what, guessed);
    ASSERT_THAT(news(), ElementsAre("syn_queue_cookies likely"));
    EXPECT_THAT(findings().at(0).cause, HasSubstr("SYN flood"));
    what.action = event::Action::drop;
    what.max_syn_backlog = true;
    tell(second, c, what, guessed);
    ASSERT_THAT(news(), ElementsAre("syn_queue_full likely"));
    const auto remedies = findings().at(0).remedies;
    ASSERT_THAT(remedies, SizeIs(2));
    EXPECT_EQ(remedies[1].command, "sysctl -w net.ipv4.tcp_max_syn_backlog=512");
    EXPECT_EQ(remedies[1].now, "128");
}

TEST_F(findings_queue, connections_that_nobody_accepts)
{
    listen(128);
    born(10 * second, 1);
    EXPECT_THAT(news(), IsEmpty()); // the queue was not looked at
    settings.queues = {{scene_netns, local, 3, 1, 128}};
    ASSERT_THAT(news(), ElementsAre("not_accepting certain"));
    EXPECT_THAT(findings().at(0).cause, HasSubstr("no accept() for 20.0 s"));
    EXPECT_THAT(news(10 * second + 900 * ms), IsEmpty());
}

TEST_F(findings_queue, without_the_hook_nobody_knows_who_accepts)
{
    listen(128);
    born(10 * second, 1);
    settings.queues = {{scene_netns, local, 3, 1, 128}};
    sink.accepts_unseen();
    EXPECT_THAT(news(), IsEmpty());
}

/// Found by looking, when the queue had room again.
TEST_F(findings_queue, polled_drops_are_possible_only)
{
    listen(7, 7);
    for (std::uint16_t i = 1; i <= 20; i++) { // one at a time
        born(i * second, i);
        accepted(i * second + ms, i, 1'000);
    }
    tell(second, listener(),
         event::Overflow{event::Queue::syn, {}, event::Action::drop, false, {}, 0, 7, 30, 200},
         guessed);
    EXPECT_THAT(news(), ElementsAre("accept_queue_backlog possible"));
    served(21 * second, 20, ms); // the last one waited for all others
    EXPECT_THAT(news(), ElementsAre("accept_queue_backlog likely"));
}

} // namespace
} // namespace tcpsaga::testing
