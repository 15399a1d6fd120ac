// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "tcpsaga/abi.h"
#include "tcpsaga/connection.h"

namespace tcpsaga {

/// The bytes of a record of this kind (enum ts_kind); 0 for one that is not known.
std::size_t record_size(std::uint8_t kind);

/// A record of the ring or of a recording, checked: the kind is known, the size fits it,
/// family and states are ones the kernel has. Null otherwise. The bytes must be aligned
/// to 8 (the ring's are) and outlive the result.
const ts_head* decode(std::span<const std::byte> bytes);

/// The whole record behind a head of the kind that carries a T.
template <class T>
const T& as(const ts_head& h)
{
    return reinterpret_cast<const T&>(h); // NOLINT: the ABI puts the head first
}

Tuple tuple_of(const ts_head& h);
/// The acting process; unknown when the record does not carry one.
Process task_of(const ts_head& h);

} // namespace tcpsaga
