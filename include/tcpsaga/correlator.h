// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tcpsaga/event.h"
#include "tcpsaga/filter.h"
#include "tcpsaga/listener_poll.h"
#include "tcpsaga/record.h"
#include "tcpsaga/snapshot.h"
#include "tcpsaga/table.h"
#include "tcpsaga/tops.h"

namespace tcpsaga {

/// A kernel enum's names by number, "" for numbers that it does not use.
using ReasonNames = std::vector<std::string>;

/// What a listener's queues turned away, as the kernel side counted it.
struct ListenerTotals {
    ts_listener_key key;
    ts_listener_counts counts;
};

/// What was seen of what the kernel counts too, in one network namespace.
struct SeenCounts {
    std::uint64_t active_opens = 0;
    std::uint64_t passive_opens = 0;
    std::array<std::uint64_t, TS_OVERFLOW_KINDS> overflows{}; ///< by ts_overflow_kind
    std::uint64_t other_drops = 0;
    std::uint64_t polled_drops = 0; ///< of any kind, where no hook tells
    std::uint64_t cookies_wanted = 0;
    std::uint64_t time_wait_in = 0;      ///< small sockets made
    std::uint64_t time_wait_expired = 0; ///< ended by their timer
    std::uint64_t time_wait_overflows = 0;
    std::uint64_t established_resets = 0; ///< ESTABLISHED or CLOSE_WAIT -> CLOSE
    std::uint64_t syn_retransmits = 0;    ///< SYN-ACKs included
    std::uint64_t retransmits = 0;        ///< segments
    std::uint64_t rsts_sent = 0;
};

/// What the kernel side counted in a network namespace.
struct NetnsTotals {
    std::uint32_t netns;
    ts_netns_counts counts;
};

/// Dropped packets as the kernel side counted them.
struct DropTotals {
    ts_drop_key key;
    ts_drop_counts counts;
};

/// A bit for each reason, by its number, for which the kernel ends packets that are not lost:
/// duplicates, and those whose content was taken.
std::array<std::uint64_t, TCPSAGA_DROP_REASONS / 64> no_loss(const ReasonNames& reasons);

/// Records in, events out: keeps what is known of every live socket and tells each change
/// in TCP's own terms. No clock, no I/O: the only time is that of the records.
class Correlator {
public:
    /// A recording keeps it: src/recording/json.cc.
    struct Config {
        std::size_t capacity = std::size_t{1} << 20; ///< sockets; past it the stalest goes
        bool time_wait_exit_seen = true;             ///< a hook tells when a TIME_WAIT socket ends
        bool connect_error_seen = true; ///< a hook tells of connects whose SYN never left
        bool accept_seen = true;        ///< a hook tells of accept()
        bool infer_births = false;      ///< a child may be known by its first state change only
        Filter filter;
        bool unfiltered = false;   ///< no kernel side has applied the filter to the records
        ReasonNames reset_reasons; ///< of the kernel that the records come from
        ReasonNames drop_reasons;  ///< the same
        std::function<std::string(std::uint64_t)>
            place_of; ///< names the kernel's code; may be none
        /// A connection's ends as its other end has them, netns 0, where they are translated
        /// between the two; may be none.
        std::function<std::optional<Tuple>(const Tuple&)> translated;
    };

    Correlator(Config config, Sink& sink);

