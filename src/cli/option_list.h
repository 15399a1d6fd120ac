// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "options.h"

namespace tcpsaga {

/// As typed, before it is understood.
struct Raw {
    std::vector<std::string> cidrs, netns;
    std::string cgroup;
    bool only_v4 = false;
    bool only_v6 = false;
    std::string attach = "auto";
};

/// All commands with their options, which go to `o`, or as typed to `raw`.
void add_commands(CLI::App& app, Options& o, Raw& raw);

} // namespace tcpsaga
