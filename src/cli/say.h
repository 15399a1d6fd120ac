// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <fmt/core.h>

#include "tcpsaga/result.h"

namespace tcpsaga {

/// A line to the person: on standard error, with our name.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args)
{
    fmt::print(stderr, "tcpsaga: {}\n", fmt::format(format, std::forward<Args>(args)...));
}

/// Says the error; the exit code for it.
inline int fail(const Error& e)
{
    say("{}", e.message());
    return 1;
}

} // namespace tcpsaga
