// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where things are on the screen of `top`. From above: a title, rates with their history, counts,
 * sockets by state; the listeners, or one listener's connections; remotes beside processes; keys.
 * Columns are laid out for 80 and take what more there is.
 */
#include <algorithm>
#include <array>
#include <span>

#include "tcpsaga/present.h"
#include "tcpsaga/top.h"

namespace tcpsaga {
namespace {

constexpr int least_columns = 40;
constexpr int least_rows = 10;
constexpr int gap = 1;

constexpr std::array<std::string_view, 6> sort_names{"rate",      "depth",   "p99",
                                                     "overflows", "address", "process"};
constexpr std::array<std::string_view, 4> connection_sort_names{"age", "state", "wait", "remote"};

/// Text with its style, as part of a line.
struct Piece {
    std::string text;
    Style style = Style::plain;
};

/// Lines of pieces, two blanks between them; the row behind. At most `most` rows.
int put_pieces(Grid& grid, int row, const std::vector<Piece>& pieces, int most)
{
    int column = 0;
    const int last = row + most - 1;
    for (const Piece& p : pieces) {
        const int width = static_cast<int>(code_points(p.text).size());
        if (column != 0 && column + width > grid.columns()) {
            if (row == last)
                break;
            row++;
            column = 0;
        }
        column = grid.put(row, column, p.text, p.style) + 2;
    }
    return row + 1;
}

/// The highest of what is shown is a full cell; what is not zero is more than the least.
std::string sparkline(std::span<const double> rates, int width)
{
    constexpr std::array<const char*, 8> steps{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const auto n = std::min(rates.size(), static_cast<std::size_t>(std::max(width, 0)));
    const auto shown = rates.last(n);
    const double top = shown.empty() ? 0 : std::ranges::max(shown);
    std::string line;
    for (const double r : shown)
        line += r <= 0 ? steps.front() : steps.at(1 + static_cast<std::size_t>(r / top * 6));
    return line;
}

/// Full cells up to `depth` of `limit`, dots up to `high`.
std::string depth_bar(std::uint32_t depth, std::uint32_t high, std::uint32_t limit, int width)
{
    // One that waits shows, and only a full queue fills the bar.
    const auto cells = [&](std::uint32_t n) {
        if (limit == 0 || n >= limit)
            return n == 0 ? 0 : width;
        const auto part = static_cast<int>(std::uint64_t{n} * static_cast<unsigned>(width) / limit);
        return n == 0 ? 0 : std::clamp(part, 1, std::max(width - 1, 1));
    };
    std::string bar;
    for (int i = 0; i < std::max(cells(depth), cells(high)); i++)
        bar += i < cells(depth) ? "█" : "·";
    return bar;
}

std::string counted(std::string_view name, std::uint64_t n, std::uint64_t more)
{
    return more == 0 ? fmt::format("{} {}", name, n) : fmt::format("{} {} (+{})", name, n, more);
}

Style bad_if(bool is_bad)
{
    return is_bad ? Style::bad : Style::plain;
}

} // namespace

/// Draws one picture.
class TopLayout {
public:
    TopLayout(const TopView& view, Grid& grid, bool plain)
        : view_(view), data_(*view.shown_), grid_(grid), plain_(plain), extra_(grid.columns() - 80)
    {
        extra_ = std::max(extra_, 0);
    }

    void draw()
    {
        if (grid_.columns() < least_columns || grid_.rows() < least_rows) {
            grid_.put(0, 0, "tcpsaga top: too small a window", Style::bad);
            grid_.put(1, 0, "q quit");
            return;
        }
        title();
        rates(1);
        int row = counts(2);
        row = states(row) + 1;
        const int end = grid_.rows() - (plain_ ? 0 : 1);
        if (view_.opened_)
            connections(row, end);
        else
            listeners_and_panels(row, end);
        if (!plain_)
            keys(grid_.rows() - 1);
    }

private:
    /// A column of a table.
    struct Column {
        std::string_view name;
        int width;
        bool right = false;
        bool sorted = false;
    };

