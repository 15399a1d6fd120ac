// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "options.h"

namespace tcpsaga {

/// Runs a live command to its end and returns the exit code (product.md, manners).
int run_live(const Options& options);

} // namespace tcpsaga
