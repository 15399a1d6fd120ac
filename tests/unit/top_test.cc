// SPDX-License-Identifier: BSD-2-Clause
// What `top` gathers from events, and what it draws of it. The goldens are whole screens.
#include "tcpsaga/top.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lives.h"
#include "rendering.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;

constexpr Task escape{303, "\x1b[2J\x07x", 0};
constexpr Task worker{404, "worker"};

/// From records to pictures, as the program wires it.
class Watch : public Sink {
public:
    explicit Watch(TopModel::Seen seen = {}, Correlator::Config config = {})
        : correlator(std::move(config), *this), model(seen)
    {
    }
    void on_event(const Event& e) override { model.on_event(e); }

    void look(Nanos t)
    {
        model.begin_look(static_cast<std::uint64_t>(t.count()));
        correlator.for_each_connection([this](const Connection& c) { model.see(c); });
    }
    /// Ends an interval, and shows it.
    void interval(Nanos t)
    {
        look(t);
        event::Summary now = correlator.summary();
        set_interval(now, before_, static_cast<std::uint64_t>((t - at_).count()) / 1000);
        model.end_interval(now, static_cast<std::uint64_t>(t.count()));
        before_ = now;
        at_ = t;
        view.show(model.data());
    }
    void press(std::u32string_view keys)
    {
        for (const char32_t k : keys)
            view.on_key(k);
    }
    void open(Nanos t)
    {
        view.on_key(key::enter);
        model.open(view.opened());
        look(t);
        model.end_look();
        view.show(model.data());
    }
    [[nodiscard]] std::vector<std::string> lines(int columns = 80, int rows = 24) const
    {
        return lines_of(view.draw(columns, rows, false).text());
    }
    [[nodiscard]] std::string screen(int columns = 80, int rows = 24) const
    {
        return view.draw(columns, rows, false).text();
    }
    /// The first words of the rows of the upper table.
    [[nodiscard]] std::vector<std::string> rows() const
    {
        std::vector<std::string> found;
        bool inside = false;
        for (const std::string& line : lines()) {
            if (inside && line.empty())
                break;
            if (inside)
                found.push_back(line.substr(0, line.find(' ')));
            inside = inside || line.starts_with("LISTENER") || line.starts_with("REMOTE  ");
        }
        return found;
    }
    [[nodiscard]] const TopListener& listener(std::uint16_t port) const
    {
        const auto found = std::ranges::find_if(model.data()->listeners, [&](const auto& l) {
            return l.local.port == port;
        });
        if (found == model.data()->listeners.end())
            throw std::runtime_error("no listener " + std::to_string(port));
        return *found;
    }

    Correlator correlator;
    TopModel model;
    TopView view{{"web1", "trampoline, 36 hooks", 1}};

private:
    event::Summary before_;
    Nanos at_{0};
};

/// The n-th child of a listener, born at `t`.
Socket child(std::uint64_t listener_id, std::uint16_t port, std::uint16_t n)
{
    return Socket()
        .id(listener_id * 1000 + n)
        .local("10.0.0.2", port)
        .remote("10.0.0." + std::to_string(10 + n % 3), static_cast<std::uint16_t>(40000 + n));
}

void arrives(Correlator& to, Nanos t, const Socket& s, std::uint64_t listener_id)
{
    tell(to, t, s.birth().queue(listener_id, 0, 128));
    tell(to, t + 1us, s.state(State::syn_recv, State::established));
}

/// Waits 40 us for it.
void is_accepted(Correlator& to, Nanos t, const Socket& s, std::uint64_t listener_id,
                 const Task& who)
{
    tell(to, t, s.accept().queue(listener_id, 0, 128).by(who));
}

