// SPDX-License-Identifier: BSD-2-Clause
#include "page.h"

namespace tcpsaga {

/// '<' occurs in JSON's strings only; without one no tag and no comment begins (HTML, 13.2.5.4).
std::string inside_script(std::string json)
{
    for (std::size_t at = 0; (at = json.find('<', at)) != std::string::npos;)
        json.replace(at, 1, "\\u003c");
    return json;
}

std::string make_page(const std::vector<std::string>& data)
{
    std::string page = page_template.head;
    page += '[';
    for (std::size_t i = 0; i < data.size(); i++)
        page += (i == 0 ? "" : ",\n") + inside_script(data[i]);
    page += ']';
    page += page_template.tail;
    return page;
}

} // namespace tcpsaga
