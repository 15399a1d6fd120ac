// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "options.h"

namespace tcpsaga {

/// Prints what this kernel gives for each fact. Exit code: 0 all of it, 3 with losses, 1
/// nothing works.
int run_check(const Options& options);

} // namespace tcpsaga