/// nginx on port 80 is well; a worker on 8080 does not accept and its queue of 3 is full; one with
/// a hostile name on an IPv6 address has had no client; one has ended.
void a_busy_host(Watch& w)
{
    Correlator& to = w.correlator;
    const Socket slow = Socket().id(4).local("127.0.0.1", 8080).remote("0.0.0.0", 0);
    const Socket odd = Socket().id(5).local("2001:db8:1111:2222::5", 8443).remote("::", 0);
    const Socket old = Socket().id(6).local("0.0.0.0", 9000).remote("0.0.0.0", 0);
    tell(to, 1ms, listener().listen(128).by(nginx));
    tell(to, 1ms, slow.listen(3).by(worker));
    tell(to, 1ms, odd.listen(511).by(escape));
    tell(to, 1ms, old.listen(1).by(worker));
    w.interval(100ms);
    tell(to, 101ms, old.state(State::listen, State::close).by(worker));
    for (std::uint16_t n = 0; n < 20; n++) {
        const Nanos t = 200ms + n * 10ms;
        arrives(to, t, child(3, 80, n), 3);
        is_accepted(to, t + 1us + n * 100us, child(3, 80, n), 3, nginx);
    }
    for (std::uint16_t n = 0; n < 4; n++)
        tell(to, 300ms + n * 1ms, child(4, 8080, n).birth().queue(4, n, 3));
    for (std::uint16_t n = 0; n < 4; n++)
        tell(to, 310ms + n * 1ms, child(4, 8080, n).state(State::syn_recv, State::established));
    tell(to, 320ms, child(4, 8080, 0).state(State::established, State::close_wait));
    tell(to, 400ms, slow.overflow(TS_SYN_ACCEPTQ_DROP, 7));
    client_life(to);
    w.interval(1100ms);
}

// ---- the whole screen -------------------------------------------------------------------------

TEST(top, fits_80_columns_and_24_rows)
{
    Watch w;
    a_busy_host(w);
    expect_golden("top_80x24.txt", w.screen());
}

TEST(top, uses_what_room_there_is)
{
    Watch w;
    a_busy_host(w);
    expect_golden("top_120x40.txt", w.screen(120, 40));
}

TEST(top, shows_a_listeners_connections)
{
    Watch w;
    a_busy_host(w);
    w.press(U"s"); // the deepest queue first
    w.open(2s);
    expect_golden("top_opened.txt", w.screen());
}

TEST(top, prints_without_keys_for_a_file)
{
    Watch w;
    a_busy_host(w);
    expect_golden("top_once.txt", w.view.draw(80, 24, true, true).text());
}

TEST(top, never_writes_outside_of_any_size)
{
    Watch w;
    a_busy_host(w);
    for (const bool opened : {false, true}) {
        if (opened)
            w.open(2s);
        for (int columns = 1; columns < 200; columns += 7)
            for (int rows = 1; rows < 60; rows += 3) {
                const auto lines = w.lines(columns, rows);
                EXPECT_LE(lines.size(), static_cast<std::size_t>(rows));
                for (const auto& line : lines)
                    EXPECT_LE(code_points(line).size(), static_cast<std::size_t>(columns));
            }
    }
    EXPECT_THAT(w.lines(39, 24)[0], HasSubstr("too small"));
    EXPECT_THAT(w.lines(80, 9)[0], HasSubstr("too small"));
}

// ---- what is gathered -------------------------------------------------------------------------

TEST(top, knows_how_many_wait_now)
{
    Watch w;
    a_busy_host(w);
    EXPECT_THAT(w.listener(8080).depth, Optional(4U));
    EXPECT_THAT(w.listener(80).depth, Optional(0U));
    is_accepted(w.correlator, 1200ms, child(4, 8080, 1), 4, worker);
    tell(w.correlator, 1300ms, child(4, 8080, 2).state(State::established, State::close));
    w.interval(2100ms);
    EXPECT_THAT(w.listener(8080).depth, Optional(2U));
    EXPECT_EQ(w.listener(8080).high, 4U);
}

TEST(top, does_not_guess_a_depth_without_accepts)
{
    Watch w({false, true});
    a_busy_host(w);
    EXPECT_EQ(w.listener(8080).depth, std::nullopt);
    EXPECT_THAT(w.screen(), HasSubstr("?/3"));
}

