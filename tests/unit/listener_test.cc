// SPDX-License-Identifier: BSD-2-Clause
// Listeners: how they start, change and end, those that were there before, and the summary's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Task systemd{1, "systemd", 0};

Record<ts_state> ends(const Socket& s = listener())
{
    return s.state(State::listen, State::close);
}

std::vector<event::ListenerSummary> listeners(const Story& story)
{
    return story.correlator.summary().listeners;
}

// ---- bind() and listen() that fail ----------------------------------------------------------

TEST(bind_error, is_of_the_address_that_was_asked_for)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(systemd));
    story.news();
    const Socket late = listener().id(4);
    story.tell(2ms, late.bind_error(EADDRINUSE).by(nginx))
        .tell(3ms, late.listen_error(EADDRINUSE).by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("bind_error 98", "listen_error 98"));
    for (const char* kind : {"bind_error", "listen_error"}) {
        const Seen& seen = story.last(kind);
        EXPECT_EQ(seen.conn->id, 4U) << kind;
        EXPECT_EQ(seen.conn->tuple, late.tuple()) << kind;
        EXPECT_EQ(seen.conn->family, 4) << kind;
        EXPECT_EQ(seen.conn->role, Role::unknown) << kind;
        EXPECT_EQ(seen.actor.pid, nginx.pid) << kind;
        EXPECT_EQ(seen.actor.from, PidFrom::task) << kind;
    }
    EXPECT_EQ(story.last("bind_error").ts_ns, 2'000'000U);
}

TEST(bind_error, leaves_the_listener_that_has_the_address)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(systemd))
        .tell(2ms, listener().id(4).bind_error(EADDRINUSE).by(nginx))
        .tell(3ms, server().birth().queue(3, 0, 128));
    EXPECT_EQ(story.last().actor.pid, systemd.pid);
    EXPECT_EQ(story.correlator.summary().alive, 2U);
    EXPECT_EQ(listeners(story).size(), 1U);
}

TEST(bind_error, of_a_socket_without_cookie_has_an_id_of_our_own)
{
    Story story;
    const Socket v6 = Socket().id(address_a).local("::1", 80).remote("::", 0);
    for (std::uint64_t n = 0; n < 2; n++) {
        story.tell(1ms, v6.bind_error(EACCES).by(nginx));
        EXPECT_EQ(story.last().conn->id, (std::uint64_t{1} << 52) + n);
        EXPECT_EQ(story.last().conn->family, 6);
    }
}

TEST(bind_error, is_counted_with_those_of_listen)
{
    Story story;
    story.tell(1ms, listener().bind_error(EADDRINUSE).by(nginx))
        .tell(1ms, listener().listen_error(EADDRINUSE).by(nginx));
    EXPECT_EQ(story.correlator.summary().bind_errors, 2U);
    EXPECT_EQ(story.correlator.summary().connect_errors, 0U);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(bind_error, is_of_the_wanted_process)
{
    Correlator::Config config;
    config.filter.pids = {nginx.pid};
    Story story(config);
    story.tell(1ms, listener().bind_error(EADDRINUSE).by(systemd));
    EXPECT_THAT(story.news(), IsEmpty());
    story.tell(1ms, listener().bind_error(EADDRINUSE).by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("bind_error 98"));
}

// ---- one listener --------------------------------------------------------------------------

TEST(listener_life, starts_and_stops)
{
    Story story;
    story.tell(1ms, listener().listen(4096).by(nginx)).tell(2s, ends().by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("listen 4096", "CLOSE>LISTEN", "LISTEN>CLOSE 1999000us",
                                          "unlisten closed"));
    for (const Seen& s : story.events.seen) {
        EXPECT_EQ(s.actor.pid, nginx.pid) << s.text;
        EXPECT_EQ(s.actor.from, PidFrom::task) << s.text;
        EXPECT_EQ(s.conn->role, Role::server) << s.text;
    }
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(listener_life, ends_with_its_process)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx)).tell(2ms, ends().by(nginx).flag(TS_EXITING));
    EXPECT_EQ(story.last().text, "unlisten process_exit");
}

