// SPDX-License-Identifier: BSD-2-Clause
#include <array>
#include <ctime>

#include "room.h"
#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

using Out = std::back_insert_iterator<fmt::memory_buffer>;

/// "950us", "12.340ms", "3.005s": four significant digits, never 0.000.
void put_duration(Room& room, std::uint64_t us)
{
    if (us < 1000) {
        room.number(us);
        room.put("us");
        return;
    }
    const bool seconds = us >= 1'000'000;
    const std::uint64_t thousandths = seconds ? us / 1000 : us;
    room.number(thousandths / 1000);
    room.put('.');
    room.digits(thousandths % 1000, 3);
    room.put(seconds ? "s" : "ms");
}
std::string duration(std::uint64_t us)
{
    std::array<char, 32> text{};
    Room room(text.data());
    put_duration(room, us);
    return {text.data(), room.at()};
}

/// What the line of an event says behind its addresses.
struct Detail {
    std::string operator()(const event::Listen& e) const
    {
        const bool bounded = e.asked && *e.asked != e.backlog;
        return fmt::format("backlog {}", e.backlog) +
               (bounded ? fmt::format(" (asked {})", *e.asked) : "");
    }
    std::string operator()(const event::Unlisten& e) const
    {
        return e.why == event::UnlistenWhy::process_exit ? "process exit" : "closed";
    }
    std::string operator()(const event::Connect&) const { return ""; }
    std::string operator()(const event::ConnectError& e) const
    {
        std::string text = e.err != 0 ? errno_name(e.err) : "no local port or no route";
        if (e.ports)
            text += fmt::format(": of ports {}-{} {} in TIME_WAIT, {} in use", e.ports->low,
                                e.ports->high, e.ports->time_wait, e.ports->live);
        return text;
    }
    std::string operator()(const event::BindError& e) const { return errno_name(e.err); }
    std::string operator()(const event::SynackTimeout& e) const
    {
        return fmt::format("given up after {} retransmitted SYN-ACKs", e.retransmits);
    }
    std::string operator()(const event::StateChange&) const { return ""; } // Trace's own
    std::string operator()(const event::Accept& e) const
    {
        std::string text;
        const auto add = [&](const std::string& part) {
            text += (text.empty() ? "" : ", ") + part;
        };
        if (e.accept_wait_us)
            add("waited " + duration(*e.accept_wait_us));
        if (e.handshake_us)
            add("handshake " + duration(*e.handshake_us));
        if (e.acceptq && e.acceptq_max)
            add(fmt::format("queue {}/{}", *e.acceptq, *e.acceptq_max));
        return text;
    }
    std::string operator()(const event::AcceptError& e) const
    {
        std::string text;
        const auto add = [&](const std::string& part) {
            text += (text.empty() ? "" : ", ") + part;
        };
        if (e.err != 0)
            add(errno_name(e.err));
        if (e.fd_limit)
            add(fmt::format("descriptor limit {}", *e.fd_limit));
        if (e.acceptq && e.acceptq_max)
            add(fmt::format("accept queue {}/{}", *e.acceptq, *e.acceptq_max));
        if (e.n != 1)
            add(fmt::format("{} times", e.n));
        return text;
    }
    std::string operator()(const event::TimeWait& e) const
    {
        std::string text(name_of(e.why));
        if (e.held_ms)
            text += (text.empty() ? "held " : ", held ") + duration(*e.held_ms * 1000);
        return text;
    }
    std::string operator()(const event::Overflow& e) const
    {
        std::string text =
            fmt::format("{} queue full{}: {}", name_of(e.queue),
                        e.stage ? fmt::format(" at {}", name_of(*e.stage)) : "", name_of(e.action));
        if (e.max_syn_backlog)
            text += " (max_syn_backlog)";
        if (e.acceptq && e.acceptq_max)
            text += fmt::format(", accept queue {}/{}", *e.acceptq, *e.acceptq_max);
        if (e.synq)
            text += fmt::format(", SYN queue {}", *e.synq);
        return e.n == 1 ? text : text + fmt::format(", {} packets", e.n);
    }
    std::string operator()(const event::Reset& e) const
    {
        return fmt::format("{}{}{}", e.sent ? "sent" : "received", e.reason.empty() ? "" : ", ",
                           e.reason);
    }
    std::string operator()(const event::Retransmit& e) const
    {
        static constexpr std::array<std::string_view, 4> names{"SYN", "SYN-ACK", "data", "FIN"};
        return fmt::format("{} #{}{}{}", names.at(static_cast<std::size_t>(e.what)), e.nth,
                           e.segments != 1 ? fmt::format(", {} segments", e.segments) : "",
                           e.err != 0 ? ", not sent: " + errno_name(e.err) : "");
    }
    std::string operator()(const event::Drop& e) const
    {
        std::string text = e.reason;
        if (!e.place.empty())
            text += (text.empty() ? "at " : " at ") + e.place;
        if (e.n != 1)
            text += fmt::format("{}{} packets", text.empty() ? "" : ", ", e.n);
        return text;
    }
    std::string operator()(const event::Close& e) const
    {
        return fmt::format("{}{}, tx {} rx {} bytes{}{}", name_of(e.end),
                           e.why.empty() ? "" : fmt::format(" ({})", e.why), e.tx_bytes, e.rx_bytes,
                           e.duration_us ? ", " + duration(*e.duration_us) : "",
                           e.retransmits != 0 ? fmt::format(", {} retransmits", e.retransmits)
                                              : "");
    }
    std::string operator()(const event::Stuck& e) const
    {
        return fmt::format("{} for {}", name_of(e.state), duration(e.us));
    }
    std::string operator()(const event::Lost& e) const
    {
        return fmt::format("{} lost ({})", e.n, name_of(e.where));
    }
    std::string operator()(const event::Summary&) const { return ""; }
};

