// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/compile.h>

#include "printed_sockets.h"
#include "room.h"
#include "tcpsaga/present.h"
#include "tcpsaga/sockets.h"

namespace tcpsaga {
namespace {

/// Writes one object a line, key by key.
class Line {
public:
    Line(Output& out, std::string_view event, const SocketPrint& how) : out_(out)
    {
        append(R"({"v":1,"ts":")");
        append_rfc3339(buffer_, how.utc_ns);
        append(R"(","event":")");
        append(event);
        append(R"(","host":)");
        append_json_string(buffer_, how.host);
    }
    ~Line() // NOLINT(bugprone-exception-escape): without memory it ends
    {
        append("}\n");
        out_.line_done();
    }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    void number(std::string_view key, std::uint64_t value)
    {
        fmt::format_to(std::back_inserter(buffer_), FMT_COMPILE(",\"{}\":{}"), key, value);
    }
    void text(std::string_view key, std::string_view value)
    {
        fmt::format_to(std::back_inserter(buffer_), FMT_COMPILE(",\"{}\":"), key);
        append_json_string(buffer_, value);
    }
    void home(const Home& home)
    {
        if (!home.cgroup.empty())
            append_home(buffer_, home);
    }
    /// The server's, in a client's line.
    void peer(const SocketRow& row)
    {
        append(R"(,"peer":{"conn":)");
        fmt::format_to(std::back_inserter(buffer_), FMT_COMPILE("{}"), row.cookie);
        number("netns", row.tuple.netns);
        text("state", state_of(row));
        if (!row.holders.empty()) {
            number("pid", row.holders[0].process.pid);
            text("comm", row.holders[0].process.name());
        }
        number("rx_queue", row.rx_queue);
        number("tx_queue", row.tx_queue);
        append("}");
    }
    void holders(const std::vector<Holder>& all)
    {
        const char* separator = R"(,"holders":[)";
        for (const Holder& h : all) {
            fmt::format_to(std::back_inserter(buffer_), R"({}{{"pid":{},"comm":)", separator,
                           h.process.pid);
            append_json_string(buffer_, h.process.name());
            number("uid", h.process.uid);
            number("fd", static_cast<std::uint64_t>(h.fd));
            if (h.inner_pid != 0 && h.inner_pid != h.process.pid)
                number("ns_pid", h.inner_pid);
            append("}");
            separator = ",";
        }
        append("]");
    }

private:
    void append(std::string_view text) { tcpsaga::append(buffer_, text); }

    Output& out_;
    fmt::memory_buffer& buffer_ = out_.buffer();
};

void put_place(Line& line, const SocketRow& row, const SocketNames& names)
{
    const Tuple& t = row.tuple;
    line.number("conn", row.cookie);
    line.number("netns", t.netns);
    if (const std::string name = names.netns ? names.netns(t.netns) : ""; !name.empty())
        line.text("netns_name", name);
    line.text("family", row.family == 4 ? "ipv4" : "ipv6");
    line.text("laddr", to_string(t.local.addr));
    line.number("lport", t.local.port);
    if (t.remote.port == 0)
        return;
    line.text("raddr", to_string(t.remote.addr));
    line.number("rport", t.remote.port);
    line.text("community_id", community_id(t));
}

void put_holders(Line& line, const SocketRow& row, const SocketPrint& how)
{
    if (row.holders.empty())
        return;
    const Holder& first = row.holders[0];
    line.number("pid", first.process.pid);
    line.text("comm", first.process.name());
    if (const std::string text = how.command ? how.command(first.process.pid) : ""; !text.empty())
        line.text("cmdline", text);
    line.text("pid_from", name_of(first.process.from));
    if (how.names.home)
        line.home(how.names.home(first.process.pid));
    line.number("fd", static_cast<std::uint64_t>(first.fd));
    if (row.holders.size() > 1)
        line.holders(row.holders);
}

void put_content(Line& line, const SocketRow& row)
{
    line.text("state", state_of(row));
    if (row.state == State::listen || carries_data(row))
        line.number("uid", row.uid); // small sockets are nobody's
    if (row.inode != 0)
        line.number("inode", row.inode);
    line.number("rx_queue", row.rx_queue);
    line.number("tx_queue", row.tx_queue);
    if (row.timer != SocketTimer::off) {
        line.text("timer", name_of(row.timer));
        line.number("timer_ms", row.timer_ms);
        line.number("retries", row.retries);
    }
    if (!carries_data(row))
        return;
    line.number("tx_bytes", row.tx_bytes);
    line.number("rx_bytes", row.rx_bytes);
    if (row.rtt_us != 0)
        line.number("srtt_us", row.rtt_us);
    line.number("retransmits", row.retransmits);
}

} // namespace

void print_sockets_json(Output& out, const ChosenSockets& sockets, const SocketPrint& how)
{
    for (const auto& [row, server] : PrintedSockets(sockets, how.pairs)) {
        Line line(out, "socket", how);
        put_place(line, *row, how.names);
        put_holders(line, *row, how);
        put_content(line, *row);
        if (server != nullptr)
            line.peer(*server);
    }
}

void print_counts_json(Output& out, const std::vector<SocketCount>& counts,
                       const std::vector<SocketKey>& keys, const SocketPrint& how)
{
    std::string by;
    for (const SocketKey key : keys)
        by += (by.empty() ? "" : ",") + std::string(name_of(key));
    for (const SocketCount& count : counts) {
        Line line(out, "socket_count", how);
        std::string key;
        for (const std::string& value : count.keys)
            key += (&value == count.keys.data() ? "" : ",") + value;
        line.text("by", by);
        line.text("key", key);
        for (std::size_t i = 0; i < keys.size(); i++)
            line.text(name_of(keys[i]), count.keys[i]);
        line.number("n", count.n);
    }
}

} // namespace tcpsaga
