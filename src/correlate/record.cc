// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/record.h"

#include <cstring>

namespace tcpsaga {

std::size_t record_size(std::uint8_t kind)
{
    switch (kind) {
    case TS_STATE:
        return sizeof(ts_state);
    case TS_BIRTH:
        return sizeof(ts_birth);
    case TS_LISTEN:
        return sizeof(ts_listen);
    case TS_ACCEPT:
        return sizeof(ts_queue);
    case TS_OVERFLOW:
        return sizeof(ts_overflow);
    case TS_ACCEPT_ERROR:
        return sizeof(ts_accept_error);
    case TS_RETRANSMIT:
        return sizeof(ts_retransmit);
    case TS_DROP:
        return sizeof(ts_drop);
    case TS_RESET:
        return sizeof(ts_reset);
    case TS_CONNECT:
    case TS_TIME_WAIT_IN:
    case TS_TIME_WAIT_TURN:
    case TS_TIME_WAIT_OUT:
    case TS_TIME_WAIT_FULL:
    case TS_CONNECT_ERROR:
    case TS_BIND_ERROR:
    case TS_LISTEN_ERROR:
    case TS_SYNACK_TIMEOUT:
        return sizeof(ts_head);
    default:
        return 0;
    }
}

const ts_head* decode(std::span<const std::byte> bytes)
{
    if (bytes.size() < sizeof(ts_head))
        return nullptr;
    const auto* h = reinterpret_cast<const ts_head*>(bytes.data()); // NOLINT: the wire format
    const std::size_t size = record_size(h->kind);
    if (size == 0 || bytes.size() < size)
        return nullptr;
    constexpr auto last = static_cast<std::uint8_t>(State::new_syn_recv);
    if (h->old_state > last || h->new_state > last || (h->family != 4 && h->family != 6))
        return nullptr;
    return h;
}

Tuple tuple_of(const ts_head& h)
{
    Tuple t;
    std::memcpy(t.local.addr.bytes.data(), h.laddr, 16);
    std::memcpy(t.remote.addr.bytes.data(), h.raddr, 16);
    t.local.port = h.lport;
    t.remote.port = h.rport;
    t.netns = h.netns;
    return t;
}

Process task_of(const ts_head& h)
{
    Process p;
    if ((h.flags & TS_BY_TASK) == 0)
        return p;
    p.pid = h.pid;
    p.uid = h.uid;
    std::memcpy(p.comm.data(), h.comm, sizeof(h.comm));
    p.from = PidFrom::task;
    return p;
}

} // namespace tcpsaga
