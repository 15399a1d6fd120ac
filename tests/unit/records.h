// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * What the tests tell a story with. A Socket makes records about itself as the kernel side
 * would, a Story passes them to a correlator and keeps the events that come out.
 */
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tcpsaga/correlator.h"

namespace tcpsaga::testing {

using namespace std::chrono_literals;
using Nanos = std::chrono::nanoseconds;

/// Host's first netns, as in /proc/1/ns/net.
constexpr std::uint32_t init_netns = 4026531840;
/// A kernel address on x86_64, as ts_head::id of a socket that has no cookie.
constexpr std::uint64_t address_a = 0xffff888012340000;
constexpr std::uint64_t address_b = 0xffff888012350000;

/// Of the kernel's code.
constexpr std::uint64_t place_a = 0xffffffff81a2b3c0;
constexpr std::uint64_t place_b = 0xffffffff81a2b4d0;

inline Address ip(std::string_view text)
{
    return parse_cidr(text)->addr;
}

struct Task {
    std::uint32_t pid;
    std::string_view comm;
    std::uint32_t uid = 1000;
};

/// A record under construction. R is one of the structs of abi.h.
template <class R>
class Record {
public:
    [[nodiscard]] ts_head& head()
    {
        if constexpr (requires(R r) { r.queue; })
            return raw.queue.head;
        else if constexpr (requires(R r) { r.head; })
            return raw.head;
        else
            return raw;
    }
    Record& at(Nanos t)
    {
        head().ts_ns = static_cast<__u64>(t.count());
        return *this;
    }
    Record& by(const Task& task)
    {
        head().flags |= TS_BY_TASK;
        head().pid = task.pid;
        head().uid = task.uid;
        std::memset(head().comm, 0, TCPSAGA_COMM_LEN);
        task.comm.copy(head().comm, TCPSAGA_COMM_LEN);
        return *this;
    }
    Record& flag(ts_flag f)
    {
        head().flags |= static_cast<__u8>(f);
        return *this;
    }
    /// A ts_tw_end, bits of ts_close_detail, or a number of retransmits.
    Record& detail(unsigned what)
    {
        head().detail = static_cast<__u8>(what);
        return *this;
    }
    Record& asked(std::uint32_t backlog)
    {
        raw.asked = backlog;
        raw.has_asked = 1;
        return *this;
    }
    Record& error(int err)
    {
        head().error = static_cast<__u16>(err);
        return *this;
    }
    Record& port(std::uint16_t local)
    {
        head().lport = local;
        return *this;
    }
    /// The raw counters: those of struct tcp_sock, SYN and FIN included.
    Record& counts(std::uint64_t acked, std::uint64_t received)
    {
        raw.bytes_acked = acked;
        raw.bytes_received = received;
        return *this;
    }
    Record& srtt(std::uint32_t us)
    {
        raw.srtt_us = us;
        return *this;
    }
    Record& retransmits(std::uint32_t n)
    {
        raw.total_retrans = n;
        return *this;
    }
    Record& queue(std::uint64_t listener, std::uint32_t waiting, std::uint32_t most)
    {
        ts_queue& q = queue_part();
        q.listener = listener;
        q.acceptq = waiting;
        q.acceptq_max = most;
        return *this;
    }
    Record& synack(Nanos t)
    {
        raw.synack_ns = static_cast<__u64>(t.count());
        return *this;
    }
    [[nodiscard]] std::span<const std::byte> bytes() const
    {
        return std::as_bytes(std::span(&raw, 1));
    }

    R raw{};

private:
    ts_queue& queue_part()
    {
        if constexpr (requires(R r) { r.queue; })
            return raw.queue;
        else
            return raw;
    }
};

/// One end of a connection, or a listener.
class Socket {
public:
    Socket& id(std::uint64_t cookie_or_address)
    {
        id_ = cookie_or_address;
        return *this;
    }
    Socket& netns(std::uint32_t inode)
    {
        netns_ = inode;
        return *this;
    }
    Socket& local(std::string_view addr, std::uint16_t port)
    {
        local_ = {ip(addr), port};
        return *this;
    }
    Socket& remote(std::string_view addr, std::uint16_t port)
    {
        remote_ = {ip(addr), port};
        return *this;
    }

