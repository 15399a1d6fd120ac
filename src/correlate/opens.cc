// SPDX-License-Identifier: BSD-2-Clause
/* How connections and listeners begin. */
#include <algorithm>

#include "tcpsaga/correlator.h"

#include "parts.h"

namespace tcpsaga {

/// tcp_connect(): the whole 4-tuple is known.
void Correlator::on_connect(const ts_head& h)
{
    if (const Connection* c = find(h);
        c != nullptr && c->state == State::syn_sent && !c->port_pending && c->tuple == tuple_of(h))
        return; // told twice, see bpf/state.bpf.h
    settle_port(begin_active_open(h), h);
}

Connection& Correlator::begin_active_open(const ts_head& h)
{
    Connection& c = create(h);
    c.role = Role::client;
    c.seen_start = true;
    c.state = State::syn_sent;
    c.started_ns = c.since_ns = h.ts_ns;
    c.owner = acting_as(h, PidFrom::connect);
    c.port_pending = true;
    return c;
}

/// A socket that is told of once, and of which nothing follows.
Connection Correlator::not_kept(const ts_head& h)
{
    Connection c;
    c.id = (h.id & address_bit) != 0 ? next_own_id_++ : h.id;
    c.kernel_id = h.id;
    c.tuple = tuple_of(h);
    c.family = h.family;
    return c;
}

/// connect() itself failed: no SYN left.
void Correlator::on_connect_error(const ts_head& h)
{
    Connection c = not_kept(h);
    c.role = Role::client;
    c.state = State::close;
    if (!config_.filter.passes(c.tuple, c.family))
        return;
    counts_.connect_errors++;
    counts_.connect_errors_by_errno[h.error]++;
    emit(c, h.ts_ns, task_of(h), event::ConnectError{h.error});
}

void Correlator::on_bind_error(const ts_head& h)
{
    Connection c = not_kept(h);
    counts_.bind_errors++;
    emit(c, h.ts_ns, task_of(h), event::BindError{h.kind == TS_LISTEN_ERROR, h.error});
}

void Correlator::on_synack_timeout(const ts_head& h)
{
    Connection c = shown_as(find_listener(h.id, h), h);
    counts_.synack_timeouts++;
    emit(c, h.ts_ns, {}, event::SynackTimeout{h.detail});
}

/// SYN_SENT -> CLOSE of a socket whose SYN never left: what connect() returns tells it, where
/// that is seen.
void Correlator::on_no_syn(const ts_head& h)
{
    // Under its cookie there may be the TIME_WAIT of the connection before it: that stays.
    if (const Connection* held_back = find(h); held_back != nullptr && held_back->port_pending)
        forget(*held_back);
    if (!config_.connect_error_seen)
        on_connect_error(h);
}

/// The local port is known now: tells the start that was held back. False when the filter
/// does not want this connection after all; it is forgotten then.
bool Correlator::settle_port(Connection& c, const ts_head& h)
{
    table_.retuple(c, tuple_of(h));
    c.family = h.family;
    c.port_pending = false;
    if (!config_.filter.passes(c.tuple, c.family)) {
        forget(c);
        return false;
    }
    counts_.opens++;
    count_remote(c.tuple.remote.addr, 1, 0);
    count_process(c.owner, 1, 0);
    seen_in(h.netns).active_opens++;
    remember_client(c);
    Process task = c.owner;
    if (task.known())
        task.from = PidFrom::task;
    emit(c, c.started_ns, task, event::Connect{});
    emit(c, c.started_ns, task, event::StateChange{State::close, State::syn_sent, {}, false});
    return true;
}

void Correlator::on_birth(const ts_birth& r)
{
    const ts_head& h = r.queue.head;
    Connection& c = create(h);
    counts_.births++;
    count_remote(c.tuple.remote.addr, 0, 1);
    seen_in(h.netns).passive_opens++;
    c.role = Role::server;
    c.seen_start = true;
    c.state = State::listen;
    c.started_ns = h.ts_ns;
    if (r.synack_ns != 0)
        c.handshake_us = micros(r.synack_ns, h.ts_ns);
    const Connection* listener = find_listener(r.queue.listener, h);
    adopt_owner(c, listener);
    measure_birth(c, listener, &r.queue);
    change(c, h, State::syn_recv);
}

/// The kernel told of this child before it had an identity: its birth was moments ago.
void Correlator::infer_birth(Connection& c, const ts_head& h)
{
    counts_.births++;
    count_remote(c.tuple.remote.addr, 0, 1);
    seen_in(h.netns).passive_opens++;
    c.seen_start = true;
    c.started_ns = h.ts_ns;
    c.state = State::listen;
    const Connection* listener = find_listener(0, h);
    adopt_owner(c, listener);
    measure_birth(c, listener, nullptr);
    change(c, h, State::syn_recv, true);
}

/// Until the child has a process of its own, the listener's is the best guess.
void Correlator::adopt_owner(Connection& child, const Connection* listener)
{
    if (listener == nullptr)
        return;
    table_.touch(*listener);
    if (!listener->owner.known())
        return;
    child.owner = listener->owner;
    child.owner.from = PidFrom::listener;
}

void Correlator::on_listen(const ts_listen& r)
{
    const ts_head& h = r.queue.head;
    if (old_of(h) == State::listen)
        return on_listen_again(r);
    Connection& c = create(h);
    c.role = Role::server;
    c.seen_start = true;
    c.state = State::close;
    c.started_ns = h.ts_ns;
    c.owner = task_of(h);
    event::Listen what{r.queue.acceptq_max};
    if (r.has_asked != 0)
        what.asked = r.asked;
    describe(listener_entry(c), what);
    emit(c, h.ts_ns, c.owner, what);
    change(c, h, State::listen);
}

/// listen() on a listener: another backlog.
void Correlator::on_listen_again(const ts_listen& r)
{
    const ts_head& h = r.queue.head;
    Connection& c = find_or_adopt(h);
    c.role = Role::server;
    if (!c.owner.known())
        c.owner = task_of(h);
    const event::Listen what{r.queue.acceptq_max, r.asked};
    event::ListenerSummary& s = listener_entry(c);
    if (s.acceptq_max == what.backlog && s.asked == what.asked)
        return; // nginx asks twice
    describe(s, what);
    emit(c, h.ts_ns, task_of(h), what);
}

void Correlator::end_listener(Connection& c, const ts_head& h)
{
    c.role = Role::server;
    c.state = State::listen;
    const auto why =
        (h.flags & TS_EXITING) != 0 ? event::UnlistenWhy::process_exit : event::UnlistenWhy::closed;
    if (event::ListenerSummary& s = listener_entry(c); s.netns != 0)
        s.ended = why;
    change(c, h, State::close);
    emit(c, h.ts_ns, task_of(h), event::Unlisten{why});
    note_closed(h);
    forget(c);
}

void Correlator::on_accept(const ts_queue& r)
{
    const ts_head& h = r.head;
    Connection& c = find_or_adopt(h);
    if (c.accepted)
        return; // told twice, see bpf/state.bpf.h
    c.accepted = true;
    counts_.accepts++;
    c.role = Role::server;
    c.owner = acting_as(h, PidFrom::accept);
    count_process(c.owner, 0, 1);
    event::Accept a;
    // Another CPU may run accept() between the queue and ESTABLISHED: no wait then.
    if (c.seen_start)
        a.accept_wait_us = c.established_ns != 0 ? micros(c.established_ns, h.ts_ns) : 0;
    if (a.accept_wait_us)
        c.accept_wait_us = a.accept_wait_us;
    event::ListenerSummary& listener = listener_of(c);
    listener.accepts++;
    if (a.accept_wait_us)
        listener.accept_wait_us.add(*a.accept_wait_us);
    a.handshake_us = c.handshake_us;
    if (r.listener != 0) {
        a.acceptq = r.acceptq;
        a.acceptq_max = r.acceptq_max;
    }
    emit(c, h.ts_ns, task_of(h), a);
    // Reset while it waited. Its life is already told, unless another CPU is about to.
    if (new_of(h) == State::close && c.state == State::close)
        forget(c);
}

void Correlator::note_closed(const ts_head& h)
{
    closed_lately_.at(next_closed_++ % closed_lately_.size()) = {h.id, h.netns};
}

bool Correlator::closed_before(const ts_head& h) const
{
    return std::ranges::find(closed_lately_, SocketKey{h.id, h.netns}) != closed_lately_.end();
}

} // namespace tcpsaga
