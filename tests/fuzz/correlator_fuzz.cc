// SPDX-License-Identifier: BSD-2-Clause
/* Any sequence of well-formed records, and what else the correlator is told in between. Few ids,
 * ports and namespaces, so that records meet. */
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "present.h"

namespace {

using namespace tcpsaga;

struct alignas(8) Record {
    std::array<std::byte, 128> bytes{};
};

std::uint64_t socket_id(FuzzedDataProvider& from)
{
    constexpr std::uint64_t kernel_address = 0xffff888000000000;
    const auto n = from.ConsumeIntegralInRange<std::uint64_t>(0, 7);
    return from.ConsumeBool() ? n : kernel_address + n;
}

ts_head make_head(FuzzedDataProvider& from, std::uint64_t& ts)
{
    ts_head h{};
    ts += from.ConsumeIntegralInRange<std::uint64_t>(0, 1) != 0
              ? from.ConsumeIntegral<std::uint32_t>()
              : 1;
    h.ts_ns = from.ConsumeIntegralInRange(0, 15) == 0 ? from.ConsumeIntegral<std::uint64_t>() : ts;
    h.id = socket_id(from);
    h.netns = from.ConsumeIntegralInRange<std::uint32_t>(1, 2);
    h.kind = from.ConsumeIntegralInRange<std::uint8_t>(1, TS_KINDS - 1);
    h.family = from.ConsumeBool() ? 4 : 6;
    h.flags = from.ConsumeIntegralInRange<std::uint8_t>(0, 15);
    h.detail = from.ConsumeIntegral<std::uint8_t>();
    h.lport = from.ConsumeIntegralInRange<std::uint16_t>(0, 3);
    h.rport = from.ConsumeIntegralInRange<std::uint16_t>(0, 3);
    h.pid = from.ConsumeIntegralInRange<std::uint32_t>(0, 3);
    h.old_state = from.ConsumeIntegralInRange<std::uint8_t>(0, 12);
    h.new_state = from.ConsumeIntegralInRange<std::uint8_t>(0, 12);
    h.error = from.ConsumeBool() ? 0 : from.ConsumeIntegral<std::uint16_t>();
    h.laddr[15] = h.raddr[15] = 1;
    if (h.family == 4)
        h.laddr[10] = h.laddr[11] = h.raddr[10] = h.raddr[11] = 0xff;
    const auto comm = from.ConsumeBytesAsString(from.ConsumeIntegralInRange(0, 16));
    std::memcpy(h.comm, comm.data(), comm.size());
    return h;
}

/// The rest of the record is any bytes, but for where it points to another socket.
Record make_record(FuzzedDataProvider& from, std::uint64_t& ts)
{
    Record r;
    const ts_head head = make_head(from, ts);
    from.ConsumeData(r.bytes.data() + sizeof(head), from.ConsumeBool() ? 32 : 0);
    std::memcpy(r.bytes.data(), &head, sizeof(head));
    if (head.kind == TS_BIRTH || head.kind == TS_ACCEPT) {
        const std::uint64_t listener = socket_id(from);
        std::memcpy(r.bytes.data() + offsetof(ts_queue, listener), &listener, sizeof(listener));
    }
    const auto choose = [&](std::size_t offset, std::uint32_t most) {
        const auto value = from.ConsumeIntegralInRange<std::uint32_t>(0, most);
        std::memcpy(r.bytes.data() + offset, &value, sizeof(value));
    };
    if (head.kind == TS_RETRANSMIT)
        choose(offsetof(ts_retransmit, what), TS_RETRANSMITTED - 1);
    if (head.kind == TS_OVERFLOW)
        choose(offsetof(ts_overflow, kind), TS_OVERFLOW_KINDS - 1);
    return r;
}

PolledListener make_listener(FuzzedDataProvider& from)
{
    PolledListener l;
    l.cookie = from.ConsumeIntegralInRange<std::uint64_t>(0, 7);
    l.tuple.netns = from.ConsumeIntegralInRange<std::uint32_t>(1, 2);
    l.tuple.local.port = from.ConsumeIntegralInRange<std::uint16_t>(0, 3);
    l.acceptq = from.ConsumeIntegral<std::uint32_t>();
    l.acceptq_max = from.ConsumeIntegral<std::uint32_t>();
    l.drops = from.ConsumeIntegral<std::uint32_t>();
    return l;
}

SocketRow make_socket(FuzzedDataProvider& from)
{
    SocketRow s;
    s.cookie = from.ConsumeIntegralInRange<std::uint64_t>(0, 7);
    s.family = from.ConsumeBool() ? 4 : 6;
    s.state = static_cast<State>(from.ConsumeIntegralInRange<int>(0, 12));
    s.tuple.netns = from.ConsumeIntegralInRange<std::uint32_t>(1, 2);
    s.tuple.local.port = from.ConsumeIntegralInRange<std::uint16_t>(0, 3);
    s.tuple.remote.port = from.ConsumeIntegralInRange<std::uint16_t>(0, 3);
    s.rx_queue = from.ConsumeIntegral<std::uint32_t>();
    s.tx_queue = from.ConsumeIntegral<std::uint32_t>();
    if (from.ConsumeBool())
        s.holders.push_back(
            {{from.ConsumeIntegralInRange<std::uint32_t>(1, 3), 0, {'x'}, PidFrom::snapshot}, 3});
    return s;
}

/// Totals as the kernel's maps hold them.
void settle(Correlator& correlator, FuzzedDataProvider& from, std::uint64_t ts)
{
    ListenerTotals listener{};
    listener.key = {socket_id(from), 1, 0};
    for (auto& total : listener.counts.total)
        total = from.ConsumeIntegralInRange<std::uint64_t>(0, 255);
    correlator.settle(std::span(&listener, 1), ts);
    DropTotals drop{};
    drop.key = {from.ConsumeIntegralInRange<std::uint64_t>(0, 3), 1,
                from.ConsumeIntegral<std::uint32_t>()};
    drop.counts.total = from.ConsumeIntegral<std::uint8_t>();
    correlator.settle(std::span(&drop, 1), ts);
    const NetnsTotals netns{1, {from.ConsumeIntegral<std::uint8_t>()}};
    correlator.settle(std::span(&netns, 1));
}

Correlator::Config make_config(FuzzedDataProvider& from)
{
    Correlator::Config c;
    c.capacity = from.ConsumeIntegralInRange<std::size_t>(1, 16);
    c.time_wait_exit_seen = from.ConsumeBool();
    c.connect_error_seen = from.ConsumeBool();
    c.accept_seen = from.ConsumeBool();
    c.infer_births = from.ConsumeBool();
    if (from.ConsumeBool())
        c.filter.pids = {1};
    c.reset_reasons = {"", "NOT_SPECIFIED"};
    c.place_of = [](std::uint64_t) { return std::string("place"); };
    return c;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    FuzzedDataProvider from(data, size);
    fuzz::Presenters presenters;
    Correlator correlator(make_config(from), presenters);
    std::uint64_t ts = 1;
    while (from.remaining_bytes() > 0) {
        const Record r = make_record(from, ts);
        correlator.consume(r.bytes);
        switch (from.ConsumeIntegralInRange(0, 31)) {
        case 0:
            correlator.tell_stuck(from.ConsumeIntegral<std::uint32_t>(), ts);
            break;
        case 1:
            correlator.lost(from.ConsumeIntegral<std::uint8_t>(), event::LostWhere::ring, ts);
            break;
        case 2: {
            const PolledListener l = make_listener(from);
            correlator.on_polled(std::span(&l, 1), ts, from.ConsumeIntegral<std::uint16_t>());
            break;
        }
        case 3: {
            const SocketRow socket = make_socket(from);
            correlator.adopt(std::span(&socket, 1), ts);
            break;
        }
        case 4:
            settle(correlator, from, ts);
            break;
        case 5:
            presenters.on_event({ts, nullptr, {}, correlator.summary()});
            break;
        case 6:
            correlator.tell_evictions(ts);
            break;
        default:
            break;
        }
    }
    fuzz::require(correlator.malformed() == 0);
    const event::Summary s = correlator.summary();
    fuzz::require(s.alive <= 16);
    presenters.on_event({ts, nullptr, {}, s});
    return 0;
}
