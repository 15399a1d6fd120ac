// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/correlator.h"

#include <algorithm>
#include <cerrno>

#include "ending.h"
#include "parts.h"

namespace tcpsaga {
namespace {

// Ids of our own, for sockets without a cookie: above any cookie (they count from 1) and
// below 2^53, which JSON readers keep exact.
constexpr std::uint64_t first_own_id = std::uint64_t{1} << 52;

} // namespace

Correlator::Correlator(Config config, Sink& sink)
    : config_(std::move(config)), asks_for_process_(config_.filter.asks_for_process()), sink_(sink),
      table_(config_.capacity), next_own_id_(first_own_id)
{
}

void Correlator::consume(std::span<const std::byte> bytes)
{
    const ts_head* h = decode(bytes);
    if (h == nullptr) {
        malformed_++;
        return;
    }
    if (config_.unfiltered && !wanted(*h))
        return pass_over(*h);
    counts_.records++;
    if (!holds_.empty())
        tell_held_back(h->ts_ns);
    switch (h->kind) {
    case TS_STATE:
        return on_state(as<ts_state>(*h));
    case TS_CONNECT:
        return on_connect(*h);
    case TS_BIRTH:
        return on_birth(as<ts_birth>(*h));
    case TS_LISTEN:
        return on_listen(as<ts_listen>(*h));
    case TS_ACCEPT:
        return on_accept(as<ts_queue>(*h));
    case TS_TIME_WAIT_IN:
        return on_time_wait_in(*h);
    case TS_TIME_WAIT_TURN:
        return on_time_wait_turn(*h);
    case TS_TIME_WAIT_FULL:
        return on_time_wait_full(*h);
    case TS_CONNECT_ERROR:
        return on_connect_error(*h);
    case TS_BIND_ERROR:
    case TS_LISTEN_ERROR:
        return on_bind_error(*h);
    case TS_SYNACK_TIMEOUT:
        return on_synack_timeout(*h);
    case TS_RETRANSMIT:
        return on_retransmit(as<ts_retransmit>(*h));
    case TS_DROP:
        return on_drop(as<ts_drop>(*h));
    case TS_RESET:
        return on_reset(as<ts_reset>(*h));
    case TS_ACCEPT_ERROR:
        return on_accept_error(as<ts_accept_error>(*h));
    case TS_OVERFLOW:
        return on_overflow(as<ts_overflow>(*h));
    default:
        return on_time_wait_out(*h);
    }
}

void Correlator::expect(std::span<const std::byte> bytes)
{
    constexpr std::size_t cached = 4096; // entries of 256 bytes are in a cache all the time
    if (table_.size() < cached)
        return;
    const ts_head* h = decode(bytes);
    if (h == nullptr)
        return;
    ConnectionTable::Soon& slot = soon_.at(soon_at_++ % soon_.size());
    table_.fetch_entries(slot); // what the index has of it is there by now
    slot = table_.fetch_indexes(h->id, tuple_of(*h));
}

// ---- state changes ------------------------------------------------------------------

void Correlator::on_state(const ts_state& r)
{
    const ts_head& h = r.head;
    if (new_of(h) == State::syn_sent) {
        begin_active_open(h);
        return;
    }
    const bool from_syn_sent = old_of(h) == State::syn_sent;
    Connection* known = find(h);
    const bool unknown = known == nullptr;
    const bool told = !unknown && known->state == State::syn_sent && !known->port_pending;
    if (from_syn_sent && new_of(h) == State::close && never_left(h) && !told)
        return on_no_syn(h);
    if (unknown ? new_of(h) == State::close && closed_before(h)
                : known->closed || (!known->port_pending && known->state == new_of(h)))
        return; // told twice: a preempted program and its relief (bpf/state.bpf.h)
    count_state(h);
    Connection& c = unknown ? adopt_unknown(h) : *known;
    if ((unknown || h.ts_ns <= c.looked_at_ns) && config_.infer_births && !c.seen_start &&
        old_of(h) == State::syn_recv)
        infer_birth(c, h);
    if (c.port_pending && !settle_port(c, h))
        return;
    if (from_syn_sent && !config_.filter.passes(c.tuple, c.family))
        return forget(c); // the kernel lets these pass whatever the port
    if (old_of(h) == State::listen)
        return end_listener(c, h);
    note_who(c, h);
    if (new_of(h) == State::close)
        return close(c, r);
    if (new_of(h) == State::established)
        enter_established(c, r);
    change(c, h, new_of(h));
}

/// Who closes it, and whose it is.
void Correlator::note_who(Connection& c, const ts_head& h)
{
    // The step into the old state may not have been recorded (ts_knobs::untold_states).
    for (const auto who : {first_fin(c.state, old_of(h)), first_fin(old_of(h), new_of(h))})
        if (who != ClosedBy::unknown)
            c.closed_by = who;
    if ((h.flags & TS_EXITING) != 0 && c.closed_by != ClosedBy::remote)
        c.exiting = true;
    if (!c.owner.known() && h.error != ECONNABORTED) // else the task kills it: ss -K
        c.owner = task_of(h);
}

/// What the kernel counts at this change (net/ipv4/tcp.c, tcp_set_state).
void Correlator::count_state(const ts_head& h)
{
    const bool was_up = old_of(h) == State::established || old_of(h) == State::close_wait;
    if (was_up && new_of(h) == State::close)
        seen_in(h.netns).established_resets++;
}

/// Tells the change from the present state to `to` and makes it.
void Correlator::change(Connection& c, const ts_head& h, State to, bool inferred)
{
    emit(c, h.ts_ns, task_of(h),
         event::StateChange{c.state, to, span(c.since_ns, h.ts_ns), inferred});
    c.state = to;
    c.since_ns = h.ts_ns;
}

void Correlator::enter_established(Connection& c, const ts_state& r)
{
    c.established_ns = r.head.ts_ns;
    if (c.role == Role::client)
        c.handshake_us = span(c.started_ns, r.head.ts_ns);
    else if (!c.handshake_us && r.srtt_us != 0)
        // No SYN-ACK time (tracepoints): the only sample so far is the handshake's.
        c.handshake_us = r.srtt_us;
    if (c.role == Role::server && c.handshake_us)
        listener_of(c).handshake_us.add(*c.handshake_us);
    if (c.role == Role::server)
        pair(c); // the client's end was there before
}

void Correlator::close(Connection& c, const ts_state& r)
{
    const ts_head& h = r.head;
    const State from = old_of(h);
    State held = c.held;
    const bool inferred = held == State::none;
    if (inferred && h.error == 0 && !c.no_time_wait && !by_linger2(r)) {
        // Without an error these two states end in tcp_time_wait() (net/ipv4/tcp_input.c).
        if (from == State::closing || (from == State::fin_wait2 && (h.flags & TS_FIN_SEEN) != 0))
            held = State::time_wait;
        else if (from == State::fin_wait2)
            held = State::fin_wait2;
        if (held != State::none)
            c.held_since_ns = h.ts_ns;
    }
    if (inferred && held == State::fin_wait2 && (h.detail & TS_ORPHAN) != 0)
        hold_back(c, h);
    const Process task = task_of(h);
    const bool connecting = from == State::syn_sent || from == State::syn_recv;
    if (c.role == Role::client && connecting && h.error != 0) {
        counts_.connect_errors++;
        counts_.connect_errors_by_errno[h.error]++;
        emit(c, h.ts_ns, task, event::ConnectError{h.error});
    }
    if (held == State::none)
        change(c, h, State::close);
    else if (held != c.state)
        change(c, h, held, inferred);

    event::Close life{};
    life.tx_bytes = tx_bytes(r, c);
    life.rx_bytes = rx_bytes(r);
    life.duration_us = span(c.started_ns, h.ts_ns);
    life.established_us = span(c.established_ns, h.ts_ns);
    life.handshake_us = c.handshake_us;
    life.accept_wait_us = c.accept_wait_us;
    if (r.srtt_us != 0)
        life.srtt_us = r.srtt_us;
    life.retransmits = r.total_retrans;
    life.end = end_of(r, held, c, config_.accept_seen);
    life.why = why_of(r, life.end);
    if (!connecting)
        pair_translated(c);
    life.peer = last_look_at_peer(c);
    table_.withdraw(c);
    counts_.closes++;
    counts_.closes_by_end.at(static_cast<std::size_t>(life.end))++;
    emit(c, h.ts_ns, task, life);
    c.closed = true;
    note_closed(h);
    if (held == State::none || !config_.time_wait_exit_seen)
        return forget(c);
    if (c.held_since_ns == 0)
        c.held_since_ns = h.ts_ns;
    if ((c.kernel_id & address_bit) != 0) // the full socket's address is free for another now
        table_.rekey(c, c.id | address_bit);
}

void Correlator::on_retransmit(const ts_retransmit& r)
{
    const ts_head& h = r.head;
    if (r.what >= TS_RETRANSMITTED) {
        malformed_++;
        return;
    }
    SeenCounts& seen = seen_in(h.netns);
    seen.retransmits += r.segments;
    counts_.retransmits += r.segments;
    if (r.what == TS_RE_SYN || r.what == TS_RE_SYNACK)
        seen.syn_retransmits++;
    const event::Retransmit what{static_cast<event::Retransmitted>(r.what), r.nth, r.segments,
                                 h.error};
    if (old_of(h) == State::listen) { // there is no child yet
        Connection c = shown_as(find_listener(h.id, h), h);
        return emit(c, h.ts_ns, {}, what);
    }
    Connection& c = find_or_adopt(h);
    if (!c.port_pending || settle_port(c, h))
        emit(c, h.ts_ns, {}, what);
}

void Correlator::on_reset(const ts_reset& r)
{
    const auto& names = config_.reset_reasons;
    const std::string_view reason = r.reason < names.size() ? names[r.reason] : std::string_view();
    const event::Reset what{r.sent != 0, reason};
    if (what.sent && sent_after_close(r.head, what))
        return;
    Connection& c = find_or_adopt(r.head);
    if (c.port_pending && !settle_port(c, r.head))
        return;
    if (!what.sent && (c.state == State::fin_wait1 || c.state == State::fin_wait2))
        hold_back(c, r.head);
    emit(c, r.head.ts_ns, task_of(r.head), what);
    if (c.state == State::close) // close() with unread data: its life has been told
        forget(c);
}

// ---- the table ----------------------------------------------------------------------

/// By id; else by 4-tuple, when one of the two sides knows the socket by its address only.
Connection* Correlator::find(const ts_head& h)
{
    if (Connection* c = table_.find(h.id, h.netns)) {
        const bool is_cookie = (h.id & address_bit) == 0;
        if (is_cookie || c->port_pending || h.lport == 0 || c->tuple == tuple_of(h)) {
            confirm(*c, h);
            table_.touch(*c);
            return c;
        }
        return nullptr; // the address has been given to another socket
    }
    if (!addresses_ && (h.id & address_bit) == 0)
        return nullptr; // all have cookies
    Tuple tuple = tuple_of(h);
    Connection* c = table_.find(tuple);
    if (c == nullptr && old_of(h) == State::syn_sent) { // began without its port
        tuple.local.port = 0;
        c = table_.find(tuple);
    }
    if (c == nullptr || ((c->kernel_id | h.id) & address_bit) == 0)
        return nullptr;
    confirm(*c, h);
    if ((h.id & address_bit) == 0) {
        table_.rekey(*c, h.id); // from now on by its cookie
        table_.touch(*c);
    }
    return c;
}

Connection& Correlator::create(const ts_head& h)
{
    note_netns(h.netns);
    Connection& c = table_.insert(h.id, tuple_of(h));
    addresses_ = addresses_ || (h.id & address_bit) != 0;
    c.id = (h.id & address_bit) != 0 ? next_own_id_++ : h.id;
    c.family = h.family;
    return c;
}

/// A socket that began before us, or whose start was lost, is known from here on.
Connection& Correlator::find_or_adopt(const ts_head& h)
{
    Connection* c = find(h);
    return c != nullptr ? *c : adopt_unknown(h);
}

Connection& Correlator::adopt_unknown(const ts_head& h)
{
    Connection& c = create(h);
    c.state = old_of(h) != State::none ? old_of(h) : new_of(h);
    // These two states have one way in each but for simultaneous opens.
    if (c.state == State::syn_sent)
        c.role = Role::client;
    else if (c.state == State::syn_recv)
        c.role = Role::server;
    return c;
}

Connection* Correlator::find_listener(std::uint64_t id, const ts_head& child)
{
    if (Connection* c = table_.find(id, child.netns))
        return c;
    // Known by its address so far, or the record does not name it.
    return find_listener(tuple_of(child));
}

/// By where the child is.
Connection* Correlator::find_listener(Tuple t)
{
    t.remote = {};
    Address v4_any = t.local.addr;
    std::fill(v4_any.bytes.begin() + 12, v4_any.bytes.end(), 0);
    const bool v4 = t.local.addr.is_v4();
    if (v4)
        t.remote.addr = v4_any;
    for (const Address& local : {t.local.addr, v4_any, Address{}}) {
        t.local.addr = local;
        if (local == Address{})
            t.remote.addr = {};
        if (Connection* c = table_.find(t); c != nullptr && c->state == State::listen)
            return c;
    }
    return nullptr;
}

void Correlator::forget(const Connection& c)
{
    table_.erase(c);
}

/// The kernel side's rule (bpf/filter.bpf.h).
bool Correlator::wanted(const ts_head& h) const
{
    const bool connecting =
        h.kind == TS_STATE && (old_of(h) == State::syn_sent || new_of(h) == State::syn_sent);
    const bool port_pending = connecting || (h.kind == TS_CONNECT_ERROR && h.lport == 0);
    return config_.filter.passes(tuple_of(h), h.family, port_pending);
}

/// Not wanted, but in the totals of what is.
void Correlator::pass_over(const ts_head& h)
{
    if (h.kind == TS_OVERFLOW && as<ts_overflow>(h).kind < TS_OVERFLOW_KINDS)
        untold({h.id, h.netns}, as<ts_overflow>(h).kind, as<ts_overflow>(h).total);
    else if (h.kind == TS_ACCEPT_ERROR)
        untold({h.id, h.netns}, TS_ACCEPT_FAILED, as<ts_accept_error>(h).total);
    else if (h.kind == TS_DROP)
        untold({as<ts_drop>(h).location, h.netns, as<ts_drop>(h).reason}, as<ts_drop>(h).total);
}

std::uint64_t Correlator::tell_stuck(std::uint64_t longer_ns, std::uint64_t ts_ns)
{
    std::uint64_t n = 0;
    table_.for_each([&](Connection& c) {
        const bool waits = c.state == State::close_wait || c.state == State::fin_wait2;
        const std::uint64_t since = c.since_ns != 0 ? c.since_ns : c.looked_at_ns;
        if (!waits || c.closed || c.stuck_told || since == 0 || ts_ns < since + longer_ns)
            return;
        c.stuck_told = true;
        n++;
        emit(c, ts_ns, {}, event::Stuck{c.state, micros(since, ts_ns)});
    });
    return n;
}

std::uint64_t Correlator::tell_evictions(std::uint64_t ts_ns)
{
    const std::uint64_t n = table_.evicted() - counts_.lost_table;
    lost(n, event::LostWhere::table, ts_ns);
    return n;
}

void Correlator::lost(std::uint64_t n, event::LostWhere where, std::uint64_t ts_ns)
{
    if (n == 0)
        return;
    switch (where) {
    case event::LostWhere::ring:
        counts_.lost_ring += n;
        break;
    case event::LostWhere::table:
        counts_.lost_table += n;
        break;
    case event::LostWhere::output:
        counts_.lost_output += n;
        break;
    case event::LostWhere::missed:
        counts_.lost_missed += n;
        break;
    case event::LostWhere::recording:
        counts_.lost_recording += n;
        break;
    }
    sink_.on_event({ts_ns, nullptr, {}, event::Lost{n, where}});
}

event::Summary Correlator::summary() const
{
    event::Summary s = counts_;
    s.alive = table_.size();
    for (const auto& [key, listener] : listeners_)
        s.listeners.push_back(listener);
    group_time_waits(s);
    add_tops(s);
    return s;
}

/// True when the process filter lets this event through.
bool Correlator::shows(const Connection& c, const Process& actor) const
{
    const auto matches = [&](const Process& p) {
        return p.known() && config_.filter.process_matches(p.pid, p.name());
    };
    return !asks_for_process_ || c.shown || matches(actor) || matches(c.owner);
}

/// Hardly ever is the namespace another than the last record's.
SeenCounts& Correlator::seen_in(std::uint32_t netns)
{
    if (last_seen_.second == nullptr || last_seen_.first != netns)
        last_seen_ = {netns, &seen_[netns]};
    return *last_seen_.second;
}

} // namespace tcpsaga
