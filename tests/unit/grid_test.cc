// SPDX-License-Identifier: BSD-2-Clause
// A screen before it is painted: what is cut, what is replaced, what it is as text.
#include "tcpsaga/grid.h"

#include <gtest/gtest.h>

namespace tcpsaga::testing {
namespace {

TEST(grid, cuts_off_what_does_not_fit)
{
    Grid grid(5, 2, false);
    EXPECT_EQ(grid.put(0, 3, "abc"), 5);
    EXPECT_EQ(grid.put(1, 0, "abcdef", Style::plain, 2), 2);
    grid.put(2, 0, "below");
    grid.put(-1, 0, "above");
    EXPECT_EQ(grid.text(), "   ab\nab\n");
}

TEST(grid, aligns_to_the_right)
{
    Grid grid(8, 2, false);
    grid.put_right(0, 2, 4, "12");
    grid.put_right(1, 2, 4, "123456");
    EXPECT_EQ(grid.text(), "    12\n  1234\n");
}

TEST(grid, keeps_what_is_one_column_wide)
{
    Grid grid(20, 1, false);
    grid.put(0, 0, "caf\xc3\xa9 \xd0\xb6 █▁·…");
    EXPECT_EQ(grid.text(), "caf\xc3\xa9 \xd0\xb6 █▁·…\n");
}

/// Control characters, wide ones, those that combine, and what is no UTF-8.
TEST(grid, replaces_what_would_break_the_layout)
{
    Grid grid(20, 1, false);
    grid.put(0, 0, "\x1b[2J\x7f\xc2\x9b\xe6\x97\xa5\xcc\x81\xf0\x9f\x98\x80\xff\xc3");
    EXPECT_EQ(grid.text(), "?[2J???????\n");
}

TEST(grid, has_ascii_for_terminals_without_utf_8)
{
    Grid grid(20, 1, true);
    grid.put(0, 0, "▁█·…\xc3\xa9");
    EXPECT_EQ(grid.text(), "_#.~?\n");
}

TEST(grid, paints_without_changing_text)
{
    Grid grid(4, 1, false);
    grid.put(0, 0, "abcd", Style::bad);
    grid.paint(0, 1, 2, Style::selected);
    EXPECT_EQ(grid.at(0, 0), (Grid::Cell{U'a', Style::bad}));
    EXPECT_EQ(grid.at(0, 2), (Grid::Cell{U'c', Style::selected}));
    EXPECT_EQ(grid.at(0, 3), (Grid::Cell{U'd', Style::bad}));
    grid.paint(0, 3, 9, Style::dim);
    EXPECT_EQ(grid.at(0, 3).style, Style::dim);
}

} // namespace
} // namespace tcpsaga::testing