TEST(listener_life, the_end_of_one_from_before_us)
{
    Story story;
    story.tell(2s, ends().by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("LISTEN>CLOSE", "unlisten closed"));
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().conn->role, Role::server);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(listener_life, tells_the_backlog_that_was_asked_for)
{
    Story story;
    story.tell(1ms, listener().listen(4096).asked(65535).by(nginx))
        .tell(2ms, listener().id(4).local("0.0.0.0", 81).listen(0).asked(0).by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("listen 4096 asked=65535", "CLOSE>LISTEN",
                                          "listen 0 asked=0", "CLOSE>LISTEN"));
}

TEST(listener_life, may_get_another_backlog)
{
    Story story;
    story.tell(1ms, listener().listen(128).asked(128).by(systemd));
    story.news();
    story.tell(2ms, listener().listen(10, State::listen).asked(10).by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("listen 10 asked=10"));
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
    EXPECT_EQ(story.last().conn->owner.pid, systemd.pid);
    EXPECT_TRUE(story.last().conn->seen_start);
    EXPECT_EQ(story.correlator.summary().alive, 1U);
    story.tell(3ms, ends().by(systemd));
    EXPECT_THAT(story.news(), ElementsAre("LISTEN>CLOSE 2000us", "unlisten closed"));
}

TEST(listener_life, another_backlog_of_one_from_before_us)
{
    Story story;
    story.tell(2ms, listener().listen(10, State::listen).asked(10).by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("listen 10 asked=10"));
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().conn->role, Role::server);
    // From now on its children have an owner.
    story.tell(3ms, server().birth().queue(3, 0, 10));
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::listener);
}

// ---- those that were there before ----------------------------------------------------------

SocketRow present(const Socket& s, const Process& owner = {})
{
    SocketRow l = row(s, 3, State::listen, owner);
    l.tx_queue = 128;
    return l;
}

void adopt(Story& story, const SocketRow& l)
{
    story.correlator.adopt({&l, 1}, 1'000'000);
}

TEST(adopted_listener, is_known_and_not_told)
{
    Story story;
    adopt(story, present(listener(), found(nginx)));
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().alive, 1U);
    ASSERT_EQ(listeners(story).size(), 1U);
    const event::ListenerSummary l = listeners(story).at(0);
    EXPECT_EQ(l.conn, 3U);
    EXPECT_EQ(l.local, listener().tuple().local);
    EXPECT_EQ(l.owner.pid, nginx.pid);
    EXPECT_EQ(l.acceptq_max, 128U);
    EXPECT_EQ(l.asked, std::nullopt);
}

TEST(adopted_listener, owns_its_children)
{
    Story story;
    adopt(story, present(listener(), found(nginx)));
    story.tell(2ms, server().birth().queue(3, 0, 128));
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::listener);
    EXPECT_EQ(listeners(story).at(0).births, 1U);
}

TEST(adopted_listener, ends_as_one_from_before_us)
{
    Story story;
    adopt(story, present(listener(), found(nginx)));
    story.tell(2ms, ends());
    EXPECT_THAT(story.news(), ElementsAre("LISTEN>CLOSE 1000us", "unlisten closed"));
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().conn->role, Role::server);
    EXPECT_EQ(story.last().conn->family, 4);
    EXPECT_EQ(story.last().actor.pid, nginx.pid);
    EXPECT_EQ(story.last().actor.from, PidFrom::snapshot);
}

TEST(adopted_listener, without_an_owner_is_its_that_acts)
{
    Story story;
    adopt(story, present(Socket().local("::", 80).remote("::", 0)));
    story.tell(
        2ms,
        listener().local("::", 80).remote("::", 0).listen(5, State::listen).asked(5).by(nginx));
    EXPECT_EQ(story.last().conn->family, 6);
    EXPECT_EQ(story.last().conn->owner.pid, nginx.pid);
    EXPECT_EQ(listeners(story).at(0).owner.pid, nginx.pid);
}

