// SPDX-License-Identifier: BSD-2-Clause
#include <nlohmann/json.hpp>

#include "host_text.h"
#include "recording/json.h"

namespace tcpsaga::fleet {

using nlohmann::json;

std::string host_text(const Origin& origin, const Settings& settings)
{
    json j{{"v", 1}, {"host", origin.host}, {"origin", json::parse(to_json_text(origin))}};
    j["settings"] = json::parse(to_json(settings));
    return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<HostText> parse_host_text(const std::string& text)
{
    const json j = json::parse(text, nullptr, false);
    if (!j.is_object() || !j.contains("origin") || !j.contains("settings"))
        return {};
    auto origin = origin_from_json(j["origin"].dump());
    auto settings = settings_from_json(j["settings"].dump());
    if (!origin || !settings)
        return {};
    return HostText{std::move(*origin), std::move(*settings)};
}

} // namespace tcpsaga::fleet