/// Those that were there before us: who has a process was accepted.
TEST(top, counts_what_was_there_before)
{
    Watch w;
    const std::vector<SocketRow> rows{
        row(listener(), 3, State::listen, found(nginx)),
        row(child(3, 80, 1), 3001, State::established, found(nginx)),
        row(child(3, 80, 2), 3002, State::established),
        row(child(3, 80, 3), 3003, State::close_wait),
    };
    w.correlator.adopt(rows, 1'000'000);
    w.interval(2ms);
    EXPECT_THAT(w.listener(80).depth, Optional(2U));
    EXPECT_EQ(w.model.data()->states.at(static_cast<std::size_t>(State::established)), 2U);
    w.open(1s);
    EXPECT_THAT(w.rows(), ElementsAre("10.0.0.10:40003", "10.0.0.11:40001", "10.0.0.12:40002"));
    EXPECT_THAT(w.screen(), HasSubstr("before"));
}

TEST(top, counts_each_interval_and_all)
{
    Watch w;
    a_busy_host(w);
    EXPECT_EQ(w.listener(80).accepts, 20U);
    EXPECT_EQ(w.listener(80).accepts_s, 20.0);
    EXPECT_EQ(w.listener(80).waits_us->at(0), 900U);
    EXPECT_EQ(w.listener(8080).overflows, 7U);
    EXPECT_EQ(w.listener(8080).new_overflows, 7U);
    EXPECT_EQ(w.model.data()->in, (std::vector<double>{0, 24}));
    EXPECT_EQ(w.model.data()->out, (std::vector<double>{0, 1}));
    w.interval(2100ms);
    EXPECT_EQ(w.listener(80).accepts, 20U);
    EXPECT_EQ(w.listener(80).accepts_s, 0.0);
    EXPECT_EQ(w.listener(8080).overflows, 7U);
    EXPECT_EQ(w.listener(8080).new_overflows, 0U);
}

TEST(top, counts_failed_accepts)
{
    Watch w;
    a_busy_host(w);
    tell(w.correlator, 1200ms, listener().accept_error(EMFILE, 9));
    w.interval(2100ms);
    EXPECT_EQ(w.listener(80).accept_errors, 9U);
    EXPECT_THAT(w.screen(), HasSubstr("failed accepts 9 (+9)"));
}

TEST(top, begins_anew_when_told)
{
    Watch w;
    a_busy_host(w);
    w.press(U"z");
    EXPECT_TRUE(w.view.take_zero());
    EXPECT_FALSE(w.view.take_zero());
    w.model.zero();
    EXPECT_FALSE(w.model.quiet());
    w.interval(2100ms);
    EXPECT_EQ(w.listener(80).accepts, 0U);
    EXPECT_EQ(w.listener(80).waits_us, std::nullopt);
    EXPECT_EQ(w.listener(8080).overflows, 0U);
    EXPECT_EQ(w.model.data()->overflows, 0U);
    arrives(w.correlator, 2200ms, child(3, 80, 50), 3);
    is_accepted(w.correlator, 2200ms + 8001us, child(3, 80, 50), 3, nginx);
    w.interval(3100ms);
    EXPECT_EQ(w.listener(80).accepts, 1U);
    EXPECT_NEAR(static_cast<double>(w.listener(80).waits_us->at(0)), 8000, 8000.0 / 64);
}

/// A picture that would be the same is not painted: an idle top costs what an idle trace does.
TEST(top, is_quiet_once_nothing_happened_for_as_long_as_is_shown)
{
    Watch w;
    w.interval(100ms);
    EXPECT_TRUE(w.model.quiet());
    tell(w.correlator, 150ms, client().connect().by(curl));
    EXPECT_FALSE(w.model.quiet());
    for (int i = 2; i < 302; i++) {
        w.interval(i * 100ms);
        EXPECT_FALSE(w.model.quiet()) << i;
    }
    w.interval(31s);
    EXPECT_TRUE(w.model.quiet());
}

TEST(top, says_when_the_end_of_time_wait_is_not_seen)
{
    Watch w({true, false}, on_tracepoint());
    w.interval(100ms);
    EXPECT_THAT(w.screen(), HasSubstr("TIME_WAIT ?"));
}

TEST(top, shows_what_is_lost)
{
    Watch w;
    w.correlator.lost(3, event::LostWhere::ring, 1);
    w.interval(100ms);
    EXPECT_THAT(w.lines()[0], HasSubstr("lost 3"));
    EXPECT_EQ(w.view.draw(80, 24, false).at(0, 79).style, Style::bad);
}

