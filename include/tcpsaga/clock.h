// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <ctime>

namespace tcpsaga {

/// Nanoseconds that `clock` (clock_gettime(2)) shows.
inline std::int64_t now_ns(clockid_t clock)
{
    timespec t{};
    clock_gettime(clock, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

} // namespace tcpsaga
