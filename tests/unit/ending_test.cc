// SPDX-License-Identifier: BSD-2-Clause
#include "correlate/ending.h"

#include <gtest/gtest.h>

#include <map>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using event::End;

constexpr State every_state[] = {
    State::established, State::syn_sent,   State::syn_recv, State::fin_wait1, State::fin_wait2,
    State::close,       State::close_wait, State::last_ack, State::closing,
};

End ended(Record<ts_state> r, State held = State::none)
{
    return end_of(r.raw, held, {}, true);
}

// ---- how it ended -----------------------------------------------------------------------------

TEST(end_of, an_error_decides_whatever_the_state)
{
    const std::map<int, End> ends{
        {ECONNREFUSED, End::refused},     {ETIMEDOUT, End::timeout},
        {EHOSTUNREACH, End::unreachable}, {ENETUNREACH, End::unreachable},
        {ECONNRESET, End::rst_received},  {EPIPE, End::rst_received},
        {ECONNABORTED, End::aborted},
    };
    for (const auto& [err, end] : ends)
        for (const State from : every_state) {
            EXPECT_EQ(ended(client().state(from, State::close).error(err)), end)
                << err << " in " << name_of(from);
            EXPECT_EQ(ended(client().state(from, State::close).error(err).by(curl)), end)
                << err << " in " << name_of(from);
        }
}

// What else ICMP and ICMPv6 make of "unreachable": icmp_err_convert in net/ipv4/icmp.c,
// tab_unreach in net/ipv6/icmp.c (EACCES: administratively prohibited, a firewall's REJECT).
TEST(end_of, icmp_has_more_errors_for_unreachable)
{
    for (const int err : {EACCES, EHOSTDOWN, ENONET, ENOPROTOOPT, ENETDOWN})
        EXPECT_EQ(ended(client().state(State::syn_sent, State::close).error(err)), End::unreachable)
            << errno_name(err);
}

TEST(end_of, a_close_that_was_acknowledged_is_a_fin)
{
    for (const State from : {State::last_ack, State::fin_wait2, State::closing}) {
        EXPECT_EQ(ended(client().state(from, State::close)), End::fin) << name_of(from);
        EXPECT_EQ(ended(client().state(from, State::close).by(curl)), End::fin) << name_of(from);
    }
}

TEST(end_of, time_wait_is_a_fin_from_anywhere)
{
    for (const State from : every_state)
        for (const State held : {State::time_wait, State::fin_wait2})
            EXPECT_EQ(ended(client().state(from, State::close), held), End::fin) << name_of(from);
}

TEST(end_of, without_error_the_task_aborts_or_the_kernel_resets)
{
    for (const State from : {State::established, State::syn_sent, State::syn_recv, State::fin_wait1,
                             State::close_wait}) {
        EXPECT_EQ(ended(client().state(from, State::close).by(curl)), End::aborted)
            << name_of(from);
        EXPECT_EQ(ended(client().state(from, State::close)), End::rst_sent) << name_of(from);
    }
}

TEST(end_of, an_exit_is_one_where_its_process_ended_it)
{
    Connection c;
    c.exiting = true;
    const auto ended = [&](const Record<ts_state>& r) {
        return end_of(r.raw, State::none, c, true);
    };
    EXPECT_EQ(ended(client().state(State::established, State::close).by(curl)), End::process_exit);
    EXPECT_EQ(ended(client().state(State::fin_wait2, State::close)), End::process_exit);
    EXPECT_EQ(ended(client().state(State::fin_wait1, State::close)), End::rst_sent);
    EXPECT_EQ(ended(client().state(State::fin_wait1, State::close).error(ETIMEDOUT)), End::timeout);
}

TEST(end_of, a_child_was_never_accepted)
{
    const auto reset = server().state(State::established, State::close);
    Connection child;
    child.role = Role::server;
    child.seen_start = true;
    child.established_ns = 1;
    const auto ended = [](const Record<ts_state>& r, const Connection& c, bool accept_seen = true) {
        return end_of(r.raw, State::none, c, accept_seen);
    };
    EXPECT_EQ(ended(reset, child), End::never_accepted);
    EXPECT_EQ(ended(server().state(State::close_wait, State::close), child), End::never_accepted);
    EXPECT_EQ(ended(reset, child, false), End::rst_sent);
    EXPECT_EQ(ended(server().state(State::established, State::close).error(ECONNRESET), child),
              End::rst_received);
    Connection other = child;
    other.accepted = true;
    EXPECT_EQ(ended(reset, other), End::rst_sent);
    other = child;
    other.seen_start = false; // its accept may have been before us
    EXPECT_EQ(ended(reset, other), End::rst_sent);
    other = child;
    other.established_ns = 0;
    EXPECT_EQ(ended(reset, other), End::rst_sent);
    other = child;
    other.role = Role::client;
    EXPECT_EQ(ended(reset, other), End::rst_sent);
}

