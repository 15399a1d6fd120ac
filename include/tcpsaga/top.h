// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * What `top` shows. The model gathers, where events come in; the view holds what the person chose
 * and draws, where the terminal is. What passes between them is never changed again.
 */
#include <array>
#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tcpsaga/event.h"
#include "tcpsaga/grid.h"

namespace tcpsaga {

struct TopListenerKey {
    std::uint32_t netns = 0;
    std::uint16_t port = 0;
    std::uint64_t conn = 0; ///< the listener's Connection::id, 0 = not known
    auto operator<=>(const TopListenerKey&) const = default;
};

struct TopListener {
    TopListenerKey key;
    Endpoint local;
    Process owner;
    std::optional<std::uint32_t> depth; ///< children that wait for accept() now
    std::uint32_t high = 0;             ///< the most that ever waited at once
    std::uint32_t limit = 0;            ///< 0 = not known
    double accepts_s = 0;
    std::uint64_t accepts = 0;
    std::optional<std::array<std::uint64_t, 3>> waits_us; ///< p50, p90, p99; nullopt: none yet
    std::uint64_t overflows = 0, new_overflows = 0;
    std::uint64_t accept_errors = 0;
    std::optional<event::UnlistenWhy> ended;
};

struct TopConnection {
    Endpoint remote;
    State state = State::none;
    bool queued = false;        ///< waits for accept()
    event::Micros age_us;       ///< nullopt: it was there before us
    std::uint64_t state_us = 0; ///< in this state, or since we know of it
    event::Micros wait_us;      ///< until accept()
    Process owner;
};

/// One picture of everything.
struct TopData {
    std::uint64_t ts_ns = 0;
    event::Interval interval;
    std::vector<double> in, out; ///< connections per second, an interval each, the latest last
    std::array<std::uint64_t, 13> states{}; ///< sockets, by State
    bool time_waits_seen = true;            ///< else nobody knows how many there are
    std::uint64_t overflows = 0, accept_errors = 0, connect_errors = 0, retransmits = 0;
    std::uint64_t time_wait_overflows = 0, lost = 0;
    std::vector<TopListener> listeners;
    std::vector<event::TopRemote> remotes;
    std::vector<event::TopProcess> processes;
    std::optional<TopListenerKey> opened; ///< whose connections these are
    std::vector<TopConnection> connections;
    std::uint64_t connections_there = 0; ///< more than `connections` has room for
};

class TopModel {
public:
    /// What hooks tell: without accepts nobody knows how deep a queue is, and without the ends of
    /// TIME_WAIT not how many there are.
    struct Seen {
        bool accepts = true, time_wait_exits = true;
    };
    explicit TopModel(Seen seen) : seen_(seen) {}

    /// Counts what a listener turned away.
    void on_event(const Event& e);
    /// Before each look at all connections; then each of them at `ts_ns`.
    void begin_look(std::uint64_t ts_ns);
    void see(const Connection& c);
    /// Ends the look and the interval.
    void end_interval(const event::Summary& s, std::uint64_t ts_ns);
    /// Ends the look only: for the connections of another listener.
    void end_look();
    /// Whose connections the next look gathers.
    void open(std::optional<TopListenerKey> listener) { opened_ = listener; }
    /// Counts of listeners and failures begin anew.
    void zero() { zero_asked_ = true; }
    /// Nothing has happened for so long that a new picture would be the same.
    [[nodiscard]] bool quiet() const;

    [[nodiscard]] std::shared_ptr<const TopData> data() const { return data_; }

private:
    struct Turned {
        std::uint64_t overflows = 0, accept_errors = 0;
        std::uint64_t overflows_before = 0; ///< this interval
        std::uint64_t overflows_zero = 0, accept_errors_zero = 0;
    };
    [[nodiscard]] TopListener row_of(const event::ListenerSummary& l,
                                     const event::Summary& s) const;
    static void add_turned(TopListener& row, Turned& turned);
    void add_listeners(TopData& data, const event::Summary& s);
    void add_counts(TopData& data, const event::Summary& s) const;
    void add_look(TopData& data) const;

