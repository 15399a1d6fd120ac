// SPDX-License-Identifier: BSD-2-Clause
// The ends of a connection that are told of by two hosts meet; and what follows from both.
#include "fleet/meeting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "records.h"
#include "tcpsaga/fleet_findings.h"

namespace tcpsaga::fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ip;
using ::testing::IsEmpty;

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t epoch = 1'700'000'000'000 * ms;
constexpr std::uint32_t web = 0;
constexpr std::uint32_t db = 1;

/// Remembers of what came in which order.
class Told : public Sink {
public:
    void on_event(const Event& e) override { ids.push_back(e.conn->id); }
    std::vector<std::uint64_t> ids;
};

class Ends : public ::testing::Test {
protected:
    static Connection client(std::uint64_t id, std::uint16_t port)
    {
        Connection c;
        c.id = id;
        c.tuple = {{ip("10.0.0.1"), port}, {ip("10.0.0.2"), 80}, 1};
        c.role = Role::client;
        c.seen_start = true;
        c.started_ns = epoch;
        c.established_ns = epoch + 2 * ms;
        return c;
    }
    /// Its clock is `ahead`.
    static Connection server(std::uint64_t id, std::uint16_t port, std::uint64_t ahead = 0)
    {
        Connection c = client(id, port);
        std::swap(c.tuple.local, c.tuple.remote);
        c.role = Role::server;
        c.started_ns = c.established_ns = epoch + 3 * ms + ahead;
        c.handshake_us = 2000;
        return c;
    }
    void close(std::uint32_t host, const Connection& c, std::uint64_t ts_ns,
               event::End end = event::End::fin, std::string_view why = "")
    {
        event::Close life{};
        life.end = end;
        life.why = why;
        meeting.on_close(host, {ts_ns, &c, c.owner, life}, told, keep, now);
    }

    Told told;
    Meeting::Clock::time_point now;
    Meeting::Keep keep = std::make_shared<int>(0);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs;
    HostPairing pairing;
    Meeting meeting{pairing, std::chrono::seconds(5),
                    [this](std::uint32_t, const Event& c, std::uint32_t, const Event& s) {
                        pairs.emplace_back(c.conn->id, s.conn->id);
                    }};
};

TEST_F(Ends, TheFirstWaitsForTheOther)
{
    close(web, client(7, 5000), epoch + 50 * ms);
    EXPECT_THAT(told.ids, IsEmpty());
    EXPECT_EQ(keep.use_count(), 2) << "its message is not done with";
    close(db, server(9, 5000), epoch + 51 * ms);
    EXPECT_THAT(told.ids, ElementsAre(7, 9));
    EXPECT_THAT(pairs, ElementsAre(std::pair(7, 9)));
    EXPECT_EQ(keep.use_count(), 1);
}

TEST_F(Ends, MeetWhenTheClocksAreApart)
{
    constexpr std::uint64_t ahead = 30'000 * ms;
    close(db, server(9, 5000, ahead), epoch + 51 * ms + ahead);
    close(web, client(7, 5000), epoch + 50 * ms);
    EXPECT_THAT(told.ids, ElementsAre(9, 7));
    ASSERT_EQ(pairing.skews().size(), 1U);
    EXPECT_NEAR(static_cast<double>(pairing.skews()[0].ahead_ns), 30e9, 2e6);
}

TEST_F(Ends, OneThatWaitsInVainIsToldAlone)
{
    close(web, client(7, 5000), epoch + 50 * ms);
    meeting.expire(now + std::chrono::seconds(4));
    EXPECT_THAT(told.ids, IsEmpty());
    meeting.expire(now + std::chrono::seconds(5));
    EXPECT_THAT(told.ids, ElementsAre(7));
    EXPECT_FALSE(meeting.still_to_tell({web, 1, 7}));
    close(db, server(9, 5000), epoch + 51 * ms); // from a spool
    EXPECT_THAT(told.ids, ElementsAre(7, 9)) << "at once: both are known";
    EXPECT_EQ(keep.use_count(), 1);
}

TEST_F(Ends, WhatCannotMeetDoesNotWait)
{
    Connection c = client(7, 5000);
    c.established_ns = 0; // refused
    close(web, c, epoch + 5 * ms, event::End::refused);
    Connection near = client(8, 5001);
    near.tuple.local.addr = near.tuple.remote.addr = ip("127.0.0.1");
    close(web, near, epoch + 5 * ms);
    EXPECT_THAT(told.ids, ElementsAre(7, 8));
}

TEST_F(Ends, AllAreToldAtTheEnd)
{
    close(web, client(7, 5000), epoch + 50 * ms);
    close(web, client(8, 5001), epoch + 60 * ms);
    meeting.end();
    EXPECT_THAT(told.ids, ElementsAre(7, 8));
    EXPECT_EQ(meeting.waiting(), 0U);
}

// ---- findings ---------------------------------------------------------------------------------

