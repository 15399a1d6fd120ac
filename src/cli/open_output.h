// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdlib>
#include <string_view>

#include "fleet/agent.h"
#include "fleet/place.h"
#include "tcpsaga/output.h"

namespace tcpsaga {

/// "": standard output; nats:// and tls:// are places where many hosts' events meet.
inline Result<std::unique_ptr<Output>> open_output(const std::string& where)
{
    if (fleet::is_place(where)) {
        auto agent = fleet::make_agent(where);
        if (!agent)
            return agent.error();
        return std::make_unique<Output>(std::move(*agent), where);
    }
    return where.empty() ? std::make_unique<Output>() : Output::open(where);
}

/// An Error where `where` is written wrongly.
inline Status check_output_name(const std::string& where)
{
    if (!fleet::is_place(where))
        return Output::check(where);
    const auto place = fleet::parse_place(where);
    return place ? Status(Nothing{}) : place.error();
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
