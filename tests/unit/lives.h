// SPDX-License-Identifier: BSD-2-Clause
#pragma once
// Whole lives, as the kernel side tells them on trampolines.
#include <cerrno>

#include "records.h"

namespace tcpsaga::testing {

constexpr Task curl{101, "curl"};
constexpr Task nginx{202, "nginx", 33};

template <class R>
void tell(Correlator& to, Nanos t, Record<R> r)
{
    to.consume(r.at(t).bytes());
}

// ---- those that were there before us ----------------------------------------------------------

inline Process found(const Task& task)
{
    Process p;
    p.pid = task.pid;
    p.uid = task.uid;
    task.comm.copy(p.comm.data(), p.comm.size());
    p.from = PidFrom::snapshot;
    return p;
}

inline SocketRow row(const Socket& s, std::uint64_t cookie, State state, const Process& owner = {})
{
    SocketRow r;
    r.cookie = cookie;
    r.tuple = s.tuple();
    r.family = static_cast<std::uint8_t>(s.family());
    r.state = state;
    if (owner.known())
        r.holders.push_back({owner, 5});
    return r;
}

// ---- whole lives -----------------------------------------------------------------------------

/// Connects, sends 100 and gets 2000 bytes, closes first and stays in TIME_WAIT.
inline void client_life(Correlator& to, const Socket& s = client(), const Task& who = curl)
{
    tell(to, 1000us, s.connect().by(who));
    tell(to, 1250us, s.state(State::syn_sent, State::established).srtt(250).counts(1, 0));
    tell(to, 5000us, s.state(State::established, State::fin_wait1).by(who).counts(101, 2000));
    tell(to, 5100us, s.state(State::fin_wait1, State::fin_wait2).counts(102, 2000));
    tell(to, 5200us, s.time_wait_in(State::fin_wait2, State::time_wait));
    tell(to, 5200us,
         s.state(State::fin_wait2, State::close)
             .counts(102, 2001)
             .srtt(240)
             .flag(TS_FIN_SEEN)
             .flag(TS_ALL_ACKED));
    tell(to, 60'005'200us, s.time_wait_out());
}

/// Is accepted after 40 us, gets 100 and sends 2000 bytes, and is closed by the peer first.
inline void server_life(Correlator& to, const Socket& s = server(), const Task& who = nginx)
{
    tell(to, 1200us, s.birth().queue(3, 0, 128).synack(1000us));
    tell(to, 1201us, s.state(State::syn_recv, State::established).srtt(200));
    tell(to, 1241us, s.accept().queue(3, 1, 128).by(who));
    tell(to, 5050us, s.state(State::established, State::close_wait).counts(2000, 101));
    tell(to, 5150us, s.state(State::close_wait, State::last_ack).by(who).counts(2000, 101));
    tell(to, 5250us,
         s.state(State::last_ack, State::close)
             .counts(2001, 101)
             .srtt(190)
             .retransmits(2)
             .flag(TS_FIN_SEEN)
             .flag(TS_ALL_ACKED));
}

inline void refused_life(Correlator& to, const Socket& s = client(), const Task& who = curl)
{
    tell(to, 1000us, s.connect().by(who));
    tell(to, 1080us, s.state(State::syn_sent, State::close).error(ECONNREFUSED));
}

// ---- of the tracepoint alone, and of TIME_WAIT ---------------------------------------------

/// What the tracepoint alone tells: no exit from TIME_WAIT (and no entry: no such records), and
/// nothing of what connect() returns.
inline Correlator::Config on_tracepoint()
{
    Correlator::Config c;
    c.time_wait_exit_seen = false;
    c.connect_error_seen = false;
    return c;
}

/// The same, on kernels that tell of a child before it has an identity.
inline Correlator::Config on_tracepoint_with_births()
{
    Correlator::Config c = on_tracepoint();
    c.infer_births = true;
    return c;
}

/// SYN_SENT is told before the local port is chosen.
inline Record<ts_state> syn_sent_without_port(const Socket& s)
{
    return s.state(State::close, State::syn_sent).by(curl).port(0);
}

/// Up to FIN_WAIT2, with nothing kept of the news.
inline void to_fin_wait2(Story& story, const Socket& s = client())
{
    story.tell(1ms, s.connect().by(curl))
        .tell(2ms, s.state(State::syn_sent, State::established))
        .tell(3ms, s.state(State::established, State::fin_wait1).by(curl))
        .tell(4ms, s.state(State::fin_wait1, State::fin_wait2));
    story.news();
}

} // namespace tcpsaga::testing
