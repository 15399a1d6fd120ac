// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "options.h"

namespace tcpsaga {

/// Reads the events of many hosts from a stream, or makes the stream. Returns the exit code.
int run_fleet(const Options& options);

} // namespace tcpsaga
