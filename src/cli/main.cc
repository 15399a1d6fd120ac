// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/core.h>

#include <exception>

#include "check.h"
#include "live.h"
#include "sockets.h"

int main(int argc, char** argv)
{
    try {
        const auto parsed = tcpsaga::parse_arguments(argc, argv);
        if (!parsed.options)
            return parsed.exit_code;
        if (parsed.options->command == tcpsaga::Command::sockets)
            return tcpsaga::run_sockets(*parsed.options);
        return parsed.options->command == tcpsaga::Command::check
                   ? tcpsaga::run_check(*parsed.options)
                   : tcpsaga::run_live(*parsed.options);
    } catch (const std::exception& e) { // out of memory, or a bug
        fmt::print(stderr, "tcpsaga: {}\n", e.what());
        return 1;
    }
}
