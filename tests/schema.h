// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <nlohmann/json.hpp>
#include <string>

/// What docs/schema/event-v1.json has against this event, a line each; "" = nothing.
std::string schema_errors(const nlohmann::json& event);
