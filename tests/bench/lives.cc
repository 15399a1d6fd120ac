// SPDX-License-Identifier: BSD-2-Clause
#include "lives.h"

#include "../unit/records.h"

namespace tcpsaga::bench {
namespace {

using testing::Task;

constexpr Task curl{101, "curl"};
constexpr Task nginx{202, "nginx", 33};
constexpr std::uint64_t listener_id = 3;
constexpr unsigned client_steps = 7;
constexpr unsigned server_steps = 6;

template <class R>
void append(Stream& to, std::uint64_t ts_ns, std::uint64_t cookie, testing::Record<R> r)
{
    ts_head& h = r.head();
    h.ts_ns = ts_ns;
    h.id = cookie;
    // 10.x.y.z and a port, both made from the cookie: the same again after 2^38 connections
    const bool client = cookie % 2 == 0;
    const std::uint64_t n = cookie / 2;
    std::uint8_t* addr = client ? h.laddr : h.raddr;
    addr[13] = static_cast<std::uint8_t>(n >> 30);
    addr[14] = static_cast<std::uint8_t>(n >> 22);
    addr[15] = static_cast<std::uint8_t>(n >> 14);
    (client ? h.lport : h.rport) = static_cast<std::uint16_t>(32768 + (n & 0x3fff));
    const auto bytes = r.bytes();
    const auto at = static_cast<std::uint32_t>(to.words.size() * 8);
    to.words.resize(to.words.size() + (bytes.size() + 7) / 8);
    std::memcpy(reinterpret_cast<std::byte*>(to.words.data()) + at, bytes.data(), bytes.size());
    to.places.push_back({at, static_cast<std::uint32_t>(bytes.size())});
}

void client_step(Stream& to, std::uint64_t ts_ns, std::uint64_t cookie, unsigned step)
{
    static const testing::Socket s = testing::client();
    const auto put = [&](const auto& r) { append(to, ts_ns, cookie, r); };
    switch (step) {
    case 0:
        return put(s.connect().by(curl));
    case 1:
        return put(s.state(State::syn_sent, State::established).srtt(250).counts(1, 0));
    case 2:
        return put(s.state(State::established, State::fin_wait1).by(curl).counts(101, 2000));
    case 3:
        return put(s.state(State::fin_wait1, State::fin_wait2).counts(102, 2000));
    case 4:
        return put(s.time_wait_in(State::fin_wait2, State::time_wait));
    case 5:
        return put(s.state(State::fin_wait2, State::close)
                       .counts(102, 2001)
                       .srtt(240)
                       .flag(TS_FIN_SEEN)
                       .flag(TS_ALL_ACKED));
    default:
        return put(s.time_wait_out());
    }
}

void server_step(Stream& to, std::uint64_t ts_ns, std::uint64_t cookie, unsigned step)
{
    static const testing::Socket s = testing::server();
    const auto put = [&](const auto& r) { append(to, ts_ns, cookie, r); };
    switch (step) {
    case 0:
        return put(s.birth().queue(listener_id, 0, 128).synack(testing::Nanos(ts_ns - 50'000)));
    case 1:
        return put(s.state(State::syn_recv, State::established).srtt(200));
    case 2:
        return put(s.accept().queue(listener_id, 1, 128).by(nginx));
    case 3:
        return put(s.state(State::established, State::close_wait).counts(2000, 101));
    case 4:
        return put(s.state(State::close_wait, State::last_ack).by(nginx).counts(2000, 101));
    default:
        return put(s.state(State::last_ack, State::close)
                       .counts(2001, 101)
                       .srtt(190)
                       .flag(TS_FIN_SEEN)
                       .flag(TS_ALL_ACKED));
    }
}

} // namespace

Lives::Lives(std::size_t live) : sockets_(live)
{
    for (Socket& s : sockets_)
        s.cookie = next_cookie_++;
}

void Lives::act(Stream& to, std::size_t which)
{
    Socket& s = sockets_[which];
    const bool client = s.cookie % 2 == 0;
    now_ns_ += 1000;
    (client ? client_step : server_step)(to, now_ns_, s.cookie, s.step);
    if (++s.step == (client ? client_steps : server_steps)) {
        s = {next_cookie_, 0};
        next_cookie_++;
    }
}

Stream Lives::opening()
{
    Stream to;
    testing::Record<ts_listen> listening = testing::listener().listen(128);
    const auto bytes = listening.by(nginx).bytes();
    to.words.resize(bytes.size() / 8);
    std::memcpy(to.words.data(), bytes.data(), bytes.size());
    to.places.push_back({0, static_cast<std::uint32_t>(bytes.size())});
    for (std::size_t i = 0; i < sockets_.size(); i++)
        for (int step = 0; step < 2; step++)
            act(to, i);
    return to;
}

Stream Lives::next(std::size_t records)
{
    Stream to;
    to.words.reserve(records * 14);
    to.places.reserve(records);
    for (std::size_t i = 0; i < records; i++) {
        random_ ^= random_ << 13;
        random_ ^= random_ >> 7;
        random_ ^= random_ << 17;
        act(to, random_ % sockets_.size());
    }
    return to;
}

Correlator::Config all_hooks()
{
    Correlator::Config c;
    c.capacity = std::size_t{4} << 20;
    return c;
}

} // namespace tcpsaga::bench
