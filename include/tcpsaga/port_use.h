// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <optional>

#include "tcpsaga/event.h"

namespace tcpsaga {

/// The sockets of the destination's namespace that are connected there now, TIME_WAIT apart,
/// and the range of local ports that connect() chooses from. nullopt: the namespace is gone.
std::optional<event::PortUse> look_at_ports(std::uint32_t netns, const Endpoint& destination);

} // namespace tcpsaga