    void title()
    {
        std::string right = fmt::format("every {} s", view_.title_.interval_s);
        right += fmt::format("  lost {}", data_.lost);
        if (!view_.filter_.empty())
            right = "filter '" + view_.filter_ + "'  " + right;
        if (view_.paused_)
            right = "PAUSED  " + right;
        grid_.paint(0, 0, grid_.columns(), Style::title);
        const int room = grid_.columns() - static_cast<int>(right.size()) - 2;
        std::string left = "tcpsaga top  " + visible(view_.title_.host);
        if (const std::string more = left + "  " + view_.title_.hooks;
            static_cast<int>(more.size()) <= room)
            left = more;
        grid_.put(0, 0, left, Style::title, std::max(room, 0));
        grid_.put_right(0, 0, grid_.columns(), right,
                        data_.lost != 0 || view_.paused_ ? Style::bad : Style::title);
    }

    void rates(int row)
    {
        const int half = (grid_.columns() - 2) / 2;
        const auto one = [&](int column, std::string_view name, const std::vector<double>& rates) {
            const double now = rates.empty() ? 0 : rates.back();
            grid_.put(row, column, name);
            grid_.put_right(row, column + 3, 7, short_rate(now));
            grid_.put(row, column + 10, "/s");
            const int width = half - 13;
            grid_.put(row, column + 13, sparkline(rates, width), Style::bar);
        };
        one(0, "in", data_.in);
        one(half + 2, "out", data_.out);
    }

    int counts(int row)
    {
        const event::Interval& i = data_.interval;
        const double seconds = static_cast<double>(i.us) / 1e6;
        const auto rate = [&](std::uint64_t n) {
            return short_rate(seconds <= 0.05 ? 0 : static_cast<double>(n) / seconds);
        };
        std::vector<Piece> pieces{
            {"accepted " + rate(i.accepts) + "/s"},
            {"closed " + rate(i.closes) + "/s"},
            {counted("overflows", data_.overflows, i.overflows), bad_if(i.overflows != 0)},
        };
        const auto failed = [&](std::string_view name, std::uint64_t n, std::uint64_t more) {
            if (n != 0)
                pieces.push_back({counted(name, n, more), bad_if(more != 0)});
        };
        failed("retransmits", data_.retransmits, i.retransmits);
        failed("failed connects", data_.connect_errors, i.connect_errors);
        failed("failed accepts", data_.accept_errors, i.accept_errors);
        failed("TIME_WAIT overflows", data_.time_wait_overflows, 0);
        return put_pieces(grid_, row, pieces, 2);
    }

    int states(int row)
    {
        constexpr std::array order{State::listen,      State::syn_sent,  State::syn_recv,
                                   State::established, State::fin_wait1, State::fin_wait2,
                                   State::close_wait,  State::closing,   State::last_ack,
                                   State::time_wait};
        constexpr std::array always{State::listen, State::established, State::time_wait};
        std::vector<Piece> pieces;
        for (const State s : order) {
            const std::uint64_t n = data_.states.at(static_cast<std::size_t>(s));
            if (s == State::time_wait && !data_.time_waits_seen)
                pieces.push_back({fmt::format("{} ?", name_of(s))});
            else if (n != 0 || std::ranges::find(always, s) != always.end())
                pieces.push_back({fmt::format("{} {}", name_of(s), n)});
        }
        return put_pieces(grid_, row, pieces, 2);
    }

    template <std::size_t N>
    void heading(int row, int column, const std::array<Column, N>& columns)
    {
        grid_.paint(row, column, grid_.columns() - column, Style::heading);
        for (const Column& c : columns) {
            const Style style = c.sorted && !plain_ ? Style::sorted : Style::heading;
            if (c.right)
                grid_.put_right(row, column, c.width, c.name, style);
            else
                grid_.put(row, column, c.name, style, c.width);
            column += c.width + gap;
        }
    }

    [[nodiscard]] std::array<Column, 9> listener_columns() const
    {
        const TopSort sort = view_.sort_;
        const int wide = extra_ >= 20 ? 3 : 0; // room for words
        const int rest = extra_ - 3 * wide;
        const int bar = std::min(rest / 4, 15);
        const int process = std::min(rest / 3, 12);
        const int address = std::min(rest - bar - process, 26);
        return {Column{"LISTENER", 20 + address, false, sort == TopSort::address},
                {"PROCESS", 11 + process, false, sort == TopSort::process},
                {"QUEUE", 5 + bar, false, sort == TopSort::depth},
                {"NOW/MAX", 9, true, sort == TopSort::depth},
                {"ACC/S", 6, true, sort == TopSort::rate},
                {wide != 0 ? "WAIT p50" : "p50", 5 + wide, true},
                {wide != 0 ? "WAIT p90" : "p90", 5 + wide, true},
                {wide != 0 ? "WAIT p99" : "p99", 5 + wide, true, sort == TopSort::p99},
                {"OVERFL", 6, true, sort == TopSort::overflows}};
    }

