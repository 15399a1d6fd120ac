// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <vector>

#include "tcpsaga/finding.h"
#include "tcpsaga/present.h"

namespace tcpsaga {

/// Short, the most important first, each remedy as a line to copy.
void print_findings_text(Output& out, const PresentOptions& options,
                         const std::vector<Finding>& findings, const Evidence& evidence);
/// One JSON object per finding (docs/doctor.md).
void print_findings_json(Output& out, const PresentOptions& options,
                         const std::vector<Finding>& findings, const Evidence& evidence);

} // namespace tcpsaga