    [[nodiscard]] Tuple tuple() const { return {local_, remote_, netns_}; }
    [[nodiscard]] int family() const { return remote_.addr.is_v4() ? 4 : 6; }

    [[nodiscard]] Record<ts_state> state(State from, State to) const
    {
        return make<ts_state>(TS_STATE, from, to);
    }
    [[nodiscard]] Record<ts_head> connect() const
    {
        return make<ts_head>(TS_CONNECT, State::close, State::syn_sent);
    }
    [[nodiscard]] Record<ts_birth> birth() const
    {
        return make<ts_birth>(TS_BIRTH, State::listen, State::syn_recv);
    }
    [[nodiscard]] Record<ts_listen> listen(std::uint32_t backlog, State from = State::close) const
    {
        return make<ts_listen>(TS_LISTEN, from, State::listen).queue(id_, 0, backlog);
    }
    [[nodiscard]] Record<ts_head> connect_error(int err) const
    {
        return make<ts_head>(TS_CONNECT_ERROR, State::close, State::close).error(err);
    }
    [[nodiscard]] Record<ts_head> bind_error(int err) const
    {
        return make<ts_head>(TS_BIND_ERROR, State::close, State::close).error(err);
    }
    [[nodiscard]] Record<ts_head> listen_error(int err) const
    {
        return make<ts_head>(TS_LISTEN_ERROR, State::close, State::close).error(err);
    }
    /// This socket is the listener as the packets saw it.
    [[nodiscard]] Record<ts_head> synack_timeout(unsigned retransmits) const
    {
        return make<ts_head>(TS_SYNACK_TIMEOUT, State::listen, State::listen).detail(retransmits);
    }
    [[nodiscard]] Record<ts_retransmit> retransmit(ts_retransmitted what, std::uint32_t nth,
                                                   State now = State::established) const
    {
        auto r = make<ts_retransmit>(TS_RETRANSMIT, now, now);
        r.raw.what = what;
        r.raw.nth = nth;
        r.raw.segments = 1;
        return r;
    }
    [[nodiscard]] Record<ts_head> time_wait_full(State substate = State::time_wait) const
    {
        return make<ts_head>(TS_TIME_WAIT_FULL, substate, substate);
    }
    [[nodiscard]] Record<ts_queue> accept(State now = State::established) const
    {
        return make<ts_queue>(TS_ACCEPT, State::none, now);
    }
    [[nodiscard]] Record<ts_reset> reset(State now, bool sent,
                                         std::uint32_t why = TS_NO_REASON) const
    {
        auto r = make<ts_reset>(TS_RESET, now, now);
        r.raw.sent = sent ? 1 : 0;
        r.raw.reason = why;
        return r;
    }
    /// This socket is the listener as the packet saw it: local and remote are the packet's.
    [[nodiscard]] Record<ts_overflow> overflow(std::uint32_t kind, std::uint64_t total) const
    {
        auto r = make<ts_overflow>(TS_OVERFLOW, State::listen, State::listen);
        r.raw.kind = kind;
        r.raw.total = total;
        r.raw.synq = 7;
        r.raw.acceptq = 129;
        r.raw.acceptq_max = 128;
        return r;
    }
    /// A packet of this socket's, or what would be one.
    [[nodiscard]] Record<ts_drop> drop(std::uint32_t why, std::uint64_t total,
                                       std::uint64_t location = place_a) const
    {
        auto r = make<ts_drop>(TS_DROP, State::none, State::none);
        r.head().id = 0;
        r.raw.reason = why;
        r.raw.total = total;
        r.raw.location = location;
        return r;
    }
    [[nodiscard]] Record<ts_accept_error> accept_error(int err, std::uint64_t total,
                                                       std::uint64_t fd_limit = 1024) const
    {
        auto r = make<ts_accept_error>(TS_ACCEPT_ERROR, State::listen, State::listen);
        r.raw.total = total;
        r.raw.fd_limit = fd_limit;
        return r.queue(id_, 5, 128).error(err);
    }
    [[nodiscard]] Record<ts_head> time_wait_in(State from, State substate) const
    {
        return make<ts_head>(TS_TIME_WAIT_IN, from, substate);
    }
    [[nodiscard]] Record<ts_head> time_wait_turn() const
    {
        return make<ts_head>(TS_TIME_WAIT_TURN, State::fin_wait2, State::time_wait);
    }
    [[nodiscard]] Record<ts_head> time_wait_out(State substate = State::time_wait) const
    {
        return make<ts_head>(TS_TIME_WAIT_OUT, substate, State::close).detail(TS_TW_EXPIRED);
    }

private:
    template <class R>
    [[nodiscard]] Record<R> make(ts_kind kind, State from, State to) const
    {
        Record<R> r;
        ts_head& h = r.head();
        h.id = id_;
        h.netns = netns_;
        h.kind = static_cast<__u8>(kind);
        h.family = static_cast<__u8>(family());
        h.lport = local_.port;
        h.rport = remote_.port;
        std::memcpy(h.laddr, local_.addr.bytes.data(), 16);
        std::memcpy(h.raddr, remote_.addr.bytes.data(), 16);
        h.old_state = static_cast<__u8>(from);
        h.new_state = static_cast<__u8>(to);
        return r;
    }