// ---- why it ended so ----------------------------------------------------------------------------

struct Why {
    unsigned detail;
    std::string_view why;
};

Record<ts_state> abort_in(State from)
{
    return client().state(from, State::close).by(curl);
}

TEST(why_of, an_abort_is_in_the_order_of_close)
{
    constexpr Why of_close[] = {
        {TS_UNREAD, "unread_data"},
        {TS_UNREAD | TS_LINGER_0 | TS_ORPHAN, "unread_data"},
        {TS_LINGER_0, "linger"},
        {TS_LINGER_0 | TS_ORPHAN | TS_KEEPALIVE | TS_USER_TIMEOUT, "linger"},
    };
    for (const auto& [detail, why] : of_close)
        for (const State from : {State::established, State::close_wait, State::fin_wait1})
            for (const End end : {End::aborted, End::process_exit})
                EXPECT_EQ(why_of(abort_in(from).detail(detail).raw, end), why)
                    << detail << " in " << name_of(from) << ", " << name_of(end);
}

TEST(why_of, an_abort_that_no_close_explains_is_a_disconnect)
{
    for (const unsigned detail : {0, int{TS_KEEPALIVE}, int{TS_USER_TIMEOUT}}) {
        const auto r = abort_in(State::established).detail(detail);
        EXPECT_EQ(why_of(r.raw, End::aborted), "disconnect") << detail;
        EXPECT_EQ(why_of(r.raw, End::process_exit), "") << detail;
    }
}

TEST(why_of, nobody_disconnects_an_orphan)
{
    EXPECT_EQ(why_of(abort_in(State::fin_wait1).detail(TS_ORPHAN).raw, End::aborted), "memory");
    EXPECT_EQ(why_of(abort_in(State::close_wait).detail(TS_ORPHAN).raw, End::aborted), "");
}

// A plain close() before the handshake ends (tcp_close_state), or tcp_connect() itself failed.
TEST(why_of, a_connect_that_was_given_up_says_all)
{
    EXPECT_EQ(why_of(abort_in(State::syn_sent).raw, End::aborted), "");
    EXPECT_EQ(why_of(abort_in(State::syn_sent).detail(TS_LINGER_0).raw, End::aborted), "linger");
}

TEST(why_of, a_kill_is_one_whatever_the_socket_was_like)
{
    for (const unsigned detail : {0, int{TS_UNREAD}, TS_UNREAD | TS_LINGER_0, int{TS_ORPHAN}})
        for (const State from : every_state)
            for (const End end : {End::aborted, End::process_exit})
                EXPECT_EQ(why_of(abort_in(from).error(ECONNABORTED).detail(detail).raw, end),
                          "killed")
                    << detail << " in " << name_of(from) << ", " << name_of(end);
}

TEST(why_of, a_timeout_is_an_orphans_or_the_users_or_of_what_was_sent)
{
    constexpr Why outstanding[] = {
        {TS_ORPHAN, "orphan"},
        {TS_ORPHAN | TS_USER_TIMEOUT | TS_KEEPALIVE, "orphan"},
        {TS_USER_TIMEOUT, "user_timeout"},
        {TS_USER_TIMEOUT | TS_KEEPALIVE, "user_timeout"},
        {0, "retransmission"},
        {TS_KEEPALIVE, "retransmission"},
        {TS_UNREAD | TS_LINGER_0, "retransmission"},
    };
    const auto timeout = client().state(State::established, State::close).error(ETIMEDOUT);
    for (const auto& [detail, why] : outstanding) {
        auto r = timeout;
        EXPECT_EQ(why_of(r.detail(detail).raw, End::timeout), why) << detail;
        const bool sent = why == "retransmission"; // else nothing is outstanding
        const std::string_view idle = (detail & TS_KEEPALIVE) != 0 ? "keepalive" : "";
        EXPECT_EQ(why_of(r.flag(TS_ALL_ACKED).raw, End::timeout), sent ? idle : why) << detail;
    }
}

