// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tcpsaga/event.h"

namespace tcpsaga {

/// What is counted over time. Behind these come the ways to end, by End.
enum class Series : std::uint8_t {
    opened,   ///< SYNs sent for a new connection
    arrived,  ///< children made
    accepted, ///< children that accept() returned
    closed,
    accept_queue, ///< packets that met a full queue: this one,
    syn_queue,    ///< or this one
    accept_error, ///< accept() failed
    connect_error,
    re_syn, ///< segments sent again, by Retransmitted
    re_synack,
    re_data,
    re_fin,
    time_wait_in,
    time_wait_out,
    ends,
};

inline constexpr std::size_t series_count =
    static_cast<std::size_t>(Series::ends) + event::Summary::ends;

constexpr Series series_of(event::End e)
{
    return static_cast<Series>(static_cast<std::size_t>(Series::ends) +
                               static_cast<std::size_t>(e));
}

/// Two to each doubling, from a microsecond to a minute; what is longer is in the last.
inline constexpr std::size_t wait_rows = 52;
/// Row r holds waits from 2^(r/2) to 2^((r+1)/2) us; the first one those of 0 too.
std::size_t wait_row(std::uint64_t us);

struct Bin {
    std::array<std::uint64_t, series_count> counts{};
    std::array<std::uint64_t, wait_rows> waits{}; ///< for accept(), by their length

    [[nodiscard]] std::uint64_t of(Series s) const
    {
        return counts.at(static_cast<std::size_t>(s));
    }
};

/// Counts over time, in bins of one width that begin at multiples of it in UTC. When there are too
/// many, neighbours are joined to ones of the next width. All times are UTC nanoseconds.
class Bins {
public:
    static constexpr std::size_t most = 600;

    explicit Bins(std::int64_t begin_ns);
    /// What is before the beginning counts there.
    void add(std::int64_t utc_ns, Series s, std::uint64_t n = 1);
    void add_wait(std::int64_t utc_ns, std::uint64_t us);
    /// Empty ones up to this time.
    void extend(std::int64_t utc_ns) { at(utc_ns); }

    [[nodiscard]] const std::vector<Bin>& all() const { return bins_; }
    [[nodiscard]] std::uint64_t width_ms() const { return width_ms_; }
    [[nodiscard]] std::uint64_t first_ms() const { return first_ * width_ms_; }

private:
    Bin& at(std::int64_t utc_ns);
    void widen();

    std::uint64_t width_ms_;
    std::uint64_t first_; ///< in units of the width
    std::vector<Bin> bins_;
};

} // namespace tcpsaga