// ---- keys -------------------------------------------------------------------------------------

TEST(top, sorts)
{
    Watch w;
    a_busy_host(w);
    const std::string odd = "[2001:db8:1111…:8443";
    EXPECT_THAT(w.rows(), ElementsAre("0.0.0.0:80", "127.0.0.1:8080", odd, "0.0.0.0:9000"));
    w.press(U"s"); // depth
    EXPECT_THAT(w.rows(), ElementsAre("127.0.0.1:8080", "0.0.0.0:80", odd, "0.0.0.0:9000"));
    EXPECT_THAT(w.lines().back(), HasSubstr("sort:depth "));
    w.press(U"r"); // what has ended stays below
    EXPECT_THAT(w.rows(), ElementsAre(odd, "0.0.0.0:80", "127.0.0.1:8080", "0.0.0.0:9000"));
    EXPECT_THAT(w.lines().back(), HasSubstr("sort:depth^ "));
    w.press(U"s"); // p99
    EXPECT_THAT(w.rows(), ElementsAre("0.0.0.0:80", "127.0.0.1:8080", odd, "0.0.0.0:9000"));
    w.press(U"s"); // overflows
    EXPECT_THAT(w.rows(), ElementsAre("127.0.0.1:8080", "0.0.0.0:80", odd, "0.0.0.0:9000"));
    w.press(U"s"); // address
    EXPECT_THAT(w.rows(), ElementsAre("0.0.0.0:80", "127.0.0.1:8080", odd, "0.0.0.0:9000"));
    w.press(U"s"); // process
    EXPECT_THAT(w.rows(), ElementsAre(odd, "0.0.0.0:80", "127.0.0.1:8080", "0.0.0.0:9000"));
    w.press(U"S");
    EXPECT_THAT(w.lines().back(), HasSubstr("sort:address "));
}

TEST(top, filters)
{
    Watch w;
    a_busy_host(w);
    w.press(U"/wXr");
    EXPECT_EQ(w.lines().back(), "filter: wXr_");
    w.press(std::u32string{key::backspace, key::backspace} + U"ORK");
    EXPECT_THAT(w.rows(), ElementsAre("127.0.0.1:8080", "0.0.0.0:9000"));
    w.press(U"\n");
    EXPECT_THAT(w.lines()[0], HasSubstr("filter 'wORK'"));
    EXPECT_THAT(w.screen(), Not(HasSubstr("curl/101")));
    w.press(U"/q\x1b"); // back to the one before
    EXPECT_FALSE(w.view.quit());
    EXPECT_THAT(w.rows(), ElementsAre("127.0.0.1:8080", "0.0.0.0:9000"));
    w.press(U"\x1b");
    EXPECT_EQ(w.rows().size(), 4U);
    w.press(U"/nothing has this\n");
    EXPECT_THAT(w.screen(), HasSubstr("no such listener"));
}

TEST(top, pauses)
{
    Watch w;
    a_busy_host(w);
    w.press(U"p");
    is_accepted(w.correlator, 1200ms, child(4, 8080, 1), 4, worker);
    w.interval(2100ms);
    EXPECT_THAT(w.lines()[0], HasSubstr("PAUSED"));
    EXPECT_THAT(w.screen(), HasSubstr("4/3"));
    w.press(U"s");
    w.open(2200ms); // what was not gathered is looked for now
    EXPECT_EQ(w.rows().size(), 4U);
    w.press(U"\x1bp");
    EXPECT_THAT(w.screen(), HasSubstr("3/3"));
}

TEST(top, opens_the_selected_listener_wherever_it_moves_to)
{
    Watch w;
    a_busy_host(w);
    w.press(std::u32string{key::down}); // 8080
    w.press(U"s");                      // is the first now
    w.open(2s);
    EXPECT_EQ(w.view.opened()->port, 8080);
    EXPECT_THAT(w.rows(), ElementsAre("10.0.0.10:40000", "10.0.0.11:40001", "10.0.0.12:40002",
                                      "10.0.0.10:40003"));
    w.press(U"sss"); // remote
    EXPECT_THAT(w.rows()[1], "10.0.0.10:40003");
    w.press(std::u32string{key::down});
    EXPECT_THAT(w.rows()[0], "10.0.0.10:40003");
    w.press(U"\x1b");
    EXPECT_EQ(w.view.opened(), std::nullopt);
    w.press(std::u32string{key::end});
    w.press(U"\n");
    EXPECT_EQ(w.view.opened()->port, 9000);
}

