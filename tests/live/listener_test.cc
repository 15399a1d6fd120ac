// SPDX-License-Identifier: BSD-2-Clause
/* Listeners: which there are, what they asked for, whose they are, how they end. */
#include "saga.h"

namespace live {
namespace {

class Listeners : public Live {};

TEST_F(Listeners, ABacklogThatIsAskedForAndChanged)
{
    set_sysctl("net/core/somaxconn", "7");
    Saga saga;
    Listening server({peer_path(), "relisten", "127.0.0.1", "0", "5000", "3"});
    const json first = saga.wait_for({{"event", "listen"}, {"lport", server.port}});
    EXPECT_EQ(first["backlog"], 7);
    EXPECT_EQ(first["pid"], server.process.pid());
    server.process.send(SIGUSR1);
    const bool asked_is_seen = has_hook("listen");
    if (asked_is_seen) {
        EXPECT_EQ(first["backlog_asked"], 5000);
        const json again = saga.wait_for({{"event", "listen"}, {"backlog_asked", 3}});
        EXPECT_EQ(again["backlog"], 3);
        EXPECT_EQ(again["conn"], first["conn"]);
        EXPECT_EQ(again["pid"], server.process.pid());
    }
    server.process.wait_out([](const std::string& l) { return l == "again"; });
    server.process.send(SIGUSR1);
    const json end = saga.wait_for({{"event", "unlisten"}, {"lport", server.port}});
    EXPECT_EQ(end["why"], "closed");
    EXPECT_EQ(end["pid"], server.process.pid());
    const auto events = saga.stop();
    const json& listeners = events.back()["listeners"];
    ASSERT_EQ(listeners.size(), 1U);
    EXPECT_EQ(listeners[0]["ended"], "closed");
    if (asked_is_seen) {
        EXPECT_EQ(listeners[0]["backlog_asked"], 3);
        EXPECT_EQ(listeners[0]["acceptq_max"], 3);
    }
}

/// One that is there before us, and ends with its process.
TEST_F(Listeners, AListenerFromBefore)
{
    Listening server({peer_path(), "hold", "::1", "0", "5"});
    Saga saga;
    saga.process().send(SIGUSR1);
    const json now = saga.wait_for({{"event", "summary"}});
    EXPECT_FALSE(now.contains("final"));
    ASSERT_EQ(now["listeners"].size(), 1U);
    const json& listener = now["listeners"][0];
    EXPECT_EQ(listener["pid"], server.process.pid());
    EXPECT_EQ(listener["comm"], "peer");
    EXPECT_EQ(listener["laddr"], "::1");
    EXPECT_EQ(listener["lport"], server.port);
    EXPECT_EQ(listener["acceptq_max"], 5);
    EXPECT_FALSE(listener.contains("ended"));
    server.process.send(SIGKILL);
    const json end = saga.wait_for({{"event", "unlisten"}, {"lport", server.port}});
    EXPECT_EQ(end["why"], "process_exit");
    EXPECT_EQ(end["conn"], listener["conn"]);
    const auto events = saga.stop();
    EXPECT_EQ(events.back()["listeners"][0]["ended"], "process_exit");
    EXPECT_EQ(events.back()["final"], true);
}

/// Its clients are told to go: that is no failure of theirs, and no accept.
TEST_F(Listeners, AConnectionThatIsNeverAccepted)
{
    if (!has_hook("accept"))
        GTEST_SKIP() << "SKIPPED: " << attach() << " may miss an accept";
    Saga saga;
    Listening server({peer_path(), "hold", "127.0.0.1", "0", "5"});
    Process client({peer_path(), "rush", "127.0.0.1", std::to_string(server.port), "2"});
    client.wait_out([](const std::string& l) { return l == "connected 2 refused 0"; });
    server.process.send(SIGKILL);
    saga.wait_for({{"event", "close"}, {"role", "client"}});
    client.send(SIGKILL);
    client.wait();
    const auto events = saga.stop();
    const auto ends = select(events, {{"event", "close"}, {"role", "server"}});
    EXPECT_EQ(ends.size(), 2U);
    for (const json& e : ends)
        EXPECT_EQ(e["end"], "never_accepted") << e;
    for (const json& e : select(events, {{"event", "close"}, {"role", "client"}}))
        EXPECT_EQ(e["end"], "rst_received") << e;
    expect_audit_exact(events);
}

TEST_F(Listeners, ASummaryEverySoOften)
{
    Saga saga({"trace", "--summary", "0.05"});
    saga.wait_for({{"event", "summary"}});
    saga.wait_for({{"event", "summary"}});
    const auto events = saga.stop();
    EXPECT_GE(select(events, {{"event", "summary"}}).size(), 2U);
    EXPECT_EQ(select(events, {{"event", "summary"}, {"final", true}}).size(), 1U);
    for (const json& e : select(events, {{"event", "summary"}}))
        EXPECT_GE(e["audit"].size(), 12U) << e;
}

} // namespace
} // namespace live
