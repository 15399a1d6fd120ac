// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <fmt/core.h>

#include "tcpsaga/present.h"
#include "tcpsaga/result.h"

namespace tcpsaga {

/// A line to the person: on standard error, with our name. Nothing in it can steer a terminal.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args)
{
    fmt::memory_buffer line; // at once: others may write to standard error too
    fmt::format_to(std::back_inserter(line), "tcpsaga: ");
    append_visible(line, fmt::format(format, std::forward<Args>(args)...));
    line.push_back('\n');
    std::fwrite(line.data(), 1, line.size(), stderr);
}

/// Says the error; the exit code for it.
inline int fail(const Error& e)
{
    say("{}", e.message());
    return 1;
}

} // namespace tcpsaga