TEST(top, scrolls_to_what_is_selected)
{
    Watch w;
    for (std::uint16_t n = 0; n < 40; n++)
        tell(w.correlator, 1ms,
             Socket().id(100U + n).local("0.0.0.0", 1000 + n).remote("0.0.0.0", 0).listen(5));
    w.interval(100ms);
    EXPECT_EQ(w.rows().front(), "0.0.0.0:1000");
    EXPECT_THAT(w.screen(), HasSubstr(" of 40"));
    w.press(std::u32string{key::end});
    const std::vector<std::string> rows = w.rows();
    EXPECT_THAT(w.screen(), HasSubstr("-40 of 40"));
    EXPECT_THAT(w.screen(), HasSubstr("0.0.0.0:1039 "));
    EXPECT_EQ(w.screen().find("0.0.0.0:1000 "), std::string::npos);
}

TEST(top, quits)
{
    for (const char32_t k : {U'q', key::interrupt}) {
        TopView view({"web1", "", 1});
        view.on_key(k);
        EXPECT_TRUE(view.quit());
    }
    TopView view({"web1", "", 1});
    view.on_key(U'/');
    view.on_key(U'q'); // a letter of the filter
    EXPECT_FALSE(view.quit());
    view.on_key(key::interrupt);
    EXPECT_TRUE(view.quit());
}

// ---- hostile names, short texts ---------------------------------------------------------------

TEST(top, cannot_be_steered_by_a_process_name)
{
    Watch w;
    a_busy_host(w);
    const Grid grid = w.view.draw(160, 40, false);
    for (int row = 0; row < grid.rows(); row++)
        for (int column = 0; column < grid.columns(); column++)
            EXPECT_GE(grid.at(row, column).c, U' ');
    EXPECT_THAT(grid.text(), HasSubstr("\\x1b[2J\\x07x/303"));
}

TEST(top, says_times_in_five_columns)
{
    EXPECT_EQ(short_time(0), "0us");
    EXPECT_EQ(short_time(999), "999us");
    EXPECT_EQ(short_time(1000), "1.0ms");
    EXPECT_EQ(short_time(9949), "9.9ms");
    EXPECT_EQ(short_time(9950), "10ms");
    EXPECT_EQ(short_time(999'499), "999ms");
    EXPECT_EQ(short_time(999'500), "1.0s");
    EXPECT_EQ(short_time(12'000'000), "12s");
    EXPECT_EQ(short_time(599'999'999), "599s");
    EXPECT_EQ(short_time(600'000'000), "10m");
    EXPECT_EQ(short_time(36'000'000'000), "10h");
    EXPECT_EQ(short_time(864'000'000'000), "10d");
}

TEST(top, says_counts_in_six_columns)
{
    EXPECT_EQ(short_count(99'999), "99999");
    EXPECT_EQ(short_count(100'000), "100k");
    EXPECT_EQ(short_count(1'000'000), "1.0M");
    EXPECT_EQ(short_count(12'345'000'000), "12345M");
    EXPECT_EQ(short_rate(0.05), "0.1");
    EXPECT_EQ(short_rate(999.94), "999.9");
    EXPECT_EQ(short_rate(1234.5), "1234");
    EXPECT_EQ(short_rate(123'456), "123k");
}

TEST(top, keeps_the_end_that_matters)
{
    EXPECT_EQ(fit_tail("10.0.0.1:80", ':', 20), "10.0.0.1:80");
    EXPECT_EQ(fit_tail("[2001:db8::1]:8080", ':', 12), "[2001:…:8080");
    EXPECT_EQ(fit_tail("python3/1234567", '/', 11), "py…/1234567");
    EXPECT_EQ(fit_tail("abc", '/', 2), "a…");
}

} // namespace
} // namespace tcpsaga::testing
