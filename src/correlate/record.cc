// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/record.h"

namespace tcpsaga {
namespace {

constexpr std::size_t size_of(unsigned kind)
{
    switch (kind) {
    case TS_STATE:
        return sizeof(ts_state);
    case TS_BIRTH:
        return sizeof(ts_birth);
    case TS_LISTEN:
        return sizeof(ts_listen);
    case TS_ACCEPT:
        return sizeof(ts_queue);
    case TS_OVERFLOW:
        return sizeof(ts_overflow);
    case TS_ACCEPT_ERROR:
        return sizeof(ts_accept_error);
    case TS_RETRANSMIT:
        return sizeof(ts_retransmit);
    case TS_DROP:
        return sizeof(ts_drop);
    case TS_RESET:
        return sizeof(ts_reset);
    case TS_CONNECT:
    case TS_TIME_WAIT_IN:
    case TS_TIME_WAIT_TURN:
    case TS_TIME_WAIT_OUT:
    case TS_TIME_WAIT_FULL:
    case TS_CONNECT_ERROR:
    case TS_BIND_ERROR:
    case TS_LISTEN_ERROR:
    case TS_SYNACK_TIMEOUT:
        return sizeof(ts_head);
    default:
        return 0;
    }
}

} // namespace

constexpr std::array<std::uint16_t, 256> record_sizes = [] {
    std::array<std::uint16_t, 256> sizes{};
    for (unsigned kind = 0; kind < sizes.size(); kind++)
        sizes[kind] = static_cast<std::uint16_t>(size_of(kind));
    return sizes;
}();

std::size_t record_size(std::uint8_t kind)
{
    return record_sizes[kind];
}

} // namespace tcpsaga