class Text : public Sink {
public:
    Text(Output& out, PresentOptions options, const std::string& header)
        : out_(out), options_(std::move(options))
    {
        if (options_.host_column != 0)
            host_ = fmt::format("{:<{}} ", visible(options_.host), options_.host_column);
        if (options_.header) {
            const int width = static_cast<int>(options_.host_column);
            append(buffer(), width == 0 ? "" : fmt::format("{:<{}} ", "HOST", width));
            append(buffer(), bold(header) + "\n");
        }
    }

protected:
    void line(std::string_view text)
    {
        begin_line();
        append(buffer(), text);
        end_line();
    }

    /// Local time of day with microseconds: 15 bytes.
    void put_clock(Room& room, std::uint64_t ts_ns) const
    {
        const std::int64_t us = (static_cast<std::int64_t>(ts_ns) + options_.utc_offset_ns) / 1000;
        const std::int64_t day = (us / 1'000'000 + options_.zone_offset_s) % 86400;
        const auto part = [&](std::int64_t value, int width) {
            room.digits(static_cast<std::uint64_t>(value), width);
        };
        part(day / 3600, 2);
        room.put(':');
        part(day / 60 % 60, 2);
        room.put(':');
        part(day % 60, 2);
        room.put('.');
        part(us % 1'000'000, 6);
    }
    [[nodiscard]] std::string clock(std::uint64_t ts_ns) const
    {
        std::array<char, 15> text{};
        Room room(text.data());
        put_clock(room, ts_ns);
        return {text.data(), text.size()};
    }

    /// PID and COMM, the latter with a "?" where it is a guess: the only columns whose width may
    /// not be that of their bytes.
    void process(const Process& p)
    {
        const bool guessed = p.from == PidFrom::listener;
        Process key = p;
        key.from = guessed || !p.known() ? p.from : PidFrom::task;
        Shown& shown = shown_.at(p.pid % shown_.size());
        if (!(key == shown.process) || shown.columns.empty()) {
            const std::string pid = p.known() ? std::to_string(p.pid) : "-";
            const std::string comm = p.known() ? visible(p.name()) : "-";
            shown = {key, fmt::format("{:<7} {:<15} ", pid, guessed ? comm + "?" : comm)};
        }
        append(buffer(), shown.columns);
    }

    [[nodiscard]] std::string bold(const std::string& text) const
    {
        return options_.color ? "\x1b[1m" + text + "\x1b[0m" : text;
    }
    [[nodiscard]] std::string red(const std::string& text) const
    {
        return options_.color ? "\x1b[31m" + text + "\x1b[0m" : text;
    }

    /// " [3f2a1b4c5d6e]": the container that a process is in, as `docker ps` has it.
    [[nodiscard]] std::string container_of(const Process& p) const
    {
        constexpr std::size_t shown = 12;
        const Home* home = options_.whereabouts == nullptr ? nullptr : options_.whereabouts->of(p);
        return home == nullptr || home->container.empty()
                   ? ""
                   : " [" + home->container.substr(0, shown) + "]";
    }

