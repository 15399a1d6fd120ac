// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* How the options are told of: by --help, in complaints and to scripts/package/docs.py; without the
 * names that CLI11 has for types and checks. */
#include <CLI/CLI.hpp>
#include <string>

namespace tcpsaga {

class Help : public CLI::Formatter {
public:
    std::string make_usage(const CLI::App* app, std::string name) const override;
    std::string make_option_opts(const CLI::Option* option) const override;
    std::string make_option_desc(const CLI::Option* option) const override;
};

/// What is wrong, of the command `of` (null: before there is one), in one line.
std::string complaint(const CLI::ParseError& e, const CLI::App* of);

/// All commands and their options as JSON, to standard output.
void print_description(const CLI::App& app);

} // namespace tcpsaga