    void listener(int row, const TopListener& l, const std::array<Column, 9>& columns)
    {
        const std::uint32_t depth = l.depth.value_or(0);
        const bool full = l.limit != 0 && depth > l.limit; // the kernel lets one more in
        const Style row_style = l.ended ? Style::dim : Style::plain;
        std::array<std::string, 9> cells;
        cells[0] = fit_tail(endpoint_text(l.local), ':', columns[0].width);
        cells[1] = fit_tail(process_text(l.owner), '/', columns[1].width);
        cells[2] = l.ended ? "ended" : depth_bar(depth, l.high, l.limit, columns[2].width);
        if (!l.ended)
            cells[3] = fmt::format("{}/{}", l.depth ? std::to_string(depth) : "?",
                                   l.limit == 0 ? "?" : std::to_string(l.limit));
        cells[4] = short_rate(l.accepts_s);
        for (std::size_t i = 0; i < 3; i++)
            cells.at(5 + i) = l.waits_us ? short_time(l.waits_us->at(i)) : "-";
        cells[8] = short_count(l.overflows);
        int column = 0;
        for (std::size_t i = 0; i < cells.size(); i++) {
            const Column& c = columns.at(i);
            Style style = row_style;
            if (i == 2 && !l.ended)
                style = full ? Style::bad : Style::bar;
            else if ((i == 3 && full) || (i == 8 && l.new_overflows != 0))
                style = Style::bad;
            if (c.right)
                grid_.put_right(row, column, c.width, cells.at(i), style);
            else
                grid_.put(row, column, cells.at(i), style, c.width);
            column += c.width + gap;
        }
    }

    void listeners_and_panels(int row, int end)
    {
        const auto rows = view_.listeners();
        const auto tops = static_cast<int>(std::max(data_.remotes.size(), data_.processes.size()));
        const int least = std::clamp((end - row) / 3, 2, 10); // rows of the panels with heading
        const int room = end - row - 2;                       // headings; a blank line between
        int listed = std::min(static_cast<int>(rows.size()), std::max(room - least, 1));
        listed = std::max(listed, 1);
        const int panel = std::min({tops, room - listed - 1, 10});
        // What the panels do not need is the listeners'.
        listed = std::clamp(static_cast<int>(rows.size()), 1, std::max(room - 1 - panel, 1));

        const auto columns = listener_columns();
        heading(row, 0, columns);
        const auto selected = static_cast<int>(view_.selected_row(rows));
        const int first = std::max(selected - listed + 1, 0);
        for (int i = first; i < std::min(first + listed, static_cast<int>(rows.size())); i++) {
            listener(row + 1 + i - first, *rows[static_cast<std::size_t>(i)], columns);
            if (i == selected && !plain_)
                grid_.paint(row + 1 + i - first, 0, grid_.columns(), Style::selected);
        }
        if (rows.empty())
            grid_.put(row + 1, 0, view_.filter_.empty() ? "no listener" : "no such listener",
                      Style::dim);
        if (static_cast<int>(rows.size()) > listed)
            grid_.put_right(row + 1 + listed, 0, grid_.columns(),
                            fmt::format("{}-{} of {}", first + 1, first + listed, rows.size()),
                            Style::dim);
        panels(row + 1 + listed + 1, end);
    }

    void panels(int row, int end)
    {
        const int half = (grid_.columns() - 2) / 2;
        const std::array<Column, 3> remote{
            Column{"REMOTE", half - 14}, {"OUT", 6, true}, {"IN", 6, true}};
        std::array<Column, 3> process = remote;
        process[0].name = "PROCESS";
        heading(row, 0, remote);
        heading(row, half + 2, process);
        const auto list = [&](int column, const auto& rows, const auto& name) {
            int at = row + 1;
            for (const auto& r : rows) {
                const std::string text = name(r);
                if (!view_.passes({text}) || at >= end)
                    continue;
                grid_.put(at, column, fit_tail(text, '/', half - 14), Style::plain, half - 14);
                grid_.put_right(at, column + half - 13, 6, short_count(r.made));
                grid_.put_right(at++, column + half - 6, 6, short_count(r.got));
            }
        };
        list(0, data_.remotes, [](const event::TopRemote& r) { return to_string(r.addr); });
        list(half + 2, data_.processes,
             [](const event::TopProcess& p) { return process_text(p.process); });
    }

