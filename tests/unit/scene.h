// SPDX-License-Identifier: BSD-2-Clause
#pragma once
// Events made by hand, for doctor's rules: a listener at 10.0.0.2:80 and a client's end at
// 192.0.2.7:443, in one namespace.
#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "tcpsaga/finding.h"

namespace tcpsaga::testing {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t second = 1'000 * ms;
constexpr std::uint32_t scene_netns = 4026531840;

inline Process process_named(std::uint32_t pid, std::string_view name, PidFrom from = PidFrom::task)
{
    Process p;
    p.pid = pid;
    p.from = from;
    name.copy(p.comm.data(), p.comm.size() - 1);
    return p;
}

class Scene {
public:
    Scene()
    {
        settings.own_netns = scene_netns;
        settings.utc_offset_ns = 1'700'000'000'000'000'000; // 22:13:20
        settings.sysctls[scene_netns] = {{"net.core.somaxconn", "4096"},
                                         {"net.ipv4.ip_local_port_range", "32768 60999"},
                                         {"net.ipv4.tcp_abort_on_overflow", "0"},
                                         {"net.ipv4.tcp_max_syn_backlog", "128"},
                                         {"net.ipv4.tcp_max_tw_buckets", "16384"},
                                         {"net.ipv4.tcp_tw_reuse", "2"},
                                         {"net.ipv4.tcp_keepalive_time", "7200"},
                                         {"net.ipv4.tcp_retries2", "15"}};
        settings.sysctls[0] = {{"fs.nr_open", "1048576"}, {"fs.file-max", "100000"}};
    }

    static Endpoint at(const char* addr, std::uint16_t port)
    {
        return {parse_cidr(addr)->addr, port};
    }
    static Tuple tuple(const Endpoint& local, const Endpoint& remote)
    {
        return {local, remote, scene_netns};
    }

    Connection listener() const
    {
        Connection c;
        c.id = 3;
        c.role = Role::server;
        c.state = State::listen;
        c.tuple = tuple(local, {});
        return c;
    }
    /// The n-th child of the listener.
    Connection child(std::uint16_t n) const
    {
        Connection c;
        c.id = 1000U + n;
        c.listener = 3;
        c.role = Role::server;
        c.seen_start = true;
        c.state = State::established;
        c.established_ns = 1;
        c.tuple = tuple(local, at("10.0.0.9", static_cast<std::uint16_t>(40000 + n)));
        return c;
    }
    /// The n-th connection of the client.
    Connection client(std::uint16_t n) const
    {
        Connection c;
        c.id = 2000U + n;
        c.role = Role::client;
        c.seen_start = true;
        c.tuple = tuple(at("10.0.0.1", static_cast<std::uint16_t>(50000 + n)), remote);
        return c;
    }

    void tell(std::uint64_t ts_ns, const Connection& c, event::Payload what, const Process& actor)
    {
        sink.on_event({ts_ns, &c, actor, std::move(what)});
    }
    void listen(std::uint32_t backlog, std::optional<std::uint32_t> asked = {},
                std::uint64_t ts_ns = ms)
    {
        tell(ts_ns, listener(), event::Listen{backlog, asked}, server);
    }
    /// A packet met the full accept queue.
    void full(std::uint64_t ts_ns, std::uint64_t n = 1, event::Action action = event::Action::drop,
              std::uint32_t backlog = 7)
    {
        Connection c = listener();
        c.tuple.remote = at("10.0.0.9", 40999);
        const auto stage = action == event::Action::reset ? event::Stage::ack : event::Stage::syn;
        tell(ts_ns, c,
             event::Overflow{
                 event::Queue::accept, stage, action, false, 0, backlog + 1, backlog, n, {}},
             guessed);
    }
    void born(std::uint64_t ts_ns, std::uint16_t n)
    {
        Connection c = child(n);
        c.state = State::listen;
        tell(ts_ns, c, event::StateChange{State::listen, State::syn_recv, {}}, guessed);
        c.state = State::syn_recv;
        tell(ts_ns, c, event::StateChange{State::syn_recv, State::established, 0}, guessed);
    }
    void accepted(std::uint64_t ts_ns, std::uint16_t n, std::uint64_t wait_us)
    {
        Connection c = child(n);
        c.accepted = true;
        tell(ts_ns, c, event::Accept{wait_us, 100, 1, {}}, server);
    }
    /// `count` children, born at once and accepted one every `gap_ns`.
    void served(std::uint64_t ts_ns, int count, std::uint64_t gap_ns)
    {
        for (int i = 1; i <= count; i++)
            born(ts_ns, static_cast<std::uint16_t>(i));
        for (int i = 1; i <= count; i++) {
            const std::uint64_t waited = gap_ns * static_cast<unsigned>(i);
            accepted(ts_ns + waited, static_cast<std::uint16_t>(i), waited / 1000);
        }
    }
    void starve(std::uint64_t ts_ns, int err, std::uint64_t n = 1)
    {
        tell(ts_ns, listener(), event::AcceptError{err, 16, 9, 1024, n}, server);
    }
    void connects(std::uint64_t ts_ns, std::uint16_t n)
    {
        tell(ts_ns, client(n), event::Connect{}, user);
    }
    void connected(std::uint64_t ts_ns, std::uint16_t n, std::uint64_t us = 200)
    {
        connects(ts_ns - us * 1000, n);
        tell(ts_ns, client(n), event::StateChange{State::syn_sent, State::established, us}, user);
    }
    void fails(std::uint64_t ts_ns, std::uint16_t n, int err,
               std::optional<event::PortUse> ports = {})
    {
        tell(ts_ns, client(n), event::ConnectError{err, ports}, user);
    }
    void syn_again(std::uint64_t ts_ns, std::uint16_t n, std::uint32_t nth, int err = 0)
    {
        tell(ts_ns, client(n), event::Retransmit{event::Retransmitted::syn, nth, 1, err}, user);
    }
    void waits_on(std::uint64_t ts_ns, const Connection& c)
    {
        tell(ts_ns, c, event::StateChange{State::fin_wait2, State::time_wait, 10}, user);
    }
    void closes(std::uint64_t ts_ns, const Connection& c, event::End end, std::string_view why = "")
    {
        event::Close life{};
        life.established_us = 10;
        life.end = end;
        life.why = why;
        tell(ts_ns, c, life, c.role == Role::server ? server : user);
    }
    void dies(std::uint64_t ts_ns)
    {
        tell(ts_ns, listener(), event::Unlisten{event::UnlistenWhy::process_exit}, server);
    }

    std::vector<Finding> findings(std::uint64_t end_ns = 30 * second)
    {
        return diagnose(sink.finish(end_ns), settings);
    }
    /// "accept_queue_backlog certain", "slow_handshake likely <accept_queue_backlog".
    std::vector<std::string> news(std::uint64_t end_ns = 30 * second)
    {
        std::vector<std::string> all;
        for (const Finding& f : findings(end_ns))
            all.push_back(f.kind + " " + std::string(name_of(f.sure)) +
                          (f.because.empty() ? "" : " <" + f.because));
        return all;
    }

    Endpoint local = at("10.0.0.2", 80);
    Endpoint remote = at("192.0.2.7", 443);
    Process server = process_named(202, "python3");
    Process guessed = process_named(202, "python3", PidFrom::listener);
    Process user = process_named(101, "curl");
    EvidenceSink sink{0};
    Settings settings;
};

} // namespace tcpsaga::testing
