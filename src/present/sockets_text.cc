// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "printed_sockets.h"
#include "room.h"
#include "tcpsaga/present.h"
#include "tcpsaga/sockets.h"

namespace tcpsaga {
namespace {

struct Column {
    std::string title;
    bool right = false;
};

/// Code points: what a terminal gives a place each, for nearly all names that there are.
std::size_t width_of(std::string_view text)
{
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) {
        return (c & 0xc0) != 0x80;
    }));
}

/// Lines of columns, each as wide as its widest cell, within bounds: one long cell pushes its own
/// line only.
class Table {
public:
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns))
    {
        for (const Column& c : columns_)
            widths_.push_back(c.title.size());
    }

    void add(std::vector<std::string> cells)
    {
        constexpr std::size_t most = 48; // an IPv6 end in full
        for (std::size_t i = 0; i < cells.size(); i++)
            widths_[i] = std::max(widths_[i], std::min(width_of(cells[i]), most));
        lines_.push_back(std::move(cells));
    }

    void print(Output& out, bool color) const
    {
        std::vector<std::string> titles;
        titles.reserve(columns_.size());
        for (const Column& c : columns_)
            titles.push_back(c.title);
        auto& to = out.buffer();
        append(to, color ? "\x1b[1m" : "");
        put(to, titles);
        append(to, color ? "\x1b[0m\n" : "\n");
        for (const auto& line : lines_) {
            put(to, line);
            to.push_back('\n');
            out.line_done();
        }
    }

private:
    void put(fmt::memory_buffer& to, const std::vector<std::string>& cells) const
    {
        std::size_t owed = 0; // spaces, when something follows
        for (std::size_t i = 0; i < cells.size(); i++) {
            const std::size_t pad = widths_[i] - std::min(widths_[i], width_of(cells[i]));
            owed += columns_[i].right ? pad : 0;
            if (!cells[i].empty()) {
                for (; owed > 0; owed--)
                    to.push_back(' ');
                append(to, cells[i]);
            }
            owed += (columns_[i].right ? 0 : pad) + 2;
        }
    }

    std::vector<Column> columns_;
    std::vector<std::size_t> widths_;
    std::vector<std::vector<std::string>> lines_;
};

/// "812/nginx,813/nginx": each process once, however many descriptors it has.
std::string processes_of(const SocketRow& row)
{
    std::string text;
    std::uint32_t last = 0;
    for (const Holder& h : row.holders) {
        if (h.process.pid == last)
            continue;
        last = h.process.pid;
        text += (text.empty() ? "" : ",") + std::to_string(last) + "/" + visible(h.process.name());
    }
    return text.empty() ? "-" : text;
}

/// "keepalive (118.62/0)": seconds until it fires, retransmissions or probes so far.
std::string timer_of(const SocketRow& row)
{
    if (row.timer == SocketTimer::off)
        return "-";
    return fmt::format("{} ({}.{:02}/{})", name_of(row.timer), row.timer_ms / 1000,
                       row.timer_ms % 1000 / 10, row.retries);
}

std::string millis(std::uint32_t us)
{
    return us == 0 ? "-" : fmt::format("{}.{:03}", us / 1000, us % 1000);
}

std::string netns_text(std::uint32_t inode, const SocketNames& names)
{
    const std::string name = names.netns ? visible(names.netns(inode)) : "";
    return name.empty() ? std::to_string(inode) : name;
}

std::vector<Column> columns_for(bool info, bool netns)
{
    std::vector<Column> columns{{"STATE"},  {"RECV-Q", true}, {"SEND-Q", true}, {"LOCAL"},
                                {"REMOTE"}, {"PID/COMM"},     {"TIMER"}};
    if (info)
        columns.insert(
            columns.end(),
            {{"TX_BYTES", true}, {"RX_BYTES", true}, {"RTT_MS", true}, {"RETRANS", true}});
    if (netns)
        columns.push_back({"NETNS"});
    return columns;
}

std::vector<std::string> cells_of(const SocketRow& row, bool info)
{
    std::vector<std::string> cells;
    cells.reserve(12);
    cells.insert(cells.end(), {std::string(state_of(row)), std::to_string(row.rx_queue),
                               std::to_string(row.tx_queue), endpoint_text(row.tuple.local),
                               endpoint_text(row.tuple.remote), processes_of(row), timer_of(row)});
    if (info && carries_data(row))
        cells.insert(cells.end(), {std::to_string(row.tx_bytes), std::to_string(row.rx_bytes),
                                   millis(row.rtt_us), std::to_string(row.retransmits)});
    else if (info)
        cells.insert(cells.end(), {"-", "-", "-", "-"});
    return cells;
}

/// Of the first that holds it.
std::string command_of(const SocketRow& row, const SocketPrint& how)
{
    const std::string text =
        row.holders.empty() ? "" : visible(how.command(row.holders[0].process.pid));
    return text.empty() ? "-" : text;
}

/// What the client's line says of the server: its state and namespace when they are others, and who
/// it is.
void add_server(std::vector<std::string>& cells, const SocketRow& client, const SocketRow& server,
                const SocketNames& names)
{
    constexpr std::size_t state = 0;
    constexpr std::size_t process = 5;
    if (server.state != client.state)
        cells[state] += "/" + std::string(state_of(server));
    cells[process] += " -> " + processes_of(server);
    if (server.tuple.netns != client.tuple.netns)
        cells.back() += " -> " + netns_text(server.tuple.netns, names);
}

} // namespace

void print_sockets(Output& out, const ChosenSockets& sockets, const SocketPrint& how)
{
    const PrintedSockets lines(sockets, how.pairs);
    const bool several = lines.several_namespaces();
    auto columns = columns_for(how.info, several);
    if (how.command)
        columns.push_back({"COMMAND"});
    Table table(std::move(columns));
    for (const auto& [row, server] : lines) {
        auto cells = cells_of(*row, how.info);
        if (several)
            cells.push_back(netns_text(row->tuple.netns, how.names));
        if (server != nullptr)
            add_server(cells, *row, *server, how.names);
        if (how.command)
            cells.push_back(command_of(*row, how));
        table.add(std::move(cells));
    }
    table.print(out, how.color);
}

void print_counts(Output& out, const std::vector<SocketCount>& counts,
                  const std::vector<SocketKey>& keys, const SocketPrint& how)
{
    std::vector<Column> columns{{"COUNT", true}};
    for (const SocketKey key : keys) {
        std::string title(name_of(key));
        std::ranges::transform(title, title.begin(), [](char c) { return std::toupper(c); });
        columns.push_back({std::move(title)});
    }
    Table table(std::move(columns));
    for (const SocketCount& count : counts) {
        std::vector<std::string> cells{std::to_string(count.n)};
        for (const std::string& key : count.keys)
            cells.push_back(visible(key));
        table.add(std::move(cells));
    }
    table.print(out, how.color);
}

} // namespace tcpsaga
