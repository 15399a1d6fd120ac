// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "tcpsaga/input.h"

namespace tcpsaga {

/// A summary to a person, on standard error.
void tell_summary(const event::Summary& s, const Origin& from);

} // namespace tcpsaga
