// SPDX-License-Identifier: BSD-2-Clause
#include "describe.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace tcpsaga {
namespace {

using Json = nlohmann::ordered_json;

/// CLI11 has "KIND[,KIND]:{listen,unlisten}" for the type and what is checked.
void describe_value(const CLI::Option& option, Json& to)
{
    const std::string type = option.get_type_name();
    const auto colon = type.find(':');
    to["value"] = type.substr(0, colon);
    if (colon == std::string::npos || type[colon + 1] != '{')
        return;
    for (const auto& choice :
         CLI::detail::split(type.substr(colon + 2, type.size() - colon - 3), ','))
        to["choices"].push_back(choice);
}

Json describe(const CLI::Option& option)
{
    Json d;
    d["names"] = Json::array();
    for (const auto& name : option.get_snames())
        d["names"].push_back("-" + name);
    for (const auto& name : option.get_lnames())
        d["names"].push_back("--" + name);
    if (d["names"].empty())
        d["positional"] = option.get_name(true);
    d["help"] = option.get_description();
    d["group"] = option.get_group();
    if (option.get_items_expected_max() > 0)
        describe_value(option, d);
    return d;
}

// NOLINTNEXTLINE(misc-no-recursion): commands are two levels deep
Json describe(const CLI::App& app)
{
    Json d;
    d["name"] = app.get_name();
    d["help"] = app.get_description();
    d["options"] = Json::array();
    for (const CLI::Option* option : app.get_options())
        if (!option->get_group().empty()) // else it is hidden
            d["options"].push_back(describe(*option));
    d["commands"] = Json::array();
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
        if (!command->get_group().empty())
            d["commands"].push_back(describe(*command));
    return d;
}

} // namespace

void print_description(const CLI::App& app)
{
    Json d = describe(app);
    d["version"] = TCPSAGA_VERSION;
    std::puts(d.dump(1).c_str());
}

} // namespace tcpsaga
