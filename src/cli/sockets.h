// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "options.h"

namespace tcpsaga {

/// Prints every TCP socket that is asked for, or how many there are, and returns the exit code.
int run_sockets(const Options& options);

} // namespace tcpsaga