    [[nodiscard]] const PresentOptions& options() const { return options_; }
    [[nodiscard]] fmt::memory_buffer& buffer() { return out_.buffer(); }
    /// A line is put into the buffer, between these two. Spaces at its end go.
    void begin_line() { append(out_.buffer(), host_); }
    void end_line()
    {
        std::size_t end = buffer().size();
        while (end > 0 && buffer()[end - 1] == ' ')
            end--;
        buffer().resize(end);
        buffer().push_back('\n');
        out_.line_done();
    }

private:
    struct Shown {
        Process process;
        std::string columns;
    };

    Output& out_;
    PresentOptions options_;
    std::string host_;            ///< as every line begins with it
    std::array<Shown, 16> shown_; ///< by pid: a client and its server take turns
};

class Trace : public Text {
public:
    Trace(Output& out, PresentOptions options)
        : Text(out, std::move(options),
               fmt::format("{:<15} {:<7} {:<15} {:<14} {:<21}    {:<21} {}", "TIME", "PID", "COMM",
                           "EVENT", "LOCAL", "REMOTE", "DETAIL"))
    {
    }

    void on_event(const Event& e) override
    {
        if (!wanted(options(), e) || std::holds_alternative<event::Summary>(e.what))
            return;
        begin_line();
        columns(e);
        if (const auto* change = std::get_if<event::StateChange>(&e.what))
            state_change(*change);
        else
            append(buffer(), std::visit(Detail{}, e.what));
        append(buffer(), container_of(e.actor));
        end_line();
    }

private:
    static constexpr std::size_t most = 256; ///< of either of both parts below

    /// All but the detail.
    void columns(const Event& e)
    {
        {
            Room room(buffer(), most);
            put_clock(room, e.ts_ns);
            room.put(' ');
        }
        process(e.actor);
        Room room(buffer(), most);
        const bool colored = options().color && is_bad(e);
        if (colored)
            room.put("\x1b[31m");
        room.left(14, [&] { room.put(kind_of(e)); });
        if (colored)
            room.put("\x1b[0m");
        room.put(' ');
        room.left(21, [&] {
            if (e.conn != nullptr && e.conn->family != 0)
                put_endpoint(room, e.conn->tuple.local);
        });
        room.put(' ');
        room.put(arrow_of(e));
        room.put(' ');
        room.left(21, [&] {
            if (e.conn != nullptr && e.conn->tuple.remote.port != 0)
                put_endpoint(room, e.conn->tuple.remote);
        });
        room.put(' ');
    }

    /// "SYN_SENT -> ESTABLISHED after 950us": of all lines the most.
    void state_change(const event::StateChange& e)
    {
        Room room(buffer(), most);
        room.put(name_of(e.old_state));
        room.put(" -> ");
        room.put(name_of(e.new_state));
        if (e.us) {
            room.put(" after ");
            put_duration(room, *e.us);
        }
        if (e.inferred)
            room.put(" (inferred)");
    }

    static void put_endpoint(Room& room, const Endpoint& e)
    {
        const bool v4 = e.addr.is_v4();
        if (!v4)
            room.put('[');
        room.address(e.addr);
        if (!v4)
            room.put(']');
        room.put(':');
        if (e.port == 0)
            room.put('*');
        else
            room.number(e.port);
    }

    static bool is_bad(const Event& e)
    {
        return std::holds_alternative<event::ConnectError>(e.what) ||
               std::holds_alternative<event::BindError>(e.what) ||
               std::holds_alternative<event::SynackTimeout>(e.what) ||
               std::holds_alternative<event::Stuck>(e.what) ||
               std::holds_alternative<event::Overflow>(e.what) ||
               std::holds_alternative<event::AcceptError>(e.what) ||
               std::holds_alternative<event::Retransmit>(e.what) ||
               std::holds_alternative<event::Drop>(e.what) || e.conn == nullptr;
    }

    static std::string_view arrow_of(const Event& e)
    {
        if (e.conn != nullptr && e.conn->role == Role::client)
            return "->";
        const bool served = e.conn != nullptr && e.conn->role == Role::server;
        return served && e.conn->tuple.remote.port != 0 ? "<-" : "  ";
    }
};

