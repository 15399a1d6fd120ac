// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <string>
#include <vector>

#include "options.h"
#include "tcpsaga/event.h"
#include "tcpsaga/output.h"

namespace tcpsaga {

/// An error where the output is one of the recordings, or a page would go to a terminal.
Status check_output(const Options& options);

/// What a Report has gathered, as a JSON object; "" of another presenter.
std::string report_of(const Sink& presenter, const std::string& file,
                      const std::vector<std::string>& damage);

/// The page of these objects, or with --json the objects. A regular file is emptied first.
void print_report(Output& out, const Options& options, const std::vector<std::string>& data);

} // namespace tcpsaga
