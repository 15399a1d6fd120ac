// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <memory>
#include <string>

#include "engine.h"
#include "place.h"

namespace tcpsaga::fleet {

/// Sends to JetStream: a message is kept once the stream's leader has acknowledged it.
std::unique_ptr<Engine> make_nats_engine(Place place, std::string client_name);

} // namespace tcpsaga::fleet
