// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <memory>
#include <string>

#include "tcpsaga/output.h"
#include "tcpsaga/result.h"

namespace tcpsaga::fleet {

/// Lines to a place (place.h). An Error: it is written wrongly, or its spool cannot be used; that
/// the engine cannot be reached is none.
Result<std::unique_ptr<Carrier>> make_agent(const std::string& where);

} // namespace tcpsaga::fleet
