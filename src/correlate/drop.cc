// SPDX-License-Identifier: BSD-2-Clause
/* Packets that the kernel dropped, counted and told of as those that met a full queue. */
#include <algorithm>
#include <array>
#include <cstdio>

#include "parts.h"
#include "tcpsaga/correlator.h"

namespace tcpsaga {
namespace {

/// include/net/dropreason-core.h. NOT_SPECIFIED ends what a TIME_WAIT socket was sent, and what
/// drivers have transmitted.
constexpr std::array<std::string_view, 12> ends_without_loss{
    "SKB_NOT_DROPPED_YET", "SKB_CONSUMED", "NOT_SPECIFIED", "OTHERHOST",
    "SOCKET_CLOSE",        "QUEUE_PURGE",  "TCP_RESET",     "TCP_OLD_ACK",
    "TCP_OLD_DATA",        "TCP_OFOMERGE", "TCP_OFO_DROP",  "TCP_OLD_SEQUENCE",
};

/// The kernel's name; a subsystem's own reasons have none in its BTF.
std::string name_of_reason(const ReasonNames& names, std::uint32_t reason)
{
    if (reason == TS_NO_REASON)
        return "";
    if (reason < names.size() && !names[reason].empty())
        return names[reason];
    std::array<char, 11> number{};
    std::snprintf(number.data(), number.size(), "0x%x", reason);
    return number.data();
}

} // namespace

std::array<std::uint64_t, TCPSAGA_DROP_REASONS / 64> no_loss(const ReasonNames& reasons)
{
    std::array<std::uint64_t, TCPSAGA_DROP_REASONS / 64> bits{};
    const std::size_t known = std::min<std::size_t>(reasons.size(), TCPSAGA_DROP_REASONS);
    for (std::size_t i = 0; i < known; i++)
        if (std::ranges::find(ends_without_loss, reasons[i]) != ends_without_loss.end())
            bits.at(i / 64) |= std::uint64_t{1} << (i % 64);
    return bits;
}

void Correlator::on_drop(const ts_drop& r)
{
    const ts_head& h = r.head;
    const ts_drop_key key{r.location, h.netns, r.reason};
    const std::uint64_t n = untold(key, r.total);
    if (n == 0)
        return;
    counts_.drops += n;
    Connection packet;
    packet.tuple = tuple_of(h);
    packet.family = h.family;
    Connection* known = table_.find(packet.tuple);
    emit(known != nullptr ? *known : packet, h.ts_ns, {}, drop_of(key, n));
}

void Correlator::settle(std::span<const DropTotals> totals, std::uint64_t ts_ns)
{
    for (const DropTotals& t : totals) {
        Connection nobody;
        nobody.family = 0;
        nobody.tuple.netns = t.key.netns;
        if (config_.unfiltered && !may_be_wanted(t.key.netns, false))
            continue;
        const std::uint64_t n = untold(t.key, t.counts.total);
        counts_.drops += n;
        if (n > 0)
            emit(nobody, ts_ns, {}, drop_of(t.key, n));
    }
}

/// As for a listener's kinds.
std::uint64_t Correlator::untold(const ts_drop_key& key, std::uint64_t total)
{
    auto& told = told_drops_[{key.location, key.netns, key.reason}];
    const std::uint64_t n = total > told ? total - told : 0;
    told += n;
    return n;
}

event::Drop Correlator::drop_of(const ts_drop_key& key, std::uint64_t n) const
{
    return {name_of_reason(config_.drop_reasons, key.reason),
            config_.place_of ? config_.place_of(key.location) : "", n};
}

} // namespace tcpsaga