TEST(why_of, every_other_end_says_all)
{
    for (const End end : {End::fin, End::rst_sent, End::rst_received, End::refused,
                          End::unreachable, End::never_accepted})
        EXPECT_EQ(why_of(abort_in(State::established).detail(0xff).raw, end), "") << name_of(end);
    // An exit by FIN leaves nothing unread, whatever came afterwards.
    for (const State from : {State::fin_wait2, State::closing, State::last_ack})
        EXPECT_EQ(why_of(abort_in(from).detail(0xff & ~TS_LINGER2).raw, End::process_exit), "")
            << name_of(from);
    EXPECT_EQ(why_of(client().state(State::established, State::close).detail(0xff).raw,
                     End::process_exit),
              "");
}

TEST(never_left, by_port_and_by_what_was_sent)
{
    const auto closed = [] { return client().state(State::syn_sent, State::close); };
    EXPECT_TRUE(never_left(closed().port(0).head()));
    EXPECT_TRUE(never_left(closed().port(0).error(ECONNREFUSED).head()));
    EXPECT_TRUE(never_left(closed().flag(TS_ALL_ACKED).head()));
    EXPECT_FALSE(never_left(closed().flag(TS_ALL_ACKED).error(ECONNREFUSED).head()));
    EXPECT_FALSE(never_left(closed().head()));
}

// ---- payload bytes ------------------------------------------------------------------------------

Connection of(Role role, std::uint64_t established_ns)
{
    Connection c;
    c.role = role;
    c.established_ns = established_ns;
    return c;
}

std::uint64_t sent(Record<ts_state> r, const Connection& c)
{
    return tx_bytes(r.raw, c);
}

TEST(tx_bytes, a_clients_syn_is_not_payload)
{
    const auto r = client().state(State::established, State::close).counts(101, 0);
    EXPECT_EQ(sent(r, of(Role::client, 1)), 100U);
    EXPECT_EQ(sent(r, of(Role::server, 1)), 101U);
    EXPECT_EQ(sent(r, of(Role::unknown, 1)), 101U);
    EXPECT_EQ(sent(r, of(Role::unknown, 0)), 101U);
}

TEST(tx_bytes, an_acknowledged_fin_is_not_payload)
{
    for (const State from : every_state) {
        const bool fin = from == State::fin_wait1 || from == State::fin_wait2 ||
                         from == State::closing || from == State::last_ack;
        const auto r = server().state(from, State::close).counts(101, 0);
        EXPECT_EQ(sent(r, of(Role::server, 1)), 101U) << name_of(from);
        auto acked = r;
        EXPECT_EQ(sent(acked.flag(TS_ALL_ACKED), of(Role::server, 1)), fin ? 100U : 101U)
            << name_of(from);
        EXPECT_EQ(sent(acked, of(Role::client, 1)), fin ? 99U : 100U) << name_of(from);
    }
}

TEST(tx_bytes, are_never_less_than_nothing)
{
    auto r = client().state(State::fin_wait2, State::close).flag(TS_ALL_ACKED);
    EXPECT_EQ(sent(r, of(Role::client, 1)), 0U);
    EXPECT_EQ(sent(r.counts(1, 0), of(Role::client, 1)), 0U);
    EXPECT_EQ(sent(r.counts(2, 0), of(Role::client, 1)), 0U);
    EXPECT_EQ(sent(r.counts(3, 0), of(Role::client, 1)), 1U);
}

TEST(tx_bytes, of_a_refused_connect)
{
    EXPECT_EQ(sent(client().state(State::syn_sent, State::close), of(Role::client, 0)), 0U);
}

TEST(rx_bytes, a_received_fin_is_not_payload)
{
    auto r = client().state(State::last_ack, State::close).counts(0, 2001);
    EXPECT_EQ(rx_bytes(r.raw), 2001U);
    EXPECT_EQ(rx_bytes(r.flag(TS_FIN_SEEN).raw), 2000U);
    EXPECT_EQ(rx_bytes(r.counts(0, 0).raw), 0U);
}

// ---- who closed first ---------------------------------------------------------------------------

TEST(first_fin, by_every_change)
{
    for (int f = 0; f <= 12; f++)
        for (int t = 0; t <= 12; t++) {
            const auto from = static_cast<State>(f);
            const auto to = static_cast<State>(t);
            ClosedBy want = ClosedBy::unknown;
            if (to == State::fin_wait1 && (from == State::established || from == State::syn_recv))
                want = ClosedBy::local;
            else if (to == State::close_wait)
                want = ClosedBy::remote;
            else if (to == State::closing)
                want = ClosedBy::both;
            EXPECT_EQ(first_fin(from, to), want) << name_of(from) << ">" << name_of(to);
        }
}

} // namespace
} // namespace tcpsaga::testing
