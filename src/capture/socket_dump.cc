// SPDX-License-Identifier: BSD-2-Clause
#include "socket_dump.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "sock_diag.h"

namespace tcpsaga {
namespace {

/// States 1 to 12; TCP_BOUND_INACTIVE (13, Linux 6.8) never was a connection.
constexpr std::uint32_t all_states = (1U << 13U) - 2U;

std::uint64_t less(std::uint64_t from, std::uint64_t what)
{
    return from - std::min(from, what);
}

tcp_info info_of(std::span<const std::byte> attribute)
{
    tcp_info info{}; // what an older kernel does not have stays 0
    std::memcpy(&info, attribute.data(), std::min(attribute.size(), sizeof(info)));
    return info;
}

/// bytes_acked counts a client's SYN, and the FIN, as a byte each; payload is what was sent, less
/// what was sent again and what is in flight. What the host itself failed to send counts there
/// too: so the smaller of both.
std::uint64_t payload_acked(const tcp_info& info, const SocketRow& row)
{
    const bool fin_queued = row.state == State::fin_wait1 || row.state == State::closing ||
                            row.state == State::last_ack;
    const std::uint64_t in_flight = less(less(row.tx_queue, info.tcpi_notsent_bytes),
                                         fin_queued && info.tcpi_notsent_bytes == 0 ? 1 : 0);
    return std::min<std::uint64_t>(info.tcpi_bytes_acked,
                                   less(less(info.tcpi_bytes_sent, info.tcpi_bytes_retrans),
                                        in_flight));
}

/// bytes_received counts the peer's FIN (tcp_rcv_nxt_update).
std::uint64_t payload_received(const tcp_info& info, State state)
{
    const bool fin_seen =
        state == State::close_wait || state == State::last_ack || state == State::closing;
    return less(info.tcpi_bytes_received, fin_seen ? 1 : 0);
}

SocketRow row_of(const inet_diag_msg& m, std::size_t size, std::uint32_t netns)
{
    SocketRow row;
    row.tuple = {
        {local_of(m), ntohs(m.id.idiag_sport)}, {remote_of(m), ntohs(m.id.idiag_dport)}, netns};
    const bool listens = static_cast<State>(m.idiag_state) == State::listen;
    const Address& one = listens ? row.tuple.local.addr : row.tuple.remote.addr;
    row.family = one.is_v4() ? 4 : 6;
    row.state = static_cast<State>(m.idiag_state);
    // Only full sockets come with this attribute, so the rest is a request.
    if (row.state == State::syn_recv && attribute_of(m, size, INET_DIAG_SHUTDOWN).empty())
        row.state = State::new_syn_recv;
    row.cookie = cookie_of(m);
    row.inode = m.idiag_inode;
    row.cgroup = cgroup_of(m, size);
    row.uid = m.idiag_uid;
    row.rx_queue = m.idiag_rqueue;
    row.tx_queue = m.idiag_wqueue;
    row.timer = static_cast<SocketTimer>(m.idiag_timer);
    row.timer_ms = m.idiag_expires;
    row.retries = m.idiag_retrans;
    if (const auto info = attribute_of(m, size, INET_DIAG_INFO); !info.empty())
        add_info(row, info_of(info));
    return row;
}

std::uint32_t this_netns()
{
    struct stat st {};
    return ::stat("/proc/thread-self/ns/net", &st) == 0 ? static_cast<std::uint32_t>(st.st_ino) : 0;
}

} // namespace

void add_info(SocketRow& row, const tcp_info& info)
{
    row.tx_bytes = payload_acked(info, row);
    row.rx_bytes = payload_received(info, row.state);
    row.rtt_us = info.tcpi_rtt;
    row.retransmits = info.tcpi_total_retrans;
}

/// A dump takes several system calls: a socket that changes its state between two of them, or
/// moves along its hash chain, may come twice. The later one is right.
void drop_repeated(std::vector<SocketRow>& rows)
{
    std::vector<std::pair<std::uint64_t, std::size_t>> places; // by cookie
    places.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); i++)
        places.emplace_back(rows[i].cookie, i);
    std::ranges::sort(places);
    std::vector<bool> repeated(rows.size());
    for (std::size_t i = 1; i < places.size(); i++)
        repeated[places[i - 1].second] = places[i - 1].first == places[i].first;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < rows.size(); i++)
        if (!repeated[i] && kept++ != i)
            rows[kept - 1] = std::move(rows[i]);
    rows.resize(kept);
}

std::vector<SocketRow> dump_socket_rows(SocketDetail detail)
{
    const std::uint32_t netns = this_netns();
    const std::uint8_t extensions =
        detail == SocketDetail::with_info ? 1U << (INET_DIAG_INFO - 1U) : 0U;
    std::vector<SocketRow> rows;
    dump_sockets(all_states, extensions, [&](const inet_diag_msg& m, std::size_t size) {
        rows.push_back(row_of(m, size, netns));
    });
    drop_repeated(rows);
    return rows;
}

} // namespace tcpsaga