class Findings : public ::testing::Test {
protected:
    Findings()
    {
        web_case.addresses.insert(ip("10.0.0.1"));
        db_case.addresses.insert(ip("10.0.0.2"));
        listener.id = 3;
        listener.tuple.local = {ip("0.0.0.0"), 80};
        listener.tuple.netns = 1;
        listener.role = Role::server;
    }
    Connection attempt(std::uint16_t port) const
    {
        Connection c;
        c.id = port;
        c.tuple = {{ip("10.0.0.1"), port}, {ip("10.0.0.2"), 80}, 1};
        c.role = Role::client;
        c.seen_start = true;
        return c;
    }
    /// Connects of `web` whose SYNs nobody answers.
    void unanswered()
    {
        for (std::uint16_t port = 5000; port < 5010; port++) {
            const Connection c = attempt(port);
            web_case.on_event({epoch, &c, peer, event::Connect{}});
            for (std::uint32_t nth = 1; nth <= 3; nth++)
                web_case.on_event({epoch + nth * 1000 * ms, &c, peer,
                                   event::Retransmit{event::Retransmitted::syn, nth, 1, 0}});
            web_case.on_event({epoch + 8000 * ms, &c, peer, event::ConnectError{ETIMEDOUT}});
        }
    }
    void listen() { db_case.on_event({epoch, &listener, server, event::Listen{3}}); }
    void diagnose_both()
    {
        for (HostCase* c : hosts)
            c->evidence_sink.finish(epoch + 10'000 * ms);
        diagnose(hosts, aborts);
    }
    const Finding* find(const HostCase& h, const std::string& kind)
    {
        const auto f = std::ranges::find(h.findings, kind, &Finding::kind);
        return f == h.findings.end() ? nullptr : &*f;
    }

    Process peer = process(100, "client"), server = process(200, "slow");
    Connection listener;
    HostCase web_case{"web", epoch}, db_case{"db", epoch};
    std::vector<HostCase*> hosts{&web_case, &db_case};
    PeerAborts aborts;

    static Process process(std::uint32_t pid, std::string_view name)
    {
        Process p;
        p.pid = pid;
        name.copy(p.comm.data(), p.comm.size() - 1);
        p.from = PidFrom::task;
        return p;
    }
};

TEST_F(Findings, AFullQueueThereIsWhySynsAreNotAnsweredHere)
{
    unanswered();
    listen();
    Connection met = listener;
    met.tuple = {{ip("10.0.0.2"), 80}, {ip("10.0.0.1"), 5000}, 1};
    for (int i = 0; i < 40; i++)
        db_case.on_event({epoch + 100 * ms * static_cast<std::uint64_t>(i), &met, server,
                          event::Overflow{event::Queue::accept, event::Stage::syn,
                                          event::Action::drop, false, 0, 4, 3, 1}});
    diagnose_both();
    const Finding* f = find(web_case, "syn_unanswered");
    ASSERT_NE(f, nullptr);
    EXPECT_TRUE(f->because.starts_with("accept_queue")) << f->because;
    EXPECT_THAT(f->cause, HasSubstr("on db: "));
    EXPECT_THAT(f->cause, HasSubstr("slow (pid 200)"));
}

TEST_F(Findings, SynsThatNeverArrivedAreTheNetworks)
{
    unanswered();
    listen();
    diagnose_both();
    const Finding* f = find(web_case, "syn_unanswered");
    ASSERT_NE(f, nullptr);
    EXPECT_EQ(f->because, "");
    EXPECT_THAT(f->cause, HasSubstr("db listens there and has seen none of web's packets"));
}

TEST_F(Findings, NothingIsSaidOfAHostThatIsNotKnown)
{
    unanswered();
    hosts = {&web_case};
    diagnose_both();
    const Finding* f = find(web_case, "syn_unanswered");
    ASSERT_NE(f, nullptr);
    EXPECT_THAT(f->cause, ::testing::Not(HasSubstr("db")));
}

TEST_F(Findings, ARstThatAClientGetsIsItsServersAbort)
{
    const Connection c = attempt(5000);
    Connection s = c;
    std::swap(s.tuple.local, s.tuple.remote);
    s.role = Role::server;
    s.owner = server;
    event::Close here{};
    here.end = event::End::rst_received;
    event::Close there{};
    there.end = event::End::aborted;
    there.why = "unread_data";
    aborts.add("web", {epoch, &c, peer, here}, "db", {epoch, &s, server, there});
    diagnose_both();
    const Finding* f = find(web_case, "peer_abort");
    ASSERT_NE(f, nullptr);
    EXPECT_THAT(f->what, HasSubstr("1 connection to 10.0.0.2:80 reset by db"));
    EXPECT_THAT(f->cause,
                HasSubstr("slow (pid 200) on db closes them with a RST: aborted, unread"));
    EXPECT_EQ(find(db_case, "peer_abort"), nullptr);
}

TEST_F(Findings, HealthyHostsHaveNone)
{
    listen();
    const Connection c = attempt(5000);
    web_case.on_event({epoch, &c, peer, event::Connect{}});
    web_case.on_event({epoch + ms, &c, peer,
                       event::StateChange{State::syn_sent, State::established, 1000}});
    diagnose_both();
    EXPECT_THAT(web_case.findings, IsEmpty());
    EXPECT_THAT(db_case.findings, IsEmpty());
}

} // namespace
} // namespace tcpsaga::fleet
