// SPDX-License-Identifier: BSD-2-Clause
// Both ends of a connection on two hosts, whose clocks differ.
#include "tcpsaga/host_pairing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "records.h"

namespace tcpsaga::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t us = 1000;
constexpr std::int64_t ms = 1000 * us;
constexpr std::int64_t sec = 1000 * ms;
constexpr std::int64_t epoch = 1'700'000'000 * sec;

constexpr std::uint32_t web = 0;
constexpr std::uint32_t db = 1;

/// Connections from 10.0.0.1 on `web` to 10.0.0.2:80 on `db`, a millisecond of way between them;
/// by default both hosts give the same cookies, in the same namespace number.
class Wire {
public:
    explicit Wire(std::int64_t db_ahead, std::int64_t window = HostPairing::default_window_ns)
        : pairing(window), ahead_(db_ahead)
    {
    }
    static Tuple at_web(std::uint16_t port)
    {
        return {{ip("10.0.0.1"), port}, {ip("10.0.0.2"), 80}, init_netns};
    }
    static HostConn id(std::uint32_t host, std::uint64_t conn) { return {host, init_netns, conn}; }

    HostEnd client(std::uint64_t conn, std::int64_t t, std::uint16_t port) const
    {
        HostEnd e;
        e.id = id(web, conn);
        e.tuple = at_web(port);
        e.role = Role::client;
        e.process.pid = 100;
        e.first_ns = e.syn_ns = epoch + t;
        e.up_ns = epoch + t + 2 * ms;
        return e;
    }
    HostEnd server(std::uint64_t conn, std::int64_t t, std::uint16_t port) const
    {
        HostEnd e;
        e.id = id(db, conn);
        e.tuple = {at_web(port).remote, at_web(port).local, init_netns};
        e.role = Role::server;
        e.process.pid = 200;
        e.syn_ns = epoch + ahead_ + t + ms;
        e.first_ns = e.up_ns = epoch + ahead_ + t + 3 * ms;
        return e;
    }
    /// Both ends, which live for that long.
    void connect(std::uint64_t conn, std::int64_t t, std::uint16_t port, std::int64_t life = sec)
    {
        pairing.add(client(conn, t, port));
        pairing.add(server(conn, t, port));
        end(conn, t + life);
    }
    void end(std::uint64_t conn, std::int64_t t)
    {
        pairing.close(id(web, conn), epoch + t, {});
        pairing.close(id(db, conn), epoch + ahead_ + t, {});
    }
    /// `conn` of the other end; 0: none.
    std::uint64_t other(std::uint32_t host, std::uint64_t conn)
    {
        const HostEnd* e = pairing.other_end(id(host, conn));
        return e == nullptr ? 0 : e->id.conn;
    }

    HostPairing pairing;

private:
    std::int64_t ahead_;
};

TEST(host_pairing, finds_each_end_from_the_other)
{
    Wire w(0);
    for (std::uint64_t n = 1; n <= 100; n++) // the cookies of one host are the other's as well
        w.connect(n, static_cast<std::int64_t>(n) * ms, static_cast<std::uint16_t>(40000 + n));
    for (std::uint64_t n = 1; n <= 100; n++) {
        EXPECT_EQ(w.other(web, n), n);
        const HostEnd* client = w.pairing.other_end(Wire::id(db, n));
        ASSERT_NE(client, nullptr);
        EXPECT_EQ(client->id, Wire::id(web, n));
    }
    EXPECT_EQ(w.pairing.pairs(), 100U);
    EXPECT_EQ(w.pairing.other_end({2, init_netns, 1}), nullptr);
    EXPECT_EQ(w.pairing.other_end({web, init_netns + 1, 1}), nullptr);
}

TEST(host_pairing, measures_the_clocks)
{
    for (const std::int64_t ahead : {0 * sec, 7 * sec, -42 * sec, 300 * us}) {
        Wire w(ahead);
        for (std::uint64_t n = 1; n <= 9; n++)
            w.connect(n, static_cast<std::int64_t>(n) * 10 * ms,
                      static_cast<std::uint16_t>(40000 + n));
        const auto skews = w.pairing.skews();
        ASSERT_THAT(skews, SizeIs(1));
        EXPECT_EQ(skews[0].of, db);
        EXPECT_EQ(skews[0].than, web);
        EXPECT_EQ(skews[0].samples, 9U);
        EXPECT_NEAR(static_cast<double>(skews[0].ahead_ns), static_cast<double>(ahead),
                    static_cast<double>(skews[0].within_ns) + 1);
        EXPECT_LE(skews[0].within_ns, ms);
        EXPECT_EQ(w.other(web, 5), 5U) << ahead;
    }
}

