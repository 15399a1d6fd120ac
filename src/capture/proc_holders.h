// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "tcpsaga/owners.h"

namespace tcpsaga {

/// Who holds which socket, of any kind, as the links in /proc/PID/fd name them.
HolderTable read_proc_holders();

} // namespace tcpsaga
