// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <string>
#include <vector>

namespace tcpsaga {

/// One HTML file that needs nothing else, of one JSON object per recording.
std::string make_page(const std::vector<std::string>& data);

/// The page before and behind its data, which stand in a script element; made by join.mjs.
struct PageTemplate {
    const char* head;
    const char* tail;
};
extern const PageTemplate page_template;

/// JSON that cannot end the script element that it stands in, nor begin a comment in it.
std::string inside_script(std::string json);

} // namespace tcpsaga
