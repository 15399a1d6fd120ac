// SPDX-License-Identifier: BSD-2-Clause
// Lives of connections and listeners, from their records to the events of events.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// ---- trampolines ------------------------------------------------------------------------

TEST(client_life, is_told_to_the_end_of_time_wait)
{
    Story story;
    client_life(story.correlator);
    EXPECT_THAT(story.news(),
                ElementsAre("connect", "CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED 250us",
                            "ESTABLISHED>FIN_WAIT1 3750us", "FIN_WAIT1>FIN_WAIT2 100us",
                            "FIN_WAIT2>TIME_WAIT 100us", "close fin tx=100 rx=2000",
                            "TIME_WAIT>CLOSE 60000000us", "time_wait expired 60000ms"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(client_life, close_sums_it_up)
{
    Story story;
    client_life(story.correlator);
    const Seen& seen = story.last("close");
    const auto& life = seen.as<event::Close>();
    EXPECT_EQ(seen.ts_ns, 5'200'000U);
    EXPECT_EQ(life.duration_us, 4200U);
    EXPECT_EQ(life.established_us, 3950U);
    EXPECT_EQ(life.handshake_us, 250U);
    EXPECT_EQ(life.accept_wait_us, std::nullopt);
    EXPECT_EQ(life.srtt_us, 240U);
    EXPECT_EQ(life.retransmits, 0U);
    EXPECT_EQ(seen.conn->role, Role::client);
    EXPECT_EQ(seen.conn->closed_by, ClosedBy::local);
    EXPECT_TRUE(seen.conn->seen_start);
}

TEST(client_life, every_event_is_of_the_same_connection)
{
    Story story;
    client_life(story.correlator);
    for (const Seen& s : story.events.seen) {
        EXPECT_EQ(s.conn->id, 1U) << s.text;
        EXPECT_EQ(s.conn->tuple, client().tuple()) << s.text;
        EXPECT_EQ(s.conn->family, 4) << s.text;
        EXPECT_EQ(s.conn->role, Role::client) << s.text;
    }
}

TEST(client_life, srtt_that_was_never_measured_is_absent)
{
    Story story;
    refused_life(story.correlator);
    EXPECT_EQ(story.last("close").as<event::Close>().srtt_us, std::nullopt);
}

TEST(server_life, is_told_from_birth_to_last_ack)
{
    Story story;
    server_life(story.correlator);
    EXPECT_THAT(story.news(),
                ElementsAre("LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED 1us",
                            "accept wait=40us handshake=200us queue=1/128",
                            "ESTABLISHED>CLOSE_WAIT 3849us", "CLOSE_WAIT>LAST_ACK 100us",
                            "LAST_ACK>CLOSE 100us", "close fin tx=2000 rx=100"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(server_life, close_sums_it_up)
{
    Story story;
    server_life(story.correlator);
    const Seen& seen = story.last("close");
    const auto& life = seen.as<event::Close>();
    EXPECT_EQ(life.duration_us, 4050U);
    EXPECT_EQ(life.established_us, 4049U);
    EXPECT_EQ(life.handshake_us, 200U);
    EXPECT_EQ(life.accept_wait_us, 40U);
    EXPECT_EQ(life.srtt_us, 190U);
    EXPECT_EQ(life.retransmits, 2U);
    EXPECT_EQ(seen.conn->role, Role::server);
    EXPECT_EQ(seen.conn->closed_by, ClosedBy::remote);
    EXPECT_TRUE(seen.conn->seen_start);
}

// ---- connects that fail ------------------------------------------------------------------

TEST(connect_error, refused)
{
    Story story;
    refused_life(story.correlator);
    EXPECT_THAT(story.news(), ElementsAre("connect", "CLOSE>SYN_SENT", "connect_error 111",
                                          "SYN_SENT>CLOSE 80us", "close refused tx=0 rx=0"));
    EXPECT_EQ(story.last().as<event::Close>().established_us, std::nullopt);
    EXPECT_EQ(story.last().as<event::Close>().handshake_us, std::nullopt);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(connect_error, refused_on_the_tracepoint)
{
    Story story(on_tracepoint());
    story.tell(1ms, syn_sent_without_port(client()))
        .tell(2ms, client().state(State::syn_sent, State::close).error(ECONNREFUSED));
    EXPECT_THAT(story.news(), ElementsAre("connect", "CLOSE>SYN_SENT", "connect_error 111",
                                          "SYN_SENT>CLOSE 1000us", "close refused tx=0 rx=0"));
}

TEST(connect_error, given_up_by_the_process_is_none)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::close).by(curl));
    EXPECT_THAT(story.news(), ElementsAre("connect", "CLOSE>SYN_SENT", "SYN_SENT>CLOSE 1000us",
                                          "close aborted tx=0 rx=0"));
}

TEST(connect_error, a_reset_after_the_handshake_is_none)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established));
    story.news();
    story.tell(3ms, client().state(State::established, State::close).error(ECONNRESET));
    EXPECT_THAT(story.news(),
                ElementsAre("ESTABLISHED>CLOSE 1000us", "close rst_received tx=0 rx=0"));
}

// The same when the record of the handshake's end was lost: the old state tells.
TEST(connect_error, a_reset_after_an_unseen_handshake_is_none)
{
    Story story;
    story.tell(1ms, client().connect().by(curl));
    story.news();
    story.tell(3ms, client().state(State::established, State::close).error(ECONNRESET));
    for (const std::string& line : story.news())
        EXPECT_THAT(line, ::testing::Not(::testing::StartsWith("connect_error")));
}

TEST(connect_error, that_never_got_a_port_is_all_there_is)
{
    Story story;
    story.tell(1ms, client().state(State::syn_sent, State::close).by(curl).port(0))
        .tell(1ms, client().connect_error(EADDRNOTAVAIL).by(curl).port(0));
    EXPECT_THAT(story.news(), ElementsAre("connect_error 99"));
    EXPECT_EQ(story.last().conn->role, Role::client);
    EXPECT_EQ(story.last().actor.pid, curl.pid);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
    EXPECT_EQ(story.correlator.summary().opens, 0U);
}

TEST(connect_error, that_never_got_a_port_on_the_tracepoint)
{
    Story story(on_tracepoint());
    story.tell(1ms, syn_sent_without_port(client()))
        .tell(2ms, client().state(State::syn_sent, State::close).by(curl).port(0));
    EXPECT_THAT(story.news(), ElementsAre("connect_error 0"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// The kernel lets a socket without port pass whatever the ports: they are looked at here.
TEST(connect_error, that_never_got_a_port_is_filtered_by_the_remote_one)
{
    Correlator::Config config;
    config.filter.ports = {443};
    for (const bool hooked : {true, false}) {
        config.connect_error_seen = hooked;
        Story story(config);
        story.tell(1ms, client().state(State::syn_sent, State::close).by(curl).port(0))
            .tell(1ms, client().connect_error(EADDRNOTAVAIL).by(curl).port(0));
        EXPECT_THAT(story.news(), IsEmpty());
        EXPECT_EQ(story.correlator.summary().alive, 0U);
        EXPECT_EQ(story.correlator.summary().connect_errors, 0U);
    }
}

TEST(connect_error, that_never_got_a_port_to_the_wanted_one_is_told)
{
    Correlator::Config config;
    config.filter.rports = {80};
    Story story(config);
    story.tell(1ms, client().state(State::syn_sent, State::close).by(curl).port(0))
        .tell(1ms, client().connect_error(EADDRNOTAVAIL).by(curl).port(0));
    EXPECT_THAT(story.news(), ElementsAre("connect_error 99"));
}

// It was bound before: the state tells its port, and that all it sent, nothing, was acknowledged.
TEST(connect_error, of_a_bound_socket_is_told_once)
{
    const auto state = client().state(State::syn_sent, State::close).by(curl).flag(TS_ALL_ACKED);
    Story story;
    story.tell(1ms, state).tell(1ms, client().connect_error(ENETUNREACH).by(curl));
    EXPECT_THAT(story.news(), ElementsAre("connect_error 101"));
    EXPECT_EQ(story.last().conn->tuple, client().tuple());
    EXPECT_EQ(story.correlator.summary().closes, 0U);
    Story without_hook(on_tracepoint());
    without_hook.tell(1ms, state);
    EXPECT_THAT(without_hook.news(), ElementsAre("connect_error 0"));
}

// tcp_connect() itself finds no route any more: its SYN was told and never left.
TEST(connect_error, of_a_connect_that_was_told_ends_its_life)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::close).by(curl).flag(TS_ALL_ACKED))
        .tell(2ms, client().connect_error(EHOSTUNREACH).by(curl));
    EXPECT_THAT(story.news(), ElementsAre("connect", "CLOSE>SYN_SENT", "SYN_SENT>CLOSE 1000us",
                                          "close aborted tx=0 rx=0", "connect_error 113"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// connect(AF_UNSPEC) and connect() once more, in vain.
TEST(connect_error, leaves_the_time_wait_under_the_same_cookie)
{
    for (const auto& config : {Correlator::Config{}, on_tracepoint()}) {
        Story story(config);
        story.correlator.consume(client().time_wait_in(State::fin_wait2, State::time_wait).bytes());
        story.tell(1ms, client().state(State::syn_sent, State::close).by(curl).port(0));
        EXPECT_EQ(story.correlator.summary().alive, 1U);
    }
}

TEST(connect_error, of_a_socket_without_cookie_has_an_id_of_our_own)
{
    Story story;
    story.tell(1ms, client().id(address_a).connect_error(EADDRNOTAVAIL).by(curl).port(0));
    EXPECT_EQ(story.last().conn->id, std::uint64_t{1} << 52);
}

TEST(connect_error, is_of_the_wanted_process)
{
    Correlator::Config config;
    config.filter.pids = {curl.pid};
    Story story(config);
    story.tell(1ms, client().connect_error(EADDRNOTAVAIL).by(nginx).port(0));
    EXPECT_THAT(story.news(), IsEmpty());
    story.tell(1ms, client().connect_error(EADDRNOTAVAIL).by(curl).port(0));
    EXPECT_THAT(story.news(), ElementsAre("connect_error 99"));
}

TEST(connect_error, is_counted_at_once_or_later)
{
    Story story;
    refused_life(story.correlator);
    story.tell(2ms, client().connect_error(EADDRNOTAVAIL).by(curl).port(0));
    EXPECT_EQ(story.correlator.summary().connect_errors, 2U);
    Story without_hook(on_tracepoint());
    without_hook.tell(1ms, client().state(State::syn_sent, State::close).by(curl).port(0));
    EXPECT_EQ(without_hook.correlator.summary().connect_errors, 1U);
}

TEST(filtered_connect, is_forgotten_when_its_port_is_known)
{
    Correlator::Config config = on_tracepoint();
    config.filter.lports = {50000};
    Story story(config);
    story.tell(1ms, syn_sent_without_port(client()))
        .tell(2ms, client().state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().alive, 0U);
    EXPECT_EQ(story.correlator.summary().opens, 0U);
}

TEST(filtered_connect, is_told_when_the_port_is_wanted)
{
    Correlator::Config config = on_tracepoint();
    config.filter.lports = {40000};
    Story story(config);
    story.tell(1ms, syn_sent_without_port(client()))
        .tell(2ms, client().state(State::syn_sent, State::established));
    EXPECT_EQ(story.news().size(), 3U);
}

TEST(filtered_connect, of_a_stranger_is_not_told)
{
    Correlator::Config config;
    config.filter.lports = {50000};
    Story story(config);
    story.tell(2ms, client().state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// ---- processes that exit -------------------------------------------------------------------

TEST(process_exit, closes_what_it_left_open)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established))
        .tell(3ms, client().state(State::established, State::fin_wait1).by(curl).flag(TS_EXITING))
        .tell(4ms, client().state(State::fin_wait1, State::fin_wait2))
        .tell(5ms, client().state(State::fin_wait2, State::close).flag(TS_FIN_SEEN));
    EXPECT_EQ(story.last().text, "close process_exit tx=0 rx=0");
    EXPECT_EQ(story.last().conn->closed_by, ClosedBy::local);
}

TEST(process_exit, with_unread_data)
{
    Story story;
    story.tell(1ms, client()
                        .state(State::established, State::close)
                        .by(curl)
                        .flag(TS_EXITING)
                        .detail(TS_UNREAD)
                        .counts(1, 8));
    EXPECT_EQ(story.last().text, "close process_exit unread_data tx=1 rx=8");
}

TEST(process_exit, after_the_peers_fin_is_a_fin)
{
    Story story;
    story.tell(1ms, server().state(State::established, State::close_wait).flag(TS_FIN_SEEN))
        .tell(2ms, server().state(State::close_wait, State::last_ack).by(nginx).flag(TS_EXITING))
        .tell(3ms, server().state(State::last_ack, State::close).flag(TS_FIN_SEEN));
    EXPECT_EQ(story.last().text, "close fin tx=0 rx=0");
}

TEST(process_exit, that_the_peer_resets_is_a_reset)
{
    Story story;
    story.tell(1ms, client().state(State::established, State::fin_wait1).by(curl).flag(TS_EXITING))
        .tell(2ms, client().state(State::fin_wait1, State::close).error(ECONNRESET));
    EXPECT_EQ(story.last().text, "close rst_received tx=0 rx=0");
}

// ---- aborts and time-outs -------------------------------------------------------------------

TEST(close_why, tells_aborts_and_timeouts_apart)
{
    const auto closed = [](const Record<ts_state>& r) {
        Story story;
        story.tell(1ms, r);
        return story.last().text;
    };
    const auto gone = client().state(State::established, State::close);
    EXPECT_EQ(closed(Record(gone).by(curl).detail(TS_UNREAD)),
              "close aborted unread_data tx=0 rx=0");
    EXPECT_EQ(closed(Record(gone).by(curl).detail(TS_LINGER_0)), "close aborted linger tx=0 rx=0");
    EXPECT_EQ(closed(Record(gone).by(curl)), "close aborted disconnect tx=0 rx=0");
    EXPECT_EQ(closed(Record(gone).by({7, "ss"}).error(ECONNABORTED)),
              "close aborted killed tx=0 rx=0");
    EXPECT_EQ(closed(Record(gone).error(ETIMEDOUT)), "close timeout retransmission tx=0 rx=0");
    EXPECT_EQ(closed(Record(gone).error(ETIMEDOUT).detail(TS_KEEPALIVE).flag(TS_ALL_ACKED)),
              "close timeout keepalive tx=0 rx=0");
}

TEST(close_why, who_kills_a_connection_does_not_own_it)
{
    Story story;
    story.tell(1ms,
               client().state(State::established, State::close).by({7, "ss"}).error(ECONNABORTED));
    EXPECT_EQ(story.last("close").actor.name(), "ss");
    EXPECT_FALSE(story.last("close").conn->owner.known());
}

// Its process was gone, and ss -K ended what the kernel went on with.
TEST(process_exit, that_was_killed_later)
{
    Story story;
    story.tell(1ms, client().state(State::established, State::fin_wait1).by(curl).flag(TS_EXITING))
        .tell(2ms, client()
                       .state(State::fin_wait1, State::close)
                       .by({7, "ss"})
                       .error(ECONNABORTED)
                       .detail(TS_ORPHAN));
    EXPECT_EQ(story.last().text, "close process_exit killed tx=0 rx=0");
    EXPECT_EQ(story.last().actor.name(), "ss");
    EXPECT_EQ(story.last().conn->owner.pid, curl.pid);
}

// ---- accept --------------------------------------------------------------------------------

// Another CPU may run accept() between the queueing and ESTABLISHED.
TEST(accept, before_established_did_not_wait)
{
    Story story;
    story.tell(1ms, server().birth().synack(900us))
        .tell(2ms, server().accept(State::syn_recv).queue(3, 1, 128).by(nginx))
        .tell(3ms, server().state(State::syn_recv, State::established));
    EXPECT_THAT(story.news(),
                ElementsAre("LISTEN>SYN_RECV", "accept wait=0us handshake=100us queue=1/128",
                            "SYN_RECV>ESTABLISHED 2000us"));
}

TEST(accept, of_a_child_that_was_reset_in_the_queue)
{
    Story story;
    story.tell(1ms, server().birth())
        .tell(2ms, server().state(State::syn_recv, State::established))
        .tell(3ms, server().state(State::established, State::close).error(ECONNRESET));
    story.news();
    story.tell(4ms, server().accept(State::close).queue(3, 1, 128).by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("accept queue=1/128"));
    EXPECT_EQ(story.last().conn->id, 2U);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
    EXPECT_EQ(story.correlator.summary().accepts, 1U);
    EXPECT_EQ(story.correlator.summary().closes, 1U);
}

TEST(accept, by_an_unknown_listener_tells_no_queue)
{
    Story story;
    story.tell(1ms, server().birth())
        .tell(2ms, server().state(State::syn_recv, State::established))
        .tell(3ms, server().accept().queue(0, 7, 9).by(nginx));
    EXPECT_EQ(story.last().text, "accept wait=1000us");
}

TEST(accept, of_a_connection_from_before_us_tells_no_wait)
{
    Story story;
    story.tell(3ms, server().accept().queue(3, 1, 128).by(nginx));
    EXPECT_THAT(story.news(), ElementsAre("accept queue=1/128"));
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().conn->role, Role::server);
}

// A stuck server may let connections wait for hours: more microseconds than 32 bits hold.
TEST(accept, a_wait_of_two_hours_is_the_same_in_its_life)
{
    Story story;
    story.tell(1s, server().birth())
        .tell(1s, server().state(State::syn_recv, State::established))
        .tell(7201s, server().accept().queue(3, 1, 128).by(nginx))
        .tell(7202s, server().state(State::established, State::close).by(nginx));
    EXPECT_EQ(story.last("accept").as<event::Accept>().accept_wait_us, 7'200'000'000U);
    EXPECT_EQ(story.last("close").as<event::Close>().accept_wait_us, 7'200'000'000U);
}

// After a migration between two hooks both tell an accept (bpf/state.bpf.h).
TEST(accept, that_is_told_twice_happened_once)
{
    Story story;
    story.tell(1ms, server().birth())
        .tell(2ms, server().state(State::syn_recv, State::established))
        .tell(3ms, server().accept().queue(3, 1, 128).by(nginx));
    story.news();
    story.tell(3ms, server().accept().by(nginx));
    EXPECT_THAT(story.news(), IsEmpty());
    EXPECT_EQ(story.correlator.summary().accepts, 1U);
}

/// Its listener goes, and with it what waited.
void close_in_the_queue(Story& story)
{
    story.tell(1ms, server().birth().queue(3, 0, 128))
        .tell(2ms, server().state(State::syn_recv, State::established))
        .tell(3ms, server().state(State::established, State::close));
}

TEST(accept, that_never_came)
{
    Story story;
    close_in_the_queue(story);
    EXPECT_EQ(story.last().text, "close never_accepted tx=0 rx=0");
}

TEST(accept, that_no_hook_tells_is_not_missed)
{
    Correlator::Config config;
    config.accept_seen = false;
    Story story(config);
    close_in_the_queue(story);
    EXPECT_EQ(story.last().text, "close rst_sent tx=0 rx=0");
}

// ---- resets --------------------------------------------------------------------------------

TEST(reset, is_told_with_the_kernels_reason)
{
    Correlator::Config config;
    config.reset_reasons = {"NOT_SPECIFIED", "", "TCP_TIMEOUT"};
    Story story(config);
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established));
    story.news();
    story.tell(3ms, client().reset(State::established, true, 2))
        .tell(3ms, client().reset(State::established, true, 0))
        .tell(3ms, client().reset(State::established, false, 1))
        .tell(3ms, client().reset(State::established, true, 3))
        .tell(3ms, client().reset(State::established, false))
        .tell(3ms, client()
                       .state(State::established, State::close)
                       .error(ETIMEDOUT)
                       .flag(TS_ALL_ACKED)
                       .detail(TS_KEEPALIVE));
    EXPECT_THAT(story.news(),
                ElementsAre("reset sent TCP_TIMEOUT", "reset sent NOT_SPECIFIED", "reset received",
                            "reset sent", "reset received", "ESTABLISHED>CLOSE 1000us",
                            "close timeout keepalive tx=0 rx=0"));
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

// close() with unread data: the state changes before the RST leaves.
TEST(reset, after_the_close_is_of_the_same_connection)
{
    Story story;
    story.tell(1ms, client().connect().by(curl))
        .tell(2ms, client().state(State::syn_sent, State::established))
        .tell(3ms, client().state(State::established, State::close).by(curl));
    story.news();
    story.tell(3ms, client().reset(State::close, true).by(curl));
    EXPECT_THAT(story.news(), ElementsAre("reset sent"));
    EXPECT_EQ(story.last().conn->id, 1U);
    EXPECT_EQ(story.last().actor.pid, curl.pid);
    EXPECT_EQ(story.correlator.summary().alive, 0U);
}

TEST(reset, of_a_connection_that_goes_on)
{
    Story story;
    story.tell(1ms, client().reset(State::established, false))
        .tell(2ms, client().state(State::established, State::close).error(ECONNRESET));
    EXPECT_THAT(story.news(),
                ElementsAre("reset received", "ESTABLISHED>CLOSE", "close rst_received tx=0 rx=0"));
    EXPECT_FALSE(story.last().conn->seen_start);
}

// A refused connect on the tracepoint: the RST is the first that has the port.
TEST(reset, tells_the_start_that_was_held_back)
{
    Story story(on_tracepoint());
    story.tell(1ms, syn_sent_without_port(client()))
        .tell(2ms, client().reset(State::syn_sent, false))
        .tell(2ms, client().state(State::syn_sent, State::close).error(ECONNREFUSED));
    EXPECT_THAT(story.news(),
                ElementsAre("connect", "CLOSE>SYN_SENT", "reset received", "connect_error 111",
                            "SYN_SENT>CLOSE 1000us", "close refused tx=0 rx=0"));
    for (const Seen& s : story.events.seen)
        EXPECT_EQ(s.conn->tuple.local.port, 40000) << s.text;
}

// ---- connections from before us --------------------------------------------------------------

TEST(late_start, is_said_and_nothing_is_made_up)
{
    Story story;
    story.tell(1s, client().state(State::established, State::close_wait))
        .tell(2s, client().state(State::close_wait, State::last_ack).by(curl))
        .tell(3s, client().state(State::last_ack, State::close));
    EXPECT_THAT(story.news(), ElementsAre("ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>LAST_ACK 1000000us",
                                          "LAST_ACK>CLOSE 1000000us", "close fin tx=0 rx=0"));
    const auto& life = story.last().as<event::Close>();
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().conn->role, Role::unknown);
    EXPECT_EQ(life.duration_us, std::nullopt);
    EXPECT_EQ(life.established_us, std::nullopt);
    EXPECT_EQ(life.handshake_us, std::nullopt);
    EXPECT_EQ(story.last().conn->closed_by, ClosedBy::remote);
}

TEST(late_start, the_syn_left_before_us_so_it_is_a_client)
{
    Story story;
    story.tell(1s, client().state(State::syn_sent, State::established));
    EXPECT_THAT(story.news(), ElementsAre("SYN_SENT>ESTABLISHED"));
    EXPECT_EQ(story.last().conn->role, Role::client);
    EXPECT_FALSE(story.last().conn->seen_start);
    EXPECT_EQ(story.last().conn->handshake_us, std::nullopt);
}

TEST(late_start, a_refused_connect_is_an_error_too)
{
    Story story;
    story.tell(1s, client().state(State::syn_sent, State::close).error(ECONNREFUSED));
    EXPECT_THAT(story.news(),
                ElementsAre("connect_error 111", "SYN_SENT>CLOSE", "close refused tx=0 rx=0"));
}

} // namespace
} // namespace tcpsaga::testing
