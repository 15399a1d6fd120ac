// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What the parts of the correlator share. */
#include "tcpsaga/event.h"
#include "tcpsaga/record.h"

namespace tcpsaga {

inline constexpr std::uint64_t address_bit = std::uint64_t{1} << 63; // see ts_head::id

inline std::uint64_t micros(std::uint64_t from_ns, std::uint64_t to_ns)
{
    return to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
}

inline event::Micros span(std::uint64_t from_ns, std::uint64_t to_ns)
{
    return from_ns == 0 ? event::Micros{} : micros(from_ns, to_ns);
}

inline State old_of(const ts_head& h)
{
    return static_cast<State>(h.old_state);
}

inline State new_of(const ts_head& h)
{
    return static_cast<State>(h.new_state);
}

/// The listener (null: not known) as the events show it, whoever owns it now. Its id is the
/// kernel's key, as in the kernel side's totals.
Connection shown_as(const Connection* listener, std::uint64_t id);
/// The same with the packet's addresses.
Connection shown_as(const Connection* listener, const ts_head& h);

inline Process acting_as(const ts_head& h, PidFrom from)
{
    Process p = task_of(h);
    if (p.known())
        p.from = from;
    return p;
}

} // namespace tcpsaga
