// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace tcpsaga {

/// Tells the service manager that started us (sd_notify(3): "READY=1"); nobody without one.
void notify_service(const char* state);

} // namespace tcpsaga
