// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* A screen as it is meant to look, before any terminal is told of it. */
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tcpsaga {

enum class Style : std::uint8_t { plain, dim, title, heading, sorted, selected, bar, good, bad };
inline constexpr std::size_t style_count = static_cast<std::size_t>(Style::bad) + 1;

/// Rows of cells, each one column wide. What does not fit is cut off.
class Grid {
public:
    struct Cell {
        char32_t c = U' ';
        Style style = Style::plain;
        bool operator==(const Cell&) const = default;
    };

    /// `ascii`: what is not ASCII is shown by what is.
    Grid(int columns, int rows, bool ascii);

    [[nodiscard]] int columns() const { return columns_; }
    [[nodiscard]] int rows() const { return rows_; }
    [[nodiscard]] bool ascii() const { return ascii_; }
    [[nodiscard]] const Cell& at(int row, int column) const;

    /// Writes UTF-8 at a place, at most `width` columns of it; the column behind it. A character
    /// that may be wider than a column, or a control character, becomes '?'.
    int put(int row, int column, std::string_view text, Style style = Style::plain,
            int width = 1 << 20);
    /// The same so that it ends before column + width.
    void put_right(int row, int column, int width, std::string_view text,
                   Style style = Style::plain);
    /// Gives all cells from a column on this style.
    void paint(int row, int column, int width, Style style);

    /// Lines of UTF-8 without blanks at their ends; no empty lines at the end.
    [[nodiscard]] std::string text() const;

private:
    [[nodiscard]] char32_t shown(char32_t c) const;
    [[nodiscard]] std::size_t place(int row, int column) const
    {
        return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns_) +
               static_cast<std::size_t>(column);
    }

    int columns_, rows_;
    bool ascii_;
    std::vector<Cell> cells_;
};

/// The code points of UTF-8; U+FFFD for each byte that is none.
std::u32string code_points(std::string_view text);

} // namespace tcpsaga
