// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <optional>
#include <string>

#include "tcpsaga/input.h"
#include "tcpsaga/settings.h"

namespace tcpsaga::fleet {

/// What the lines of a host do not say, and findings need: which hooks were there, and how it is
/// set.
struct HostText {
    Origin origin;
    Settings settings;
};

/// One JSON object, for Carrier::about_host().
std::string host_text(const Origin& origin, const Settings& settings);
/// nullopt: it is no such text.
std::optional<HostText> parse_host_text(const std::string& text);

} // namespace tcpsaga::fleet
