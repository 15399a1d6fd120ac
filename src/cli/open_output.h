// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdlib>
#include <string_view>

#include "tcpsaga/output.h"

namespace tcpsaga {

/// "": standard output.
inline Result<std::unique_ptr<Output>> open_output(const std::string& path)
{
    return path.empty() ? std::make_unique<Output>() : Output::open(path);
}

/// What a terminal's user wants, by NO_COLOR (no-color.org: empty is as unset) and TERM; null:
/// unset.
inline bool color_is_welcome(const char* no_color = std::getenv("NO_COLOR"),
                             const char* term = std::getenv("TERM"))
{
    const bool refused = no_color != nullptr && *no_color != '\0';
    return !refused && (term == nullptr || std::string_view(term) != "dumb");
}

} // namespace tcpsaga
