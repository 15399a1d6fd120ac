// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* All but the records is rare, and kept as JSON: keys may be added, and are optional to read. */
#include <optional>
#include <string>
#include <string_view>

#include "tcpsaga/input.h"

namespace tcpsaga {

/// `i` is no record.
std::string to_json_text(const Input& i);
/// nullopt: not one that this version knows.
std::optional<Input> input_from_json(std::string_view text);

std::string to_json_text(const Origin& o);
std::optional<Origin> origin_from_json(std::string_view text);

} // namespace tcpsaga