/// The other way round: the server is on the host with the smaller number.
TEST(host_pairing, measures_from_either_end)
{
    Wire w(3 * sec);
    HostEnd client = w.client(1, 0, 40000);
    HostEnd server = w.server(2, 0, 40000);
    client.id.host = 5;
    server.id.host = 4;
    w.pairing.add(server);
    w.pairing.add(client);
    const auto skews = w.pairing.skews();
    ASSERT_THAT(skews, SizeIs(1));
    EXPECT_EQ(skews[0].of, 5U);
    EXPECT_EQ(skews[0].than, 4U);
    EXPECT_EQ(skews[0].ahead_ns, -3 * sec); // the client's, which is right
}

/// The 4-tuple comes again, and each host misses another one of its users.
TEST(host_pairing, never_takes_the_dead_user_of_a_4_tuple)
{
    for (const std::int64_t ahead : {0 * sec, 7 * sec, -7 * sec}) {
        Wire w(ahead);
        for (std::uint64_t n = 1; n <= 5; n++) // so that the clocks are known
            w.connect(n, static_cast<std::int64_t>(n) * ms, static_cast<std::uint16_t>(40000 + n));
        w.pairing.add(w.client(11, 10 * sec, 50000)); // its server's end was lost
        w.pairing.close(Wire::id(web, 11), epoch + 11 * sec, {});
        w.connect(12, 12 * sec, 50000);
        w.pairing.add(w.server(13, 14 * sec, 50000)); // its client's
        EXPECT_EQ(w.other(web, 11), 0U) << ahead;
        EXPECT_EQ(w.other(db, 13), 0U) << ahead;
        EXPECT_EQ(w.other(db, 12), 12U) << ahead;
        EXPECT_EQ(w.other(web, 12), 12U) << ahead;
    }
}

/// One host tells of it all before the other tells of anything, as far as the window goes.
TEST(host_pairing, takes_ends_in_any_order)
{
    Wire w(0);
    for (std::uint64_t n = 1; n <= 20; n++)
        w.pairing.add(w.client(n, static_cast<std::int64_t>(n) * sec, 40000));
    for (std::uint64_t n = 1; n <= 20; n++)
        w.pairing.add(w.server(100 + n, static_cast<std::int64_t>(n) * sec, 40000));
    for (std::uint64_t n = 1; n <= 20; n++)
        EXPECT_EQ(w.other(web, n), 100 + n);
}

TEST(host_pairing, gives_an_end_to_one_only)
{
    Wire w(0);
    w.connect(1, 0, 40000);
    HostEnd again = w.client(1, 0, 40000); // the same host recorded twice at once
    again.id.host = 2;
    w.pairing.add(again);
    EXPECT_EQ(w.other(web, 1), 1U);
    EXPECT_EQ(w.pairing.other_end({2, init_netns, 1}), nullptr);
    EXPECT_EQ(w.other(db, 1), 1U);
}

TEST(host_pairing, leaves_addresses_alone_that_every_host_has)
{
    for (const char* addr : {"127.0.0.1", "127.9.9.9", "::1", "fe80::1", "169.254.1.1"}) {
        Wire w(0);
        HostEnd client = w.client(1, 0, 40000);
        HostEnd server = w.server(2, 0, 40000);
        client.tuple.local.addr = client.tuple.remote.addr = ip(addr);
        server.tuple.local.addr = server.tuple.remote.addr = ip(addr);
        w.pairing.add(client);
        w.pairing.add(server);
        EXPECT_EQ(w.other(web, 1), 0U) << addr;
        EXPECT_THAT(w.pairing.skews(), IsEmpty());
    }
    EXPECT_TRUE(may_cross_hosts({{ip("fd00::1"), 1}, {ip("fd00::2"), 2}, 0}));
    EXPECT_FALSE(may_cross_hosts({{ip("10.0.0.1"), 1}, {ip("10.0.0.2"), 0}, 0}));
}

TEST(host_pairing, ends_at_the_window)
{
    Wire near(9 * sec, 10 * sec);
    near.connect(1, 0, 40000);
    EXPECT_EQ(near.other(web, 1), 1U);
    Wire far(11 * sec, 10 * sec);
    far.connect(1, 0, 40000);
    EXPECT_EQ(far.other(web, 1), 0U);
}

TEST(host_pairing, of_the_same_role_is_none)
{
    Wire w(0);
    w.pairing.add(w.client(1, 0, 40000));
    HostEnd other = w.server(2, 0, 40000);
    other.role = Role::client;
    w.pairing.add(other);
    EXPECT_EQ(w.other(web, 1), 0U);
}