    void connections(int row, int end)
    {
        listener_line(row++);
        const ConnectionSort sort = view_.connection_sort_;
        const int wide = std::min(extra_ / 2, 20);
        const std::array<Column, 6> columns{
            Column{"REMOTE", 27 + wide, false, sort == ConnectionSort::remote},
            {"STATE", 11, false, sort == ConnectionSort::state},
            {"FOR", 5, true},
            {"AGE", 7, true, sort == ConnectionSort::age},
            {"WAIT", 6, true, sort == ConnectionSort::wait},
            {"PROCESS", 19 + wide}};
        heading(row++, 0, columns);
        const auto rows = view_.connections();
        std::size_t i = std::min(view_.scrolled_, rows.empty() ? 0 : rows.size() - 1);
        for (; i < rows.size() && row < end; i++)
            connection(row++, *rows[i], columns);
        if (rows.empty())
            grid_.put(row, 0,
                      data_.opened != view_.opened_ ? "looking"
                      : view_.filter_.empty()       ? "no connection"
                                                    : "no such connection",
                      Style::dim);
    }

    /// The listener that is looked into, and how many connections it has.
    void listener_line(int row)
    {
        const TopListenerKey key = view_.opened_.value_or(TopListenerKey{});
        const auto found = std::ranges::find(data_.listeners, key, &TopListener::key);
        std::vector<Piece> pieces;
        if (found != data_.listeners.end()) {
            const TopListener& l = *found;
            pieces.push_back({endpoint_text(l.local), Style::title});
            pieces.push_back({process_text(l.owner), Style::title});
            pieces.push_back({l.ended ? "ended"
                              : l.depth
                                  ? fmt::format("queue {}/{}, up to {}", *l.depth, l.limit, l.high)
                                  : "queue ?",
                              l.depth && *l.depth > l.limit ? Style::bad : Style::plain});
            pieces.push_back({fmt::format("overflows {}", l.overflows),
                              bad_if(l.new_overflows != 0)});
        } else {
            pieces.push_back({fmt::format("port {}", key.port), Style::title});
        }
        if (data_.opened == view_.opened_)
            pieces.push_back({fmt::format("{} connections", data_.connections_there)});
        pieces.push_back({fmt::format("netns {}", key.netns), Style::dim});
        put_pieces(grid_, row, pieces, 1);
    }

    void connection(int row, const TopConnection& c, const std::array<Column, 6>& columns)
    {
        const std::array<std::string, 6> cells{
            fit_tail(endpoint_text(c.remote), ':', columns[0].width),
            std::string(name_of(c.state)),
            short_time(c.state_us),
            c.age_us ? short_time(*c.age_us) : "before",
            c.queued    ? "queued"
            : c.wait_us ? short_time(*c.wait_us)
                        : "-",
            fit_tail(process_text(c.owner), '/', columns[5].width)};
        int column = 0;
        for (std::size_t i = 0; i < cells.size(); i++) {
            const Column& at = columns.at(i);
            const Style style = i == 4 && c.queued ? Style::bad : Style::plain;
            if (at.right)
                grid_.put_right(row, column, at.width, cells.at(i), style);
            else
                grid_.put(row, column, cells.at(i), style, at.width);
            column += at.width + gap;
        }
    }

    void keys(int row)
    {
        if (view_.editing_) {
            grid_.put(row, 0, "filter: " + view_.filter_ + "_", Style::title);
            return;
        }
        std::string text = "q quit  ";
        text += view_.opened_ ? "esc back  " : "enter open  ";
        text += fmt::format("s sort:{}{}  r reverse  / filter  ",
                            view_.opened_ ? connection_sort_names.at(
                                                static_cast<std::size_t>(view_.connection_sort_))
                                          : sort_names.at(static_cast<std::size_t>(view_.sort_)),
                            view_.reversed_ ? "^" : "");
        text += view_.paused_ ? "p go on  z zero" : "p pause  z zero";
        grid_.put(row, 0, text, Style::dim);
    }

    const TopView& view_;
    const TopData& data_;
    Grid& grid_;
    bool plain_;
    int extra_;
};

Grid TopView::draw(int columns, int rows, bool ascii, bool plain) const
{
    Grid grid(columns, rows, ascii);
    TopLayout(*this, grid, plain).draw();
    return grid;
}

} // namespace tcpsaga
