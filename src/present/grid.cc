// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/grid.h"

#include <algorithm>
#include <optional>

namespace tcpsaga {
namespace {

// What the layout draws with.
constexpr std::u32string_view bars = U"▁▂▃▄▅▆▇█";
constexpr std::string_view ascii_bars = "_..--==#";

void append_utf8(std::string& to, char32_t c)
{
    const auto tail = [&](unsigned shift) { to += static_cast<char>(0x80 | (c >> shift & 0x3f)); };
    if (c < 0x80) {
        to += static_cast<char>(c);
    } else if (c < 0x800) {
        to += static_cast<char>(0xc0 | c >> 6);
        tail(0);
    } else {
        to += static_cast<char>(0xe0 | c >> 12); // the grid has none above U+FFFF
        tail(6);
        tail(0);
    }
}

/// Printable, and one column wide in every terminal.
bool is_narrow(char32_t c)
{
    return (c >= 0x20 && c < 0x7f) || (c >= 0xa1 && c < 0x300 && c != 0xad) ||
           (c >= 0x391 && c < 0x482) || c == U'·' || c == U'…' ||
           bars.find(c) != std::u32string_view::npos;
}

/// Of a UTF-8 sequence by its first byte; of what is none, 1.
std::size_t sequence_length(unsigned char first)
{
    return first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
}

std::optional<char32_t> decoded(std::string_view sequence)
{
    const auto first = static_cast<unsigned char>(sequence[0]);
    if (sequence.size() == 1)
        return first < 0x80 ? std::optional<char32_t>(first) : std::nullopt;
    char32_t c = first & (0xffU >> (sequence.size() + 1));
    for (const char byte : sequence.substr(1)) {
        if ((static_cast<unsigned char>(byte) & 0xc0) != 0x80)
            return std::nullopt;
        c = c << 6 | (static_cast<unsigned char>(byte) & 0x3f);
    }
    return c;
}

} // namespace

std::u32string code_points(std::string_view text)
{
    std::u32string points;
    while (!text.empty()) {
        const std::size_t n = sequence_length(static_cast<unsigned char>(text[0]));
        const auto c = n <= text.size() ? decoded(text.substr(0, n)) : std::nullopt;
        points += c.value_or(U'\ufffd');
        text.remove_prefix(c ? n : 1);
    }
    return points;
}

Grid::Grid(int columns, int rows, bool ascii)
    : columns_(std::max(columns, 1)), rows_(std::max(rows, 1)), ascii_(ascii),
      cells_(static_cast<std::size_t>(columns_) * static_cast<std::size_t>(rows_))
{
}

const Grid::Cell& Grid::at(int row, int column) const
{
    return cells_[place(row, column)];
}

char32_t Grid::shown(char32_t c) const
{
    if (!is_narrow(c))
        return U'?';
    if (!ascii_ || c < 0x80)
        return c;
    const auto bar = bars.find(c);
    return bar != std::u32string_view::npos ? static_cast<char32_t>(ascii_bars[bar])
           : c == U'·'                      ? U'.'
           : c == U'…'                      ? U'~'
                                            : U'?';
}

int Grid::put(int row, int column, std::string_view text, Style style, int width)
{
    const int end = std::min(columns_, column + width);
    if (row < 0 || row >= rows_)
        return column;
    for (const char32_t c : code_points(text)) {
        if (column >= end)
            break;
        cells_[place(row, column++)] = {shown(c), style};
    }
    return column;
}

void Grid::put_right(int row, int column, int width, std::string_view text, Style style)
{
    const int size = static_cast<int>(code_points(text).size());
    put(row, column + std::max(width - size, 0), text, style, std::min(width, size));
}

void Grid::paint(int row, int column, int width, Style style)
{
    if (row < 0 || row >= rows_)
        return;
    for (int i = column; i < std::min(columns_, column + width); i++)
        cells_[place(row, i)].style = style;
}

std::string Grid::text() const
{
    std::string all;
    std::size_t end = 0; // behind the last line that is not empty
    for (int row = 0; row < rows_; row++) {
        int last = columns_;
        while (last > 0 && at(row, last - 1).c == U' ')
            last--;
        for (int i = 0; i < last; i++)
            append_utf8(all, at(row, i).c);
        all += '\n';
        if (last > 0)
            end = all.size();
    }
    all.resize(end);
    return all;
}

} // namespace tcpsaga
