// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/core.h>

#include <exception>

#include "check.h"
#include "fleet.h"
#include "live.h"
#include "replay.h"
#include "sockets.h"

int main(int argc, char** argv)
{
    try {
        const auto parsed = tcpsaga::parse_arguments(argc, argv);
        if (!parsed.options)
            return parsed.exit_code;
        switch (parsed.options->command) {
        case tcpsaga::Command::check:
            return tcpsaga::run_check(*parsed.options);
        case tcpsaga::Command::replay:
            return tcpsaga::run_replay(*parsed.options);
        case tcpsaga::Command::fleet:
            return tcpsaga::run_fleet(*parsed.options);
        case tcpsaga::Command::sockets:
            return tcpsaga::run_sockets(*parsed.options);
        default:
            return tcpsaga::run_live(*parsed.options);
        }
    } catch (const std::exception& e) { // out of memory, or a bug
        fmt::print(stderr, "tcpsaga: {}\n", e.what());
        return 1;
    }
}