/// bytes as KB like tcplife's, but a single byte is not 0. Rounds as printf() does: half to even.
void put_kilobytes(Room& room, std::uint64_t bytes)
{
    const std::uint64_t whole = bytes / 1024;
    const std::uint64_t rest = bytes % 1024 * 10;
    if (rest == 0)
        return room.number(whole);
    const bool up = rest % 1024 > 512 || (rest % 1024 == 512 && rest / 1024 % 2 == 1);
    const std::uint64_t tenths =
        std::max<std::uint64_t>(1, whole * 10 + rest / 1024 + (up ? 1 : 0));
    room.number(tenths / 10);
    room.put('.');
    room.number(tenths % 10);
}

void put_millis(Room& room, const event::Micros& us)
{
    if (!us)
        return room.put('-');
    room.number(*us / 1000);
    room.put('.');
    room.digits(*us % 1000, 3);
}

class Life : public Text {
public:
    Life(Output& out, PresentOptions options)
        : Text(out, std::move(options),
               fmt::format("{:<7} {:<15} {:<15} {:<5} {:<15} {:<5} {:>7} {:>7} {:>10} {:<6} {:>9} "
                           "{:>7} {:<6} {}",
                           "PID", "COMM", "LADDR", "LPORT", "RADDR", "RPORT", "TX_KB", "RX_KB",
                           "MS", "ROLE", "ACCEPT_MS", "RETRANS", "BY", "END"))
    {
    }

    void on_event(const Event& e) override
    {
        const auto* life = std::get_if<event::Close>(&e.what);
        if (life == nullptr) {
            if (std::holds_alternative<event::Lost>(e.what))
                line(red(fmt::format("{} {}", clock(e.ts_ns), std::visit(Detail{}, e.what))));
            return;
        }
        if (!wanted(options(), e))
            return;
        begin_line();
        process(e.conn->owner);
        columns(*e.conn, *life);
        append(buffer(), container_of(e.conn->owner));
        if (life->other != nullptr)
            server(*life);
        end_line();
    }

private:
    /// Those behind the process.
    void columns(const Connection& c, const event::Close& life)
    {
        constexpr std::size_t most = 512;
        Room room(buffer(), most);
        const auto left = [&](std::ptrdiff_t width, const auto& write) {
            room.left(width, write);
            room.put(' ');
        };
        const auto right = [&](std::ptrdiff_t width, const auto& write) {
            room.right(width, write);
            room.put(' ');
        };
        const auto name = [&](std::string_view text) { room.put(text.empty() ? "-" : text); };
        const bool is_pair = life.other != nullptr;
        const event::Close& other = is_pair ? *life.other : life;
        left(15, [&] { room.address(c.tuple.local.addr); });
        left(5, [&] { room.number(c.tuple.local.port); });
        left(15, [&] { room.address(c.tuple.remote.addr); });
        left(5, [&] { room.number(c.tuple.remote.port); });
        right(7, [&] { put_kilobytes(room, life.tx_bytes); });
        right(7, [&] { put_kilobytes(room, life.rx_bytes); });
        right(10, [&] { put_millis(room, life.duration_us); });
        left(6, [&] { is_pair ? room.put("pair") : name(name_of(c.role)); });
        right(9, [&] { put_millis(room, (is_pair ? other : life).accept_wait_us); });
        right(7, [&] { room.number(life.retransmits + (is_pair ? other.retransmits : 0)); });
        left(6, [&] { name(name_of(c.closed_by)); });
        room.put(name_of(life.end));
    }

    /// "-> 385/python3 (process_exit)": who was at the other end, and how that ended when
    /// otherwise; "-> db: 385/python3" on another host.
    void server(const event::Close& life)
    {
        const Process& p = life.peer->process;
        append(buffer(), " -> ");
        if (life.peer_host)
            append(buffer(), visible(life.peer_host->name) + ": ");
        append(buffer(), p.known() ? fmt::format("{}/{}", p.pid, visible(p.name())) : "-");
        if (!life.peer_host)
            append(buffer(), container_of(p));
        if (life.other->end != life.end)
            append(buffer(), fmt::format(" ({})", name_of(life.other->end)));
    }
};

} // namespace

std::unique_ptr<Sink> make_trace(Output& out, PresentOptions options)
{
    return std::make_unique<Trace>(out, std::move(options));
}

std::unique_ptr<Sink> make_life(Output& out, PresentOptions options)
{
    return std::make_unique<Life>(out, std::move(options));
}

} // namespace tcpsaga
