// SPDX-License-Identifier: BSD-2-Clause
#include <array>
#include <ctime>

#include "room.h"
#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

using Out = std::back_insert_iterator<fmt::memory_buffer>;

/// "950us", "12.340ms", "3.005s": four significant digits, never 0.000.
std::string duration(std::uint64_t us)
{
    if (us < 1000)
        return fmt::format("{}us", us);
    if (us < 1'000'000)
        return fmt::format("{}.{:03}ms", us / 1000, us % 1000);
    return fmt::format("{}.{:03}s", us / 1'000'000, us / 1000 % 1000);
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
    std::string operator()(const event::StateChange& e) const
    {
        return fmt::format("{} -> {}{}{}", name_of(e.old_state), name_of(e.new_state),
                           e.us ? " after " + duration(*e.us) : "",
                           e.inferred ? " (inferred)" : "");
    }
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

struct Process_ {
    std::string pid, comm;
    explicit Process_(const Process& p)
        : pid(p.known() ? std::to_string(p.pid) : "-"), comm(p.known() ? visible(p.name()) : "-")
    {
    }
};

class Text : public Sink {
public:
    Text(Output& out, PresentOptions options, const std::string& header)
        : out_(out), options_(std::move(options))
    {
        if (options_.host_column != 0)
            host_ = fmt::format("{:<{}} ", visible(options_.host), options_.host_column);
        if (options_.header)
            print(options_.host_column == 0 ? ""
                                            : fmt::format("{:<{}} ", "HOST", options_.host_column),
                  bold(header));
    }

protected:
    void line(std::string_view text)
    {
        print(host_, text);
        out_.line_done();
    }

    /// Local time of day with microseconds.
    [[nodiscard]] std::string clock(std::uint64_t ts_ns) const
    {
        const std::int64_t us = (static_cast<std::int64_t>(ts_ns) + options_.utc_offset_ns) / 1000;
        const std::int64_t day = (us / 1'000'000 + options_.zone_offset_s) % 86400;
        return fmt::format("{:02}:{:02}:{:02}.{:06}", day / 3600, day / 60 % 60, day % 60,
                           us % 1'000'000);
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
    /// A line is put into the buffer, between these two.
    void begin_line() { append(out_.buffer(), host_); }
    void line_written() { out_.line_done(); }

private:
    void print(std::string_view before, std::string_view text)
    {
        append(out_.buffer(), before);
        append(out_.buffer(), text.substr(0, text.find_last_not_of(' ') + 1));
        out_.buffer().push_back('\n');
    }

    Output& out_;
    PresentOptions options_;
    std::string host_; ///< as every line begins with it
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
        const Process_ who(e.actor);
        // The listener's owner is a guess, and looks like one.
        const std::string comm = e.actor.from == PidFrom::listener ? who.comm + "?" : who.comm;
        const std::string kind = fmt::format("{:<14}", kind_of(e));
        const bool bad = std::holds_alternative<event::ConnectError>(e.what) ||
                         std::holds_alternative<event::BindError>(e.what) ||
                         std::holds_alternative<event::SynackTimeout>(e.what) ||
                         std::holds_alternative<event::Stuck>(e.what) ||
                         std::holds_alternative<event::Overflow>(e.what) ||
                         std::holds_alternative<event::AcceptError>(e.what) ||
                         std::holds_alternative<event::Retransmit>(e.what) ||
                         std::holds_alternative<event::Drop>(e.what) || e.conn == nullptr;
        std::string arrow = "  ";
        if (e.conn != nullptr && e.conn->role == Role::client)
            arrow = "->";
        else if (e.conn != nullptr && e.conn->role == Role::server &&
                 e.conn->tuple.remote.port != 0)
            arrow = "<-";
        line(fmt::format("{} {:<7} {:<15} {} {:<21} {} {:<21} {}", clock(e.ts_ns), who.pid, comm,
                         bad ? red(kind) : kind,
                         e.conn != nullptr && e.conn->family != 0
                             ? endpoint_text(e.conn->tuple.local)
                             : "",
                         arrow,
                         e.conn != nullptr && e.conn->tuple.remote.port != 0
                             ? endpoint_text(e.conn->tuple.remote)
                             : "",
                         std::visit(Detail{}, e.what) + container_of(e.actor)));
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
        buffer().push_back('\n');
        line_written();
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

    /// PID and COMM: the only columns whose width may not be that of their bytes.
    void process(const Process& p)
    {
        if (!(p == last_) || columns_.empty()) {
            const Process_ who(p);
            last_ = p;
            columns_ = fmt::format("{:<7} {:<15} ", who.pid,
                                   p.from == PidFrom::listener ? who.comm + "?" : who.comm);
        }
        append(buffer(), columns_);
    }

    Process last_;
    std::string columns_; ///< of it
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
