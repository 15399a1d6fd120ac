// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <optional>

#include "tcpsaga/event.h"

namespace tcpsaga {

/// The range of local ports that connect() chooses from in that namespace, and the sockets with
/// one of them that are connected to the destination now. nullopt: the namespace is gone.
std::optional<event::PortUse> look_at_ports(std::uint32_t netns, const Endpoint& destination);

} // namespace tcpsaga
