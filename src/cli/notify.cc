// SPDX-License-Identifier: BSD-2-Clause
#include "notify.h"

#ifdef TCPSAGA_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace tcpsaga {

void notify_service([[maybe_unused]] const char* state)
{
#ifdef TCPSAGA_SYSTEMD
    sd_notify(0, state);
#endif
}

} // namespace tcpsaga
