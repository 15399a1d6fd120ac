// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/record.h"

#include <gtest/gtest.h>

#include <map>

#include "lives.h"

namespace tcpsaga::testing {
namespace {

/// The largest record, of any kind.
struct Bytes {
    alignas(8) std::array<std::byte, 128> raw{};

    Bytes()
    {
        head().kind = TS_STATE;
        head().family = 4;
        head().old_state = 1;
        head().new_state = 4;
    }
    ts_head& head() { return *reinterpret_cast<ts_head*>(raw.data()); }
    [[nodiscard]] const ts_head* decoded(std::size_t size) const
    {
        return decode(std::span(raw).first(size));
    }
};

const std::map<int, std::size_t> sizes{
    {TS_STATE, 112},         {TS_CONNECT, 88},        {TS_BIRTH, 112},
    {TS_LISTEN, 112},        {TS_ACCEPT, 104},        {TS_TIME_WAIT_IN, 88},
    {TS_TIME_WAIT_TURN, 88}, {TS_TIME_WAIT_OUT, 88},  {TS_RESET, 96},
    {TS_OVERFLOW, 112},      {TS_ACCEPT_ERROR, 120},  {TS_TIME_WAIT_FULL, 88},
    {TS_RETRANSMIT, 104},    {TS_CONNECT_ERROR, 88},  {TS_BIND_ERROR, 88},
    {TS_LISTEN_ERROR, 88},   {TS_SYNACK_TIMEOUT, 88}, {TS_DROP, 112},
};

TEST(decode, every_kind_of_its_size_or_longer)
{
    EXPECT_EQ(sizes.size(), std::size_t{TS_KINDS} - 1);
    for (const auto& [kind, size] : sizes) {
        Bytes b;
        b.head().kind = static_cast<__u8>(kind);
        EXPECT_EQ(b.decoded(size), &b.head()) << kind;
        EXPECT_EQ(b.decoded(128), &b.head()) << kind;
        EXPECT_EQ(b.decoded(size - 1), nullptr) << kind;
    }
}

TEST(decode, nothing_and_less_than_a_head)
{
    const Bytes b;
    EXPECT_EQ(decode({}), nullptr);
    EXPECT_EQ(b.decoded(1), nullptr);
    EXPECT_EQ(b.decoded(sizeof(ts_head) - 1), nullptr);
}

TEST(decode, refuses_an_unknown_kind)
{
    for (const int kind : {0, int{TS_KINDS}, 100, 255}) {
        Bytes b;
        b.head().kind = static_cast<__u8>(kind);
        EXPECT_EQ(b.decoded(128), nullptr) << kind;
    }
}

TEST(decode, refuses_an_unknown_family)
{
    for (int family = 0; family < 256; family++) {
        Bytes b;
        b.head().family = static_cast<__u8>(family);
        EXPECT_EQ(b.decoded(128) != nullptr, family == 4 || family == 6) << family;
    }
}

TEST(decode, refuses_unknown_states)
{
    for (int state = 0; state < 256; state++) {
        Bytes from;
        from.head().old_state = static_cast<__u8>(state);
        EXPECT_EQ(from.decoded(128) != nullptr, state <= 12) << state;
        Bytes to;
        to.head().new_state = static_cast<__u8>(state);
        EXPECT_EQ(to.decoded(128) != nullptr, state <= 12) << state;
    }
}

TEST(record, carries_what_its_kind_does)
{
    auto state =
        client().state(State::established, State::close).counts(5, 6).srtt(7).retransmits(8);
    const ts_head* h = decode(state.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(as<ts_state>(*h).bytes_acked, 5U);
    EXPECT_EQ(as<ts_state>(*h).bytes_received, 6U);
    EXPECT_EQ(as<ts_state>(*h).srtt_us, 7U);
    EXPECT_EQ(as<ts_state>(*h).total_retrans, 8U);
    auto birth = server().birth().queue(3, 4, 5).synack(6ns);
    h = decode(birth.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(as<ts_birth>(*h).synack_ns, 6U);
    EXPECT_EQ(as<ts_queue>(*h).listener, 3U);
    EXPECT_EQ(as<ts_queue>(*h).acceptq, 4U);
    EXPECT_EQ(as<ts_queue>(*h).acceptq_max, 5U);
    auto drop = client().drop(5, 7, 0xffffffff81000010);
    h = decode(drop.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(as<ts_drop>(*h).reason, 5U);
    EXPECT_EQ(as<ts_drop>(*h).total, 7U);
    EXPECT_EQ(as<ts_drop>(*h).location, 0xffffffff81000010U);
    auto reset = client().reset(State::established, true, 9);
    h = decode(reset.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(as<ts_reset>(*h).reason, 9U);
    EXPECT_EQ(as<ts_reset>(*h).sent, 1U);
    auto listen = listener().listen(10).asked(11);
    h = decode(listen.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(as<ts_listen>(*h).queue.acceptq_max, 10U);
    EXPECT_EQ(as<ts_listen>(*h).asked, 11U);
    EXPECT_EQ(as<ts_listen>(*h).has_asked, 1U);
    auto retransmit = client().retransmit(TS_RE_FIN, 12);
    h = decode(retransmit.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(as<ts_retransmit>(*h).what, std::uint32_t{TS_RE_FIN});
    EXPECT_EQ(as<ts_retransmit>(*h).nth, 12U);
    EXPECT_EQ(as<ts_retransmit>(*h).segments, 1U);
    auto closed = client().state(State::established, State::close).detail(TS_USER_TIMEOUT);
    h = decode(closed.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(h->detail, TS_USER_TIMEOUT);
    auto in_vain = listener().synack_timeout(5);
    h = decode(in_vain.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(h->detail, 5);
    auto out = client().time_wait_out().detail(TS_TW_PURGED);
    h = decode(out.bytes());
    ASSERT_NE(h, nullptr);
    EXPECT_EQ(h->detail, TS_TW_PURGED);
}

TEST(record, has_a_tuple)
{
    const Socket s = Socket().local("10.1.2.3", 4000).remote("2001:db8::9", 443).netns(77);
    const Tuple t = tuple_of(s.connect().head());
    EXPECT_EQ(to_string(t.local.addr), "10.1.2.3");
    EXPECT_EQ(t.local.port, 4000);
    EXPECT_EQ(to_string(t.remote.addr), "2001:db8::9");
    EXPECT_EQ(t.remote.port, 443);
    EXPECT_EQ(t.netns, 77U);
}

TEST(record, has_a_task_only_when_it_acted)
{
    auto r = client().connect().by(nginx);
    const Process p = task_of(r.head());
    EXPECT_TRUE(p.known());
    EXPECT_EQ(p.pid, 202U);
    EXPECT_EQ(p.uid, 33U);
    EXPECT_EQ(p.name(), "nginx");
    EXPECT_EQ(p.from, PidFrom::task);
    r.head().flags = TS_FIN_SEEN | TS_ALL_ACKED;
    EXPECT_FALSE(task_of(r.head()).known());
    EXPECT_EQ(task_of(r.head()).pid, 0U);
    EXPECT_EQ(task_of(r.head()).name(), "");
}

} // namespace
} // namespace tcpsaga::testing
