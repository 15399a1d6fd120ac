// SPDX-License-Identifier: BSD-2-Clause
#include "shared_text.h"

#include "json_keys.h"
#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

void put_address(Room& room, const Address& a)
{
    room.put('"');
    room.address(a);
    room.put('"');
}

/// 267 bytes at most.
void write(Room& room, const Connection& c, std::string_view community)
{
    const Keys keys{room};
    if (c.id != 0)
        keys.number("conn", c.id);
    keys.number("netns", c.tuple.netns);
    if (c.family == 0)
        return;
    keys.name("family", c.family == 4 ? "ipv4" : "ipv6");
    begin(room, "laddr");
    put_address(room, c.tuple.local.addr);
    if (c.tuple.local.port != 0)
        keys.number("lport", c.tuple.local.port);
    if (c.tuple.remote.port != 0) { // a listener has no peer
        begin(room, "raddr");
        put_address(room, c.tuple.remote.addr);
        keys.number("rport", c.tuple.remote.port);
        if (c.tuple.local.port != 0)
            keys.name("community_id", community);
    }
    keys.name("role", name_of(c.role));
}

} // namespace

std::string_view CommunityIds::of(const Connection& c, bool is_first)
{
    const std::uint64_t ends = TupleHash::ends(c.tuple);
    if (Entry& e = entries_[c.id & (entries_.size() - 1)]; e.id == c.id && e.ends == ends)
        return {e.text.data(), e.text.size()};
    if (!is_first)
        note_forgotten();
    Entry& e = entries_[c.id & (entries_.size() - 1)];
    e.id = c.id;
    e.ends = ends;
    write_community_id(e.text.data(), c.tuple);
    return {e.text.data(), e.text.size()};
}

/// More connections live at once than there is room for.
void CommunityIds::note_forgotten()
{
    constexpr std::size_t most = std::size_t{1} << 17; // 6 MB
    if (++forgotten_ <= entries_.size() || entries_.size() == most)
        return;
    forgotten_ = 0;
    const std::vector<Entry> old = std::exchange(entries_, std::vector<Entry>(entries_.size() * 2));
    for (const Entry& e : old)
        entries_[e.id & (entries_.size() - 1)] = e;
}

std::string_view SharedText::of(const Connection& c, std::uint64_t ts_ns)
{
    Entry& e = entries_[c.id % entries_.size()];
    if (e.id != c.id || e.role != c.role || e.family != c.family || e.tuple != c.tuple) {
        e.id = c.id;
        e.role = c.role;
        e.family = c.family;
        e.tuple = c.tuple;
        const bool connected = c.tuple.local.port != 0 && c.tuple.remote.port != 0;
        Room room(e.text.data());
        write(room, c, connected ? ids_.of(c, c.started_ns == ts_ns) : std::string_view());
        e.size = static_cast<std::size_t>(room.at() - e.text.data());
    }
    return {e.text.data(), e.size};
}

} // namespace tcpsaga
