// SPDX-License-Identifier: BSD-2-Clause
#include "socket_iter.h"

#include <linux/tcp.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "socket_dump.h"
#include "tcpsaga/abi_snapshot.h"

namespace tcpsaga {
namespace {

/// The kernel's tick, 1 s / CONFIG_HZ: the resolution of its coarse clocks.
std::int64_t tick_ns()
{
    timespec t{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_nsec;
}

/// Late by a tick, or not looked at yet, is now.
std::uint32_t ms_of(std::int32_t ticks, std::int64_t tick)
{
    return static_cast<std::uint32_t>(std::max<std::int64_t>(0, ticks) * tick / 1'000'000);
}

/// Four words in network order.
Address address_of(const __u32* words)
{
    Address a;
    std::memcpy(a.bytes.data(), words, a.bytes.size());
    return a;
}

tcp_info info_of(const ts_socket& s)
{
    tcp_info info{};
    info.tcpi_bytes_acked = s.bytes_acked;
    info.tcpi_bytes_received = s.bytes_received;
    info.tcpi_bytes_sent = s.bytes_sent;
    info.tcpi_bytes_retrans = s.bytes_retrans;
    info.tcpi_notsent_bytes = s.unsent;
    info.tcpi_rtt = s.srtt_us;
    info.tcpi_total_retrans = s.retransmits;
    return info;
}

SocketRow row_of(const ts_socket& s, std::int64_t tick)
{
    SocketRow row;
    row.tuple = {{address_of(s.laddr), s.lport}, {address_of(s.raddr), s.rport}, s.netns};
    row.state = static_cast<State>(s.state);
    const bool listens = row.state == State::listen;
    row.family = (listens ? row.tuple.local : row.tuple.remote).addr.is_v4() ? 4 : 6;
    row.cookie = s.cookie;
    row.inode = s.inode;
    row.uid = s.uid;
    row.rx_queue = s.rx_queue;
    row.tx_queue = s.tx_queue;
    row.timer = static_cast<SocketTimer>(s.timer);
    row.timer_ms = ms_of(s.timer_ticks, tick);
    row.retries = s.retries;
    add_info(row, info_of(s));
    return row;
}

} // namespace

std::vector<SocketRow> iterate_socket_rows(const Iterator& sockets)
{
    std::vector<SocketRow> rows;
    const auto bytes = sockets.read();
    if (!bytes)
        return rows;
    const std::int64_t tick = tick_ns();
    for (const ts_socket& s : rows_of<ts_socket>(*bytes))
        rows.push_back(row_of(s, tick));
    drop_repeated(rows);
    return rows;
}

} // namespace tcpsaga
