// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tcpsaga/connection.h"
#include "tcpsaga/histogram.h"

namespace tcpsaga {

/// events.md, version 1. Absent values are nullopt.
namespace event {

using Micros = std::optional<std::uint64_t>;

struct Listen {
    std::uint32_t backlog = 0;            ///< effective: sk_max_ack_backlog
    std::optional<std::uint32_t> asked{}; ///< listen()'s argument, where known
};
enum class UnlistenWhy : std::uint8_t { closed, process_exit };
struct Unlisten {
    UnlistenWhy why;
};
struct Connect {};
/// What connections to one destination use of the local ports.
struct PortUse {
    std::uint16_t low, high;       ///< net.ipv4.ip_local_port_range
    std::uint32_t time_wait, live; ///< those taken: in TIME_WAIT, in other states
};
struct ConnectError {
    int err = 0;                    ///< positive errno, 0 = the kernel gave none
    std::optional<PortUse> ports{}; ///< with EADDRNOTAVAIL
};
/// bind() or listen() failed; the connection is the socket with the address that was wanted.
struct BindError {
    bool listening; ///< by listen()
    int err;
};
/// A half-open connection whose SYN-ACKs nobody answered was given up. The connection is the
/// listener's, with the packets' addresses.
struct SynackTimeout {
    std::uint32_t retransmits;
};
struct StateChange {
    State old_state{}, new_state{};
    Micros us;             ///< time spent in old_state
    bool inferred = false; ///< concluded from other facts, no hook saw it
};
struct Accept {
    Micros accept_wait_us, handshake_us;
    std::optional<std::uint32_t> acceptq, acceptq_max;
};
/// By ts_tw_end; `overflow`: there was no room for the entry.
enum class TimeWaitEnd : std::uint8_t { unknown, expired, reused, reset, purged, overflow };
struct TimeWait {
    TimeWaitEnd why{};
    std::optional<std::uint64_t> held_ms;
};
/// accept() failed for want of something; the connection is the listener.
struct AcceptError {
    int err = 0;
    std::optional<std::uint64_t> fd_limit; ///< RLIMIT_NOFILE of the process
    std::optional<std::uint32_t> acceptq, acceptq_max;
    std::uint64_t n = 0; ///< failures that this event stands for
};
enum class Queue : std::uint8_t { syn, accept };
enum class Stage : std::uint8_t { syn, ack };
enum class Action : std::uint8_t { drop, cookie, reset };
/// A packet met a full queue. Its connection is the listener's, with the packet's addresses.
struct Overflow {
    Queue queue{};
    std::optional<Stage> stage;
    Action action{};
    bool max_syn_backlog = false; ///< the SYN queue was full by net.ipv4.tcp_max_syn_backlog
    std::optional<std::uint32_t> synq, acceptq, acceptq_max;
    std::uint64_t n = 0;                    ///< packets that this event stands for
    std::optional<std::uint64_t> poll_ms{}; ///< found by looking, this long after the last look
};
struct Reset {
    bool sent = false;
    std::string_view reason; ///< the kernel's name for it, "" when it gives none
};
/// By ts_retransmitted.
enum class Retransmitted : std::uint8_t { syn, synack, data, fin };
/// For a SYN-ACK before there is a child, the connection is the listener's, with the packet's
/// addresses.
struct Retransmit {
    Retransmitted what;
    std::uint32_t nth;      ///< of this connection's retransmitted segments; of this request's
    std::uint32_t segments; ///< in this packet
    int err;                ///< errno with which this host itself refused to send it, 0 = sent
};
/// The kernel dropped a packet. The connection has the packet's addresses; its id is 0 when no
/// connection of these is known.
struct Drop {
    std::string reason;  ///< the kernel's name for it, its number when it has none; "" = not told
    std::string place;   ///< "tcp_v4_rcv+0x1a0"; "" = not known
    std::uint64_t n = 0; ///< packets that this event stands for
};
enum class End : std::uint8_t {
    fin,
    rst_sent,
    rst_received,
    timeout,
    refused,
    unreachable,
    aborted,
    process_exit,
    never_accepted,
};
/// Where an end is that is not on this host.
struct OtherHost {
    std::uint32_t number;  ///< HostConn::host
    std::string_view name; ///< outlives the event
};
struct Close {
    std::uint64_t tx_bytes = 0, rx_bytes = 0; ///< payload: acknowledged by, received from the peer
    Micros duration_us, established_us, handshake_us, accept_wait_us, srtt_us;
    std::uint32_t retransmits = 0;
    End end{};
    std::string_view why{}; ///< what made `end` so, "" = `end` says all, or it is not known
    std::optional<Peer> peer{};
    std::optional<OtherHost> peer_host{}; ///< the peer's; nullopt: this one
    const Close* other = nullptr;         ///< the peer's life, told with this one (make_pairs())
};
/// It has been in CLOSE_WAIT or FIN_WAIT2 for long: who should close it does not.
struct Stuck {
    State state;
    std::uint64_t us;
};
/// `recording`: inputs of a recording that is damaged.
enum class LostWhere : std::uint8_t { ring, table, output, missed, recording };
struct Lost {
    std::uint64_t n;
    LostWhere where;
};
/// One of the kernel's own counters beside what was seen of it, in one namespace.
struct AuditRow {
    std::uint32_t netns = 0;
    std::string counter; ///< "TcpExt.ListenOverflows"
    std::uint64_t kernel = 0;
    std::uint64_t seen = 0;
    std::string why; ///< what explains a difference; "" = nothing does