    /// One record, aligned to 8. A malformed one is counted and ignored.
    void consume(std::span<const std::byte> bytes);
    /// A record that will be consumed some eight records later: what is known of its socket is
    /// fetched into the processor's caches meanwhile. Makes no other difference.
    void expect(std::span<const std::byte> bytes);
    /// More records were lost on their way here.
    void lost(std::uint64_t n, event::LostWhere where, std::uint64_t ts_ns);
    /// The kernel's own totals per listener: tells what no record stood for so far.
    void settle(std::span<const ListenerTotals> totals, std::uint64_t ts_ns);
    void settle(std::span<const NetnsTotals> totals);
    void settle(std::span<const DropTotals> totals, std::uint64_t ts_ns);
    /// Sockets of whose start no record tells, looked at until `ts_ns`. Before any record; the
    /// look itself came after the hooks, so that nothing is missed in between.
    void adopt(std::span<const SocketRow> sockets, std::uint64_t ts_ns);
    /// What a look at all listeners found, `poll_ms` after the last one: drops since then.
    void on_polled(std::span<const PolledListener> listeners, std::uint64_t ts_ns,
                   std::uint64_t poll_ms);
    /// Tells, once each, of connections that a process holds in CLOSE_WAIT or FIN_WAIT2 for
    /// longer; of how many.
    std::uint64_t tell_stuck(std::uint64_t longer_ns, std::uint64_t ts_ns);
    /// What a socket's next record might have changed is told 20 ms after it at the latest: now is
    /// `ts_ns`. UINT64_MAX: nothing more comes. False: there was nothing to tell.
    bool tell_held_back(std::uint64_t ts_ns);
    /// Tells, and returns, how many sockets were forgotten for want of room since the last call.
    std::uint64_t tell_evictions(std::uint64_t ts_ns);
    /// Counts so far. `events` counts what was passed to the sink.
    [[nodiscard]] event::Summary summary() const;
    /// Every socket that is known now, in no order of meaning.
    template <class Visitor>
    void for_each_connection(const Visitor& visit) const
    {
        table_.for_each(visit);
    }
    /// What happened per network namespace, whatever of it was shown.
    [[nodiscard]] const std::map<std::uint32_t, SeenCounts>& seen() const { return seen_; }
    [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

private:
    void on_state(const ts_state& r);
    void on_connect(const ts_head& h);
    void on_birth(const ts_birth& r);
    void on_listen(const ts_listen& r);
    void on_listen_again(const ts_listen& r);
    void on_connect_error(const ts_head& h);
    void on_no_syn(const ts_head& h);
    void on_bind_error(const ts_head& h);
    Connection not_kept(const ts_head& h);
    void on_synack_timeout(const ts_head& h);
    void group_time_waits(event::Summary& s) const;
    void add_tops(event::Summary& s) const;
    void count_remote(const Address& addr, std::uint64_t made, std::uint64_t got);
    void count_process(const Process& p, std::uint64_t made, std::uint64_t got);
    void on_retransmit(const ts_retransmit& r);
    void on_time_wait_full(const ts_head& h);
    void count_state(const ts_head& h);
    void on_accept(const ts_queue& r);
    void on_time_wait_in(const ts_head& h);
    void on_time_wait_turn(const ts_head& h);
    void on_time_wait_out(const ts_head& h);
    void on_reset(const ts_reset& r);
    void on_overflow(const ts_overflow& r);
    void on_accept_error(const ts_accept_error& r);
    void on_drop(const ts_drop& r);
    std::uint64_t untold(const ts_drop_key& key, std::uint64_t total);
    [[nodiscard]] bool wanted(const ts_head& h) const;
    [[nodiscard]] bool may_be_wanted(std::uint32_t netns, bool known) const;
    void pass_over(const ts_head& h);
    [[nodiscard]] event::Drop drop_of(const ts_drop_key& key, std::uint64_t n) const;
    using SocketKey = std::pair<std::uint64_t, std::uint32_t>; // id as in ts_head, namespace
    std::uint64_t untold(const SocketKey& listener, std::uint32_t kind, std::uint64_t total);
    void settle_listener(const ListenerTotals& t, std::uint64_t ts_ns);

    Connection& begin_active_open(const ts_head& h);
    bool settle_port(Connection& c, const ts_head& h);
    void change(Connection& c, const ts_head& h, State to, bool inferred = false);
    void enter_established(Connection& c, const ts_state& r);
    void infer_birth(Connection& c, const ts_head& h);
    void close(Connection& c, const ts_state& r);
    void end_listener(Connection& c, const ts_head& h);

    Connection* find(const ts_head& h);
    Connection& find_or_adopt(const ts_head& h);
    Connection& adopt_unknown(const ts_head& h);
    Connection& create(const ts_head& h);
    Connection* find_listener(std::uint64_t id, const ts_head& child);
    Connection* find_listener(Tuple t);
    void adopt_owner(Connection& child, const Connection* listener);
    void note_closed(const ts_head& h);
    [[nodiscard]] bool closed_before(const ts_head& h) const;
    void forget(const Connection& c);
    void name_roles();
    static void confirm(Connection& c, const ts_head& h);
    static void note_who(Connection& c, const ts_head& h);
    void remember_client(const Connection& c);
    Connection* find_other_end(const Connection& server);
    void pair(Connection& server);
    Connection* peer_of(const Connection& c);
    void note_netns(std::uint32_t netns);
    Connection* find_alone(Tuple ends);
    void pair_translated(Connection& c);
    std::optional<Peer> last_look_at_peer(Connection& c);
    struct Hold;
    void hold_back(const Connection& c, const ts_head& h);
    Hold* hold_of(const Connection& c);
    void release_first();
    bool sent_after_close(const ts_head& h, const event::Reset& reset);
    [[nodiscard]] bool shows(const Connection& c, const Process& actor) const;
    SeenCounts& seen_in(std::uint32_t netns);
    /// The payload is made where it stays: moving a variant costs more than most payloads.
    template <class T>
    void emit(Connection& c, std::uint64_t ts_ns, const Process& task, const T& what)
    {
        const Process& actor = task.known() ? task : c.owner;
        if (asks_for_process_ && !shows(c, actor))
            return;
        c.shown = true;
        counts_.events++;
        if (Hold* hold = holds_.empty() ? nullptr : hold_of(c))
            hold->events.push_back({ts_ns, c, actor, what});
        else
            sink_.on_event({ts_ns, &c, actor, event::Payload(std::in_place_type<T>, what)});
    }

    event::ListenerSummary& listener_of(const Connection& child);
    event::ListenerSummary& listener_at(const Tuple& local, std::uint64_t listener);
    event::ListenerSummary& listener_entry(const Connection& listener);
    static void describe(event::ListenerSummary& s, const event::Listen& what);
    void measure_birth(Connection& c, const Connection* listener, const ts_queue* queue);

    Config config_;
    bool asks_for_process_;  ///< the filter does
    bool addresses_ = false; ///< some sockets are, or were, known by their kernel addresses
    Sink& sink_;
    ConnectionTable table_;
    event::Summary counts_; // without its listeners
    using ListenerKey = std::tuple<std::uint32_t, std::uint16_t, std::uint64_t>;
    std::map<ListenerKey, event::ListenerSummary> listeners_; ///< by netns, port, listener's id
    std::map<std::uint32_t, SeenCounts> seen_;
    std::pair<std::uint32_t, SeenCounts*> last_seen_{};               ///< of these the last used
    std::pair<ListenerKey, event::ListenerSummary*> last_listener_{}; ///< the same of listeners
    std::map<SocketKey, std::array<std::uint64_t, TS_LIMITED_KINDS>> told_; ///< of each kind
    std::map<std::tuple<std::uint64_t, std::uint32_t, std::uint32_t>, std::uint64_t>
        told_drops_; ///< by place, namespace and reason
    struct HeldBack {
        std::uint64_t ts_ns;
        Connection connection;
        Process actor;
        event::Payload what;
    };
    std::set<std::uint32_t> namespaces_; ///< of all that were ever in the table
    std::uint32_t last_netns_ = 0;       ///< of these
    struct Hold {
        SocketKey socket; ///< as in the records; none when nothing can change any more
        std::uint64_t conn;
        std::uint64_t since_ns;
        std::vector<HeldBack> events;
    };
    std::deque<Hold> holds_; ///< see after_close.cc; the oldest first
    std::array<SocketKey, 64> closed_lately_{};
    std::array<ConnectionTable::Soon, 4> soon_{}; ///< of the last records that were expected
    std::size_t soon_at_ = 0;
    std::size_t next_closed_ = 0;
    std::map<SocketKey, std::uint32_t> polled_; ///< sk_drops at the last look
    struct AddressHash {
        std::size_t operator()(const Address& a) const noexcept
        {
            const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(a.bytes);
            return std::hash<std::uint64_t>()((halves[0] * 0x9e3779b97f4a7c15ULL) ^ halves[1]);
        }
    };
    Tops<Address, event::TopRemote, AddressHash> remotes_;
    Tops<std::uint32_t, event::TopProcess, std::hash<std::uint32_t>> processes_;
    bool looked_ = false; ///< on_polled() was called
    std::uint64_t malformed_ = 0;
    std::uint64_t next_own_id_;
};

/// Adds what happened since `before`, `us` ago; an empty one: since the start.
void set_interval(event::Summary& now, const event::Summary& before, std::uint64_t us);

} // namespace tcpsaga