    Seen seen_;
    bool events_since_ = true;
    bool zero_asked_ = false;
    std::optional<TopListenerKey> opened_;
    std::map<TopListenerKey, Turned> turned_;
    event::Summary zero_; ///< counts that are not shown any more
    std::vector<double> in_, out_;
    std::uint64_t look_ns_ = 0;
    std::array<std::uint64_t, 13> states_{};
    std::map<TopListenerKey, std::uint32_t> depths_;
    std::vector<TopConnection> connections_;
    std::uint64_t connections_there_ = 0;
    std::shared_ptr<const TopData> data_ = std::make_shared<TopData>();
};

/// Keys that are no characters.
namespace key {
inline constexpr char32_t up = 0x110000, down = 0x110001, page_up = 0x110002, page_down = 0x110003,
                          home = 0x110004, end = 0x110005, backspace = 0x110006;
inline constexpr char32_t escape = 27, enter = U'\n', interrupt = 3;
} // namespace key

enum class TopSort : std::uint8_t { rate, depth, p99, overflows, address, process };
enum class ConnectionSort : std::uint8_t { age, state, wait, remote };

class TopView {
public:
    struct Title {
        std::string host;
        std::string hooks; ///< Plan::title()
        double interval_s = 1;
    };
    explicit TopView(Title title) : title_(std::move(title)) {}

    /// The latest picture; while paused it is kept back.
    void show(std::shared_ptr<const TopData> data);
    void on_key(char32_t key);
    /// `plain`: for a file, without keys and selection.
    [[nodiscard]] Grid draw(int columns, int rows, bool ascii, bool plain = false) const;

    [[nodiscard]] bool quit() const { return quit_; }
    /// Whose connections are looked at.
    [[nodiscard]] std::optional<TopListenerKey> opened() const { return opened_; }
    /// True once after it was asked for.
    bool take_zero();

private:
    friend class TopLayout;
    using Listeners = std::vector<const TopListener*>;
    using Connections = std::vector<const TopConnection*>;
    /// Those that pass the filter, sorted.
    [[nodiscard]] Listeners listeners() const;
    [[nodiscard]] Connections connections() const;
    [[nodiscard]] bool passes(std::initializer_list<std::string> texts) const;
    [[nodiscard]] std::size_t selected_row(const Listeners& rows) const;
    void edit_filter(char32_t key);
    void move(char32_t key);
    void toggle_pause();
    void next_sort(int by);

    Title title_;
    std::shared_ptr<const TopData> shown_ = std::make_shared<TopData>();
    std::shared_ptr<const TopData> latest_ = shown_;
    TopSort sort_ = TopSort::rate;
    ConnectionSort connection_sort_ = ConnectionSort::age;
    bool reversed_ = false;
    bool paused_ = false;
    bool editing_ = false;
    bool quit_ = false;
    bool zero_ = false;
    std::string filter_, filter_before_;
    std::optional<TopListenerKey> selected_; ///< nullopt: the first
    std::optional<TopListenerKey> opened_;
    std::size_t scrolled_ = 0; ///< in the list of connections
};

/// "192.0.2.1:80" or "[2001:db8::1]:80" cut in its address, "name/123" in its name, to so many
/// columns.
std::string fit_tail(const std::string& text, char tail_from, int width);
/// Five columns at most: "641us", "1.5ms", "12s", "3h".
std::string short_time(std::uint64_t us);
/// Six at most: "0", "12345", "123k", "1.2M".
std::string short_count(std::uint64_t n);
/// The same of a rate: "0.5", "60.0", "1234", "12.3k".
std::string short_rate(double per_second);
/// The process as a row shows it: "nginx/202", "-" when it is not known.
std::string process_text(const Process& p);

} // namespace tcpsaga
