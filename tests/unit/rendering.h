// SPDX-License-Identifier: BSD-2-Clause
#pragma once
// What presenters print, as text; and the goldens it is compared with.
#include <functional>
#include <string>
#include <vector>

#include "lives.h"
#include "tcpsaga/present.h"
#include "temp_dir.h"

namespace tcpsaga::testing {

std::string read_file(const std::string& path);
std::vector<std::string> lines_of(const std::string& text);

using MakeSink = std::unique_ptr<Sink> (*)(Output&, PresentOptions);

/// Host "web1" in UTC, monotonic 0 = 2023-11-14T22:13:20Z.
PresentOptions plain();

/// All that the presenter prints while `run` tells it events.
std::string render(MakeSink make, const PresentOptions& options,
                   const std::function<void(Sink&)>& run);

/// The same for a correlator's events.
std::string render_records(MakeSink make, const PresentOptions& options,
                           const std::function<void(Correlator&)>& run);

/// Every kind of event at least once: both families, hostile names, all ways to end.
void tell_everything(Sink& to);

/// Compares with golden/`name`; with TCPSAGA_UPDATE_GOLDENS=1 rewrites it.
void expect_golden(const std::string& name, const std::string& text);

} // namespace tcpsaga::testing
