// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "options.h"

namespace tcpsaga {

/// Runs trace or life on recordings; the exit code. 1: one is broken, after all that could be read
/// of it was printed.
int run_replay(const Options& options);

} // namespace tcpsaga
