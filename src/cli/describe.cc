// SPDX-License-Identifier: BSD-2-Clause
#include "describe.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tcpsaga {
namespace {

std::string listed(const std::set<CLI::Option*>& options)
{
    std::string text;
    for (const CLI::Option* o : options)
        text += (text.empty() ? "" : ", ") + o->get_name();
    return text;
}

bool takes_many(const CLI::Option& option)
{
    return option.get_expected_max() >= CLI::detail::expected_max_vector_size;
}

/// CLI11 has "KIND[,KIND]:{listen,unlisten}" for the type and what is checked. A ':' in brackets is
/// the type's own.
std::string value_of(const CLI::Option& option)
{
    const std::string type = option.get_type_name();
    const auto bracket = type.find(']');
    const auto colon = type.find(':');
    const bool inside = bracket != std::string::npos && type.find('[') < colon && colon < bracket;
    return type.substr(0, inside ? type.find(':', bracket) : colon);
}

std::string choices_of(const CLI::Option& option)
{
    const std::string type = option.get_type_name();
    const auto begin = type.find(":{");
    return begin == std::string::npos ? "" : type.substr(begin + 2, type.size() - begin - 3);
}

using Json = nlohmann::ordered_json;

void describe_value(const CLI::Option& option, Json& to)
{
    to["value"] = value_of(option);
    if (const std::string choices = choices_of(option); !choices.empty())
        for (const auto& choice : CLI::detail::split(choices, ','))
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

std::string Help::make_usage(const CLI::App* app, std::string name) const
{
    std::string text = "Usage: " + name;
    for (const CLI::Option* o : app->get_options([](const auto* o) { return o->get_positional(); }))
        text += " " + o->get_name(true) + (takes_many(*o) ? "..." : "");
    if (!app->get_subcommands([](const auto*) { return true; }).empty())
        text += " [COMMAND]";
    return text + " [OPTION...]\n";
}

std::string Help::make_option_opts(const CLI::Option* option) const
{
    if (option->get_positional())
        return takes_many(*option) ? "..." : "";
    return option->get_type_size() == 0 ? "" : " " + value_of(*option);
}

std::string Help::make_option_desc(const CLI::Option* option) const
{
    std::string text = option->get_description();
    std::string choices = choices_of(*option);
    std::string as_value = choices;
    std::ranges::replace(as_value, ',', '|');
    if (!choices.empty() && value_of(*option) != as_value) {
        for (auto at = choices.find(','); at != std::string::npos; at = choices.find(',', at + 2))
            choices.insert(at + 1, " ");
        text += ": " + choices;
    }
    if (!option->get_needs().empty())
        text += "; only with " + listed(option->get_needs());
    if (!option->get_excludes().empty())
        text += "; not with " + listed(option->get_excludes());
    return text;
}

std::string complaint(const CLI::ParseError& e, const CLI::App* of)
{
    std::string what = e.what();
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&e) != nullptr)
        return what.substr(0, what.find(':')) + " wants a value";
    if (dynamic_cast<const CLI::ExtrasError*>(&e) == nullptr || of == nullptr)
        return what;
    const auto extras = of->remaining(true);
    if (extras.empty())
        return what;
    const std::string& first = extras.front();
    return first.starts_with('-') ? of->get_name() + " has no option '" + first + "'"
                                  : "'" + first + "' is one argument too many";
}

void print_description(const CLI::App& app)
{
    Json d = describe(app);
    d["version"] = TCPSAGA_VERSION;
    std::puts(d.dump(1).c_str());
}

} // namespace tcpsaga