// It started between our hooks and the look at what is there.
TEST(adopted_listener, whose_start_is_told_started)
{
    Story story;
    adopt(story, present(listener()));
    story.tell(2ms, listener().listen(128).by(nginx)).tell(3ms, ends().by(nginx));
    EXPECT_EQ(story.news().size(), 4U);
    EXPECT_TRUE(story.last().conn->seen_start);
    EXPECT_EQ(listeners(story).size(), 1U);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(adopted_listener, is_a_wanted_one)
{
    Correlator::Config config;
    config.filter.lports = {443};
    Story story(config);
    adopt(story, present(listener(), found(nginx)));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
    EXPECT_THAT(listeners(story), IsEmpty());
    adopt(story, present(listener().local("0.0.0.0", 443), found(nginx)));
    EXPECT_EQ(story.correlator.summary().alive, 1U);
}

// ---- in the summary ------------------------------------------------------------------------

TEST(summary_of_a_listener, tells_what_listen_told)
{
    Story story;
    story.tell(1ms, listener().listen(4096).asked(65535).by(nginx));
    ASSERT_EQ(listeners(story).size(), 1U);
    const event::ListenerSummary l = listeners(story).at(0);
    EXPECT_EQ(l.owner.pid, nginx.pid);
    EXPECT_EQ(l.acceptq_max, 4096U);
    EXPECT_EQ(l.asked, 65535U);
    EXPECT_EQ(l.ended, std::nullopt);
    story.tell(2ms, listener().listen(10, State::listen).asked(10).by(nginx));
    EXPECT_EQ(listeners(story).at(0).acceptq_max, 10U);
    EXPECT_EQ(listeners(story).at(0).asked, 10U);
}

TEST(summary_of_a_listener, tells_how_it_ended)
{
    Story story;
    story.tell(1ms, listener().listen(128).by(nginx)).tell(2ms, ends().by(nginx));
    EXPECT_EQ(listeners(story).at(0).ended, event::UnlistenWhy::closed);
    story.tell(3ms, ends(listener().id(4)).by(nginx).flag(TS_EXITING)); // from before us
    EXPECT_EQ(listeners(story).at(1).ended, event::UnlistenWhy::process_exit);
}

// shutdown() ends it, and listen() on the same socket begins anew.
TEST(summary_of_a_listener, that_listens_again_has_not_ended)
{
    Story story;
    story.tell(1ms, listener().listen(128).asked(128).by(nginx))
        .tell(2ms, ends().by(nginx))
        .tell(3ms, listener().listen(64).by(nginx));
    ASSERT_EQ(listeners(story).size(), 1U);
    EXPECT_EQ(listeners(story).at(0).ended, std::nullopt);
}

TEST(summary_of_a_listener, names_so_many_and_sums_up_the_rest)
{
    constexpr std::uint16_t most = 4096;
    Story story;
    for (std::uint16_t n = 1; n <= most + 2; n++) {
        const Socket s = listener().id(n).local("0.0.0.0", n);
        story.tell(1ms, s.listen(128).asked(128).by(nginx)).tell(2ms, s.birth().queue(n, 0, 128));
        story.tell(3ms, ends(s).by(nginx));
    }
    const auto all = listeners(story);
    ASSERT_EQ(all.size(), std::size_t{most} + 1);
    EXPECT_EQ(all.at(0).births, 2U);
    EXPECT_EQ(all.at(0).conn, 0U);
    EXPECT_EQ(all.at(0).asked, std::nullopt);
    EXPECT_EQ(all.at(0).ended, std::nullopt);
    EXPECT_FALSE(all.at(0).owner.known());
    EXPECT_EQ(all.back().births, 1U);
    EXPECT_EQ(all.back().conn, most);
}

} // namespace
} // namespace tcpsaga::testing