    [[nodiscard]] bool unexplained() const { return kernel != seen && why.empty(); }
};
/// Connections in TIME_WAIT that share a remote end (a client's) or a local port (a server's).
struct TimeWaitGroup {
    std::uint32_t netns = 0;
    Role role = Role::unknown;
    Endpoint end; ///< the remote one, the local one of a server
    std::uint64_t n = 0;
};
/// What became of one listener's queue.
struct ListenerSummary {
    std::uint64_t conn = 0; ///< of the listener, 0 when it is not known
    std::uint32_t netns = 0;
    Endpoint local;
    Process owner;
    std::uint64_t births = 0, accepts = 0;
    std::uint32_t acceptq_high = 0; ///< the most children that waited at once
    std::uint32_t acceptq_max = 0;
    std::optional<std::uint32_t> asked; ///< the backlog that listen() asked for
    std::optional<UnlistenWhy> ended;   ///< nullopt while it listens
    Histogram handshake_us, accept_wait_us;
    std::optional<std::uint64_t> new_accepts; ///< since the summary before

    /// No hook may have told how deep its queue was.
    [[nodiscard]] bool depth_known() const
    {
        return acceptq_max != 0 && (acceptq_high != 0 || births == 0);
    }
};
/// A remote address, and the connections made to it and got from it.
struct TopRemote {
    Address addr;
    std::uint64_t made = 0, got = 0;
};
/// A process, and the connections that it made by connect() and got by accept().
struct TopProcess {
    Process process;
    std::uint64_t made = 0, got = 0;
};
/// What happened since the summary before, or since the start.
struct Interval {
    std::uint64_t us = 0;
    std::uint64_t opens = 0, births = 0, accepts = 0, closes = 0, connect_errors = 0;
    std::uint64_t overflows = 0, accept_errors = 0, retransmits = 0;
    std::uint64_t time_wait_in = 0, time_wait_out = 0;
};
struct Summary {
    std::uint64_t opens = 0;   ///< SYNs sent for a new connection (ActiveOpens)
    std::uint64_t births = 0;  ///< children made (PassiveOpens)
    std::uint64_t accepts = 0; ///< children that accept() returned
    std::uint64_t closes = 0;
    std::uint64_t alive = 0; ///< connections and listeners still in the table
    std::uint64_t events = 0;
    std::uint64_t records = 0; ///< that the kernel side sent, shown or not
    std::uint64_t overflows = 0;
    std::uint64_t accept_errors = 0;
    std::uint64_t retransmits = 0;    ///< segments
    std::uint64_t drops = 0;          ///< packets
    std::uint64_t connect_errors = 0; ///< connects that failed, at once or later
    std::uint64_t time_wait_in = 0, time_wait_out = 0, time_wait_overflows = 0;
    std::uint64_t bind_errors = 0; ///< listen() included
    std::uint64_t synack_timeouts = 0;
    std::uint64_t time_wait_alive = 0;
    std::vector<TimeWaitGroup> time_waits; ///< the largest, largest first
    bool final = false;                    ///< nothing follows
    std::vector<ListenerSummary> listeners;
    std::vector<AuditRow> audit; ///< empty while not asked for
    static constexpr std::size_t ends = static_cast<std::size_t>(End::never_accepted) + 1;
    std::array<std::uint64_t, ends> closes_by_end{};      ///< by End
    std::map<int, std::uint64_t> connect_errors_by_errno; ///< 0 = the kernel gave none
    std::vector<TopRemote> top_remotes;                   ///< the largest first
    std::vector<TopProcess> top_processes;
    std::optional<Interval> interval;
    std::uint64_t lost_ring = 0, lost_table = 0, lost_output = 0, lost_missed = 0;
    std::uint64_t lost_recording = 0;

    [[nodiscard]] std::uint64_t lost() const
    {
        return lost_ring + lost_table + lost_output + lost_missed + lost_recording;
    }
};

using Payload = std::variant<Listen, Unlisten, BindError, Connect, ConnectError, SynackTimeout,
                             StateChange, Accept, AcceptError, TimeWait, Overflow, Reset,
                             Retransmit, Drop, Close, Stuck, Lost, Summary>;
} // namespace event

/// One event. `conn` (null for Lost and Summary) is valid during the call only.
struct Event {
    std::uint64_t ts_ns = 0; ///< CLOCK_MONOTONIC
    const Connection* conn = nullptr;
    Process actor; ///< who did it, else the owner; `from` tells which
    event::Payload what;
};

/// "connect", "state"… as in events.md.
std::string_view kind_of(const Event& e);
std::string_view name_of(event::End e);
std::string_view name_of(event::LostWhere w);
std::string_view name_of(event::Queue q);
std::string_view name_of(event::Stage s);
std::string_view name_of(event::Action a);
std::string_view name_of(ClosedBy c);
std::string_view name_of(Role r);
std::string_view name_of(PidFrom p);
std::string_view name_of(event::TimeWaitEnd w);
std::string_view name_of(event::UnlistenWhy w);
std::string_view name_of(event::Retransmitted r);
/// "ECONNREFUSED"; "E999" for a number that has no name.
std::string errno_name(int err);

struct Settings; // settings.h

class Sink {
public:
    virtual ~Sink() = default;
    virtual void on_event(const Event& e) = 0;
    /// How the system is set, before the summary that ends the stream; not always told.
    virtual void on_settings(const Settings&) {}
};

} // namespace tcpsaga