    std::uint64_t id_ = 1;
    std::uint32_t netns_ = init_netns;
    Endpoint local_{ip("10.0.0.1"), 40000};
    Endpoint remote_{ip("10.0.0.2"), 80};
};

/// 10.0.0.1:40000 -> 10.0.0.2:80, cookie 1.
inline Socket client()
{
    return {};
}
/// 10.0.0.2:80 <- 10.0.0.1:40000, cookie 2.
inline Socket server()
{
    return Socket().id(2).local("10.0.0.2", 80).remote("10.0.0.1", 40000);
}
/// Listens on 0.0.0.0:80, cookie 3.
inline Socket listener()
{
    return Socket().id(3).local("0.0.0.0", 80).remote("0.0.0.0", 0);
}

/// A copy of an event that outlives the call.
struct Seen {
    std::uint64_t ts_ns = 0;
    std::string kind;
    std::optional<Connection> conn;
    Process actor;
    event::Payload what;
    std::string text; ///< see brief()

    template <class T>
    [[nodiscard]] const T& as() const
    {
        return std::get<T>(what);
    }
};

/// The facts of one event in a line: "CLOSE>SYN_SENT", "ESTABLISHED>CLOSE 30us",
/// "accept wait=5us handshake=7us queue=1/128", "close fin tx=1 rx=2".
std::string brief(const Event& e);

class Collector : public Sink {
public:
    void on_event(const Event& e) override
    {
        Seen s{e.ts_ns, std::string(kind_of(e)), {}, e.actor, e.what, brief(e)};
        if (e.conn != nullptr)
            s.conn = *e.conn;
        seen.push_back(std::move(s));
    }
    /// What happened since the last call.
    std::vector<std::string> news()
    {
        std::vector<std::string> lines;
        for (; told_ < seen.size(); told_++)
            lines.push_back(seen[told_].text);
        return lines;
    }

    std::vector<Seen> seen;

private:
    std::size_t told_ = 0;
};

class Story {
public:
    explicit Story(Correlator::Config config = {}) : correlator(std::move(config), events) {}

    template <class R>
    Story& tell(const Record<R>& r)
    {
        correlator.consume(r.bytes());
        return *this;
    }
    template <class R>
    Story& tell(Nanos t, Record<R> r)
    {
        return tell(r.at(t));
    }
    std::vector<std::string> news() { return events.news(); }
    [[nodiscard]] const Seen& last() const { return events.seen.back(); }
    /// The latest event of this kind; fails the test when there is none.
    [[nodiscard]] const Seen& last(std::string_view kind) const;

    Collector events;
    Correlator correlator;
};

} // namespace tcpsaga::testing