/// Older than the recording: there is no handshake to compare.
TEST(host_pairing, takes_the_longest_companion_where_the_start_is_not_known)
{
    Wire w(5 * sec);
    w.connect(1, 0, 41000); // tells of the clocks
    HostEnd old = w.server(7, 0, 40000);
    old.syn_ns = old.up_ns = 0;
    old.first_ns = epoch + 5 * sec + 100 * sec;
    w.pairing.add(w.client(2, 10 * sec, 40000));
    w.pairing.close(Wire::id(web, 2), epoch + 99 * sec, {});
    w.pairing.add(w.client(3, 99 * sec, 40000));
    w.pairing.close(Wire::id(web, 3), epoch + 200 * sec, {});
    w.pairing.add(old);
    w.pairing.close(old.id, epoch + 5 * sec + 200 * sec, {});
    EXPECT_EQ(w.other(db, 7), 3U);
    EXPECT_EQ(w.other(web, 2), 0U);
}

TEST(host_pairing, learns_more_of_an_end)
{
    Wire w(0);
    HostEnd early = w.client(1, 0, 40000);
    early.up_ns = early.syn_ns = 0;
    w.pairing.add(early);
    w.pairing.add(w.server(2, 0, 40000));
    EXPECT_THAT(w.pairing.skews(), IsEmpty());
    w.pairing.add(w.client(1, 0, 40000));
    EXPECT_THAT(w.pairing.skews(), SizeIs(1));
    w.pairing.add(w.client(1, 0, 40000));
    EXPECT_EQ(w.pairing.skews()[0].samples, 1U); // says so once only
    Process owner;
    owner.pid = 77;
    w.pairing.close(Wire::id(web, 1), epoch + sec, owner);
    const HostEnd* client = w.pairing.other_end(Wire::id(db, 2));
    ASSERT_NE(client, nullptr);
    EXPECT_EQ(client->process.pid, 77U);
    EXPECT_EQ(client->closed_ns, epoch + sec);
}

TEST(host_pairing, forgets_what_is_over)
{
    Wire w(0);
    for (std::uint64_t n = 1; n <= 100; n++)
        w.connect(n, static_cast<std::int64_t>(n) * sec, 40000);
    EXPECT_EQ(w.other(web, 50), 50U);
    EXPECT_EQ(w.pairing.size(), 200U);
    w.pairing.forget_closed_before(epoch + 60 * sec + 1);
    EXPECT_EQ(w.pairing.size(), 82U);
    EXPECT_EQ(w.other(web, 50), 0U);
    EXPECT_EQ(w.other(web, 90), 90U);
    w.pairing.add(w.client(1000, 200 * sec, 41000));
    w.pairing.add(w.server(1000, 200 * sec, 41000)); // in room that was freed
    EXPECT_EQ(w.other(db, 1000), 1000U);
    w.pairing.forget(Wire::id(web, 1000));
    EXPECT_EQ(w.other(db, 1000), 0U);
}

/// An open end keeps what its closed other one was.
TEST(host_pairing, keeps_the_other_end_of_what_goes_on)
{
    Wire w(0);
    w.pairing.add(w.client(1, 0, 40000));
    w.pairing.add(w.server(1, 0, 40000));
    w.pairing.close(Wire::id(db, 1), epoch + sec, {});
    EXPECT_EQ(w.other(db, 1), 1U);
    w.pairing.forget_closed_before(epoch + 3600 * sec);
    EXPECT_EQ(w.other(web, 1), 1U);
}

/// A tuple that comes again and again for hours costs what its last users do.
TEST(host_pairing, does_not_look_at_all_users_of_a_4_tuple)
{
    Wire w(0);
    constexpr std::uint64_t many = 3000;
    for (std::uint64_t n = 1; n <= many; n++)
        w.connect(n, static_cast<std::int64_t>(n) * sec, 40000, sec / 2);
    for (const std::uint64_t n : {std::uint64_t{1}, many / 2, many})
        EXPECT_EQ(w.other(web, n), n);
}

/// A clock that is set anew in the midst of a stream.
TEST(host_pairing, follows_a_clock_that_jumps)
{
    HostPairing p;
    std::uint64_t n = 0;
    for (const std::int64_t ahead : {0 * sec, 4 * sec}) {
        Wire w(ahead);
        for (int i = 0; i < 2500; i++) {
            n++;
            const std::int64_t t = static_cast<std::int64_t>(n) * 100 * ms;
            p.add(w.client(n, t, static_cast<std::uint16_t>(20000 + n)));
            p.add(w.server(n, t, static_cast<std::uint16_t>(20000 + n)));
        }
    }
    EXPECT_NEAR(static_cast<double>(p.skews().at(0).ahead_ns), 4.0 * sec, 1.0 * ms);
}

} // namespace
} // namespace tcpsaga::testing
