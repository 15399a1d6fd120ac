// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "options.h"
#include "tcpsaga/input.h"
#include "tcpsaga/probe.h"

namespace tcpsaga {

/// This host now, and a run with these options. `counts_misses`: of the tracer.
Origin origin_of(const Options& options, const Plan& plan, const KernelProber& kernel,
                 bool counts_misses);

} // namespace tcpsaga
