// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "tcpsaga/abi.h"
#include "tcpsaga/connection.h"

namespace tcpsaga {

/// The bytes of a record of this kind (enum ts_kind); 0 for one that is not known.
std::size_t record_size(std::uint8_t kind);

/// record_size() of every kind.
extern const std::array<std::uint16_t, 256> record_sizes;

/// A record of the ring or of a recording, checked: the kind is known, the size fits it,
/// family and states are ones the kernel has. Null otherwise. The bytes must be aligned
/// to 8 (the ring's are) and outlive the result.
inline const ts_head* decode(std::span<const std::byte> bytes)
{
    if (bytes.size() < sizeof(ts_head))
        return nullptr;
    const auto* h = reinterpret_cast<const ts_head*>(bytes.data()); // NOLINT: the wire format
    const std::size_t size = record_sizes[h->kind]; // NOLINT(*-constant-array-index)
    if (size == 0 || bytes.size() < size)
        return nullptr;
    constexpr auto last = static_cast<std::uint8_t>(State::new_syn_recv);
    if (h->old_state > last || h->new_state > last || (h->family != 4 && h->family != 6))
        return nullptr;
    return h;
}

/// The whole record behind a head of the kind that carries a T.
template <class T>
const T& as(const ts_head& h)
{
    return reinterpret_cast<const T&>(h); // NOLINT: the ABI puts the head first
}

inline Tuple tuple_of(const ts_head& h)
{
    Tuple t;
    std::memcpy(t.local.addr.bytes.data(), h.laddr, 16);
    std::memcpy(t.remote.addr.bytes.data(), h.raddr, 16);
    t.local.port = h.lport;
    t.remote.port = h.rport;
    t.netns = h.netns;
    return t;
}
/// The acting process; unknown when the record does not carry one.
inline Process task_of(const ts_head& h)
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
