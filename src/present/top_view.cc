// SPDX-License-Identifier: BSD-2-Clause
/* What the person who watches `top` chose: order, filter, pause, a listener to look into. */
#include <algorithm>
#include <tuple>
#include <utility>

#include "tcpsaga/present.h"
#include "tcpsaga/top.h"

namespace tcpsaga {
namespace {

char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains(const std::string& text, const std::string& part)
{
    return !std::ranges::search(text, part, {}, lower, lower).empty() || part.empty();
}

/// Whether a comes before b. Numbers: the largest first.
bool comes_before(const TopListener& a, const TopListener& b, TopSort by)
{
    const auto busy = [](const TopListener& l) { return std::tuple(l.accepts_s, l.accepts); };
    const auto wait = [](const TopListener& l) { return l.waits_us ? l.waits_us->back() : 0; };
    switch (by) {
    case TopSort::rate:
        return busy(a) > busy(b);
    case TopSort::depth:
        return std::tuple(a.depth.value_or(0), a.high) > std::tuple(b.depth.value_or(0), b.high);
    case TopSort::p99:
        return wait(a) > wait(b);
    case TopSort::overflows:
        return a.overflows > b.overflows;
    case TopSort::address:
        return std::tuple(a.local.addr, a.local.port) < std::tuple(b.local.addr, b.local.port);
    case TopSort::process:
        return std::tuple(a.owner.name(), a.owner.pid) < std::tuple(b.owner.name(), b.owner.pid);
    }
    return false;
}

/// Equals stay where they are, whatever the order: by port, then by age of the listener.
bool by_port(const TopListener& a, const TopListener& b)
{
    return std::tuple(a.local.port, a.local.addr, a.key) <
           std::tuple(b.local.port, b.local.addr, b.key);
}

bool comes_before(const TopConnection& a, const TopConnection& b, ConnectionSort by)
{
    constexpr std::uint64_t before_us = UINT64_MAX;
    switch (by) {
    case ConnectionSort::age:
        return a.age_us.value_or(before_us) > b.age_us.value_or(before_us);
    case ConnectionSort::state:
        return std::tuple(a.state, b.state_us) < std::tuple(b.state, a.state_us);
    case ConnectionSort::wait: // those that still wait first
        return std::tuple(a.queued, a.wait_us.value_or(0)) >
               std::tuple(b.queued, b.wait_us.value_or(0));
    case ConnectionSort::remote:
        return a.remote < b.remote;
    }
    return false;
}

template <class Row, class Before>
void sort_rows(std::vector<const Row*>& rows, bool reversed, const Before& before)
{
    std::ranges::stable_sort(rows, [&](const Row* a, const Row* b) {
        return reversed ? before(*b, *a) : before(*a, *b);
    });
}

/// How far a key moves; 0: it does not.
std::ptrdiff_t rows_by(char32_t key)
{
    constexpr std::ptrdiff_t page = 10;
    constexpr std::ptrdiff_t all = 1 << 30;
    switch (key) {
    case key::up:
    case U'k':
        return -1;
    case key::down:
    case U'j':
        return 1;
    case key::page_up:
        return -page;
    case key::page_down:
        return page;
    case key::home:
        return -all;
    case key::end:
        return all;
    default:
        return 0;
    }
}

} // namespace

void TopView::show(std::shared_ptr<const TopData> data)
{
    latest_ = std::move(data);
    if (!paused_) {
        shown_ = latest_;
    } else if (opened_ && latest_->opened == opened_ && shown_->opened != opened_) {
        auto more = std::make_shared<TopData>(*shown_); // what was not gathered before the pause
        more->opened = latest_->opened;
        more->connections = latest_->connections;
        more->connections_there = latest_->connections_there;
        shown_ = std::move(more);
    }
}

bool TopView::passes(std::initializer_list<std::string> texts) const
{
    return std::ranges::any_of(texts, [this](const auto& t) { return contains(t, filter_); });
}

TopView::Listeners TopView::listeners() const
{
    Listeners rows;
    for (const TopListener& l : shown_->listeners)
        if (passes({endpoint_text(l.local), process_text(l.owner)}))
            rows.push_back(&l);
    sort_rows(rows, false, by_port);
    sort_rows(rows, reversed_, [this](const TopListener& a, const TopListener& b) {
        return comes_before(a, b, sort_);
    });
    std::ranges::stable_partition(rows, [](const TopListener* l) { return !l->ended; });
    return rows;
}

TopView::Connections TopView::connections() const
{
    Connections rows;
    if (shown_->opened != opened_)
        return rows; // they are being gathered
    for (const TopConnection& c : shown_->connections)
        if (passes({endpoint_text(c.remote), process_text(c.owner), std::string(name_of(c.state))}))
            rows.push_back(&c);
    sort_rows(rows, false,
              [](const TopConnection& a, const TopConnection& b) { return a.remote < b.remote; });
    sort_rows(rows, reversed_, [this](const TopConnection& a, const TopConnection& b) {
        return comes_before(a, b, connection_sort_);
    });
    return rows;
}

std::size_t TopView::selected_row(const Listeners& rows) const
{
    const auto found = std::ranges::find_if(rows, [this](const TopListener* l) {
        return selected_ && l->key == *selected_;
    });
    return found == rows.end() ? 0 : static_cast<std::size_t>(found - rows.begin());
}

void TopView::on_key(char32_t key)
{
    if (key == key::interrupt) {
        quit_ = true;
        return;
    }
    if (editing_)
        return edit_filter(key);
    switch (key) {
    case U'q':
        quit_ = true;
        return;
    case U's':
        return next_sort(1);
    case U'S':
        return next_sort(-1);
    case U'r':
        reversed_ = !reversed_;
        return;
    case U'/':
        editing_ = true;
        filter_before_ = filter_;
        return;
    case U'p':
    case U' ':
        return toggle_pause();
    case U'z':
        zero_ = true;
        return;
    case key::enter:
    case U'\r':
        if (const auto rows = listeners(); !opened_ && !rows.empty()) {
            opened_ = rows[selected_row(rows)]->key;
            scrolled_ = 0;
        }
        return;
    case key::escape:
    case key::backspace:
        if (opened_)
            opened_.reset();
        else
            filter_.clear();
        return;
    default:
        return move(key);
    }
}

void TopView::edit_filter(char32_t key)
{
    constexpr std::size_t longest = 64;
    if (key == key::escape)
        filter_ = filter_before_;
    if (key == key::escape || key == key::enter || key == U'\r')
        editing_ = false;
    else if (key == key::backspace && !filter_.empty())
        filter_.pop_back();
    else if (key >= U' ' && key < 0x7f && filter_.size() < longest)
        filter_ += static_cast<char>(key);
}

void TopView::move(char32_t key)
{
    const std::ptrdiff_t by = rows_by(key);
    const auto rows = listeners();
    const std::size_t n = opened_ ? connections().size() : rows.size();
    if (by == 0 || n == 0)
        return;
    const auto from = static_cast<std::ptrdiff_t>(opened_ ? scrolled_ : selected_row(rows));
    const auto to =
        static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(from + by, 0,
                                                            static_cast<std::ptrdiff_t>(n) - 1));
    if (opened_)
        scrolled_ = to;
    else
        selected_ = rows[to]->key;
}

void TopView::toggle_pause()
{
    paused_ = !paused_;
    if (!paused_)
        shown_ = latest_;
}

void TopView::next_sort(int by)
{
    constexpr int sorts = static_cast<int>(TopSort::process) + 1;
    constexpr int connection_sorts = static_cast<int>(ConnectionSort::remote) + 1;
    if (opened_)
        connection_sort_ = static_cast<ConnectionSort>(
            (static_cast<int>(connection_sort_) + by + connection_sorts) % connection_sorts);
    else
        sort_ = static_cast<TopSort>((static_cast<int>(sort_) + by + sorts) % sorts);
    reversed_ = false;
}

bool TopView::take_zero()
{
    return std::exchange(zero_, false);
}

} // namespace tcpsaga
