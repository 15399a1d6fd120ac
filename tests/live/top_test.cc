// SPDX-License-Identifier: BSD-2-Clause
/* top on a terminal, by what the screen shows: tmux is the terminal. */
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>

#include "saga.h"

namespace live {
namespace {

std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

/// The line that holds this; "" when there is none.
std::string line_with(const std::string& screen, const std::string& part)
{
    for (const std::string& line : lines_of(screen))
        if (line.find(part) != std::string::npos)
            return line;
    return "";
}

bool has(const std::string& screen, const std::string& part)
{
    return screen.find(part) != std::string::npos;
}

/// The cells between blanks.
std::vector<std::string> words(const std::string& line)
{
    std::istringstream in(line);
    return {std::istream_iterator<std::string>(in), {}};
}

/// A terminal of its own with a shell command in it, in this network namespace.
class Terminal {
public:
    Terminal(const std::string& command, int columns = 80, int rows = 24)
    {
        static int n = 0;
        name_ = "tcpsaga-" + std::to_string(getpid()) + "-" + std::to_string(n++);
        tmux({"-f", "/dev/null", "new-session", "-d", "-x", std::to_string(columns), "-y",
              std::to_string(rows), command});
    }
    ~Terminal() { tmux({"kill-server"}); }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    [[nodiscard]] std::string screen() const { return tmux({"capture-pane", "-p"}); }
    void press(const std::string& key) const { tmux({"send-keys", key}); }
    void type(const std::string& text) const { tmux({"send-keys", "-l", text}); }
    void resize(int columns, int rows) const
    {
        tmux({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)});
    }
    /// Waits until it shows this, and returns the screen.
    std::string wait(const std::function<bool(const std::string&)>& wanted) const
    {
        constexpr auto patience = std::chrono::seconds(10);
        constexpr auto pause = std::chrono::milliseconds(20);
        const auto end = std::chrono::steady_clock::now() + patience;
        std::string now = screen();
        while (!wanted(now) && std::chrono::steady_clock::now() < end) {
            std::this_thread::sleep_for(pause);
            now = screen();
        }
        EXPECT_TRUE(wanted(now)) << "the screen is\n" << now;
        return now;
    }
    std::string wait_for(const std::string& part) const
    {
        return wait([&](const std::string& s) { return has(s, part); });
    }

    /// What the shell in it runs.
    [[nodiscard]] pid_t child() const
    {
        const std::string shell = words(tmux({"display-message", "-p", "#{pane_pid}"})).at(0);
        std::ifstream children("/proc/" + shell + "/task/" + shell + "/children");
        pid_t pid = 0;
        children >> pid;
        return pid;
    }

private:
    std::string tmux(std::vector<std::string> args) const
    {
        args.insert(args.begin(), {"env", "LC_ALL=C.UTF-8", "tmux", "-u", "-L", name_});
        return run(std::move(args)).out;
    }
    std::string name_;
};

std::string top(const std::string& more = "")
{
    return tcpsaga_path() + " top --netns self --attach " + attach() + " --interval 0.2 " + more;
}

/// The same between two lines of a shell that stays; the last one tells whether the terminal is as
/// it was: canonical mode, echo, the cursor's row below.
std::string in_shell(const std::string& command)
{
    return "sh -c 'echo before; " + command +
           " 2>/dev/null; echo exit $? $(stty -a | grep -o \" [-]*icanon\\| [-]*echo \"); exec "
           "sleep 1000'";
}

/// A listener with a backlog of 3 that never accepts, and four clients that it has.
struct FullQueue {
    FullQueue()
        : holder({peer_path(), "hold", "127.0.0.1", "0", "3"}),
          clients({peer_path(), "rush", "127.0.0.1", std::to_string(holder.port), "4"})
    {
        clients.wait_out([](const std::string& l) { return l == "connected 4 refused 0"; });
    }
    [[nodiscard]] std::string process() const
    {
        return "peer/" + std::to_string(holder.process.pid());
    }
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(holder.port); }
    Listening holder;
    Process clients;
};

/// OUT and IN of a remote or a process.
std::pair<std::string, std::string> made_and_got(const std::string& screen, const std::string& who)
{
    const auto panels = screen.find("REMOTE  ");
    const auto cells =
        words(line_with(panels == std::string::npos ? "" : screen.substr(panels), who));
    const auto at = std::ranges::find(cells, who);
    return cells.end() - at < 3 ? std::pair<std::string, std::string>() : std::pair(at[1], at[2]);
}

std::string name_of(const Process& peer)
{
    return "peer/" + std::to_string(peer.pid());
}

void connect_to(const Server& server, int count)
{
    ASSERT_EQ(run({peer_path(), "storm", "127.0.0.1", std::to_string(server.port),
                   std::to_string(count)})
                  .exit_code,
              0);
}

class TopLive : public Live {
protected:
    void SetUp() override
    {
        Live::SetUp();
        if (std::getenv("TCPSAGA_VM") != nullptr)
            GTEST_SKIP() << "SKIPPED: no terminal is needed in a virtual machine";
    }
};

std::string row_of(std::uint16_t port, const std::string& screen)
{
    return line_with(screen, "127.0.0.1:" + std::to_string(port) + " ");
}

TEST_F(TopLive, ShowsListenersWithTheirQueuesAndProcesses)
{
    Server server("127.0.0.1");
    const Terminal t(in_shell(top()));
    t.wait_for("LISTEN 1");
    FullQueue full;
    connect_to(server, 20);
    const std::string screen = t.wait([&](const std::string& s) {
        return has(row_of(full.holder.port, s), " 4/3 ") && has(s, "ESTABLISHED 8 ") &&
               made_and_got(s, name_of(server.process)) ==
                   std::pair(std::string("0"), std::string("20"));
    });
    const auto cells = words(row_of(full.holder.port, screen));
    ASSERT_EQ(cells.size(), 9U) << screen;
    EXPECT_EQ(cells[1].substr(0, 11), full.process().substr(0, 11));
    EXPECT_EQ(cells[2], "█████");
    EXPECT_EQ(cells[3], "4/3");
    EXPECT_TRUE(has(screen, "LISTEN 2 ")) << screen;
    // Of its 24 clients' connections the last four are still there; all are on this host.
    EXPECT_EQ(made_and_got(screen, "127.0.0.1"), std::pair(std::string("24"), std::string("24")));
    EXPECT_EQ(made_and_got(screen, name_of(full.clients)),
              std::pair(std::string("4"), std::string("0")));
    const auto waits = words(row_of(server.port, screen));
    EXPECT_TRUE(waits[5].ends_with("s") && waits[6].ends_with("s")) << screen;
}

TEST_F(TopLive, SortsFiltersAndLooksIntoAListener)
{
    Server server("127.0.0.1");
    const Terminal t(in_shell(top()));
    t.wait_for("LISTEN 1");
    FullQueue full;
    connect_to(server, 20);
    const auto first_row = [](const std::string& s) {
        const auto lines = lines_of(s);
        for (std::size_t i = 0; i + 1 < lines.size(); i++)
            if (lines[i].starts_with("LISTENER"))
                return words(lines[i + 1])[0];
        return std::string();
    };
    const std::string served = "127.0.0.1:" + std::to_string(server.port);
    t.wait([&](const std::string& s) {
        return has(row_of(full.holder.port, s), " 4/3 ") && first_row(s) == served;
    });
    t.press("s");
    t.wait([&](const std::string& s) {
        return has(s, "sort:depth ") && first_row(s) == full.address();
    });
    t.press("r");
    t.wait([&](const std::string& s) { return has(s, "sort:depth^ ") && first_row(s) == served; });
    t.press("/");
    t.type(":" + std::to_string(full.holder.port));
    t.wait_for("filter: :" + std::to_string(full.holder.port) + "_");
    t.press("Enter");
    t.wait([&](const std::string& s) {
        return first_row(s) == full.address() && row_of(server.port, s).empty() &&
               has(s, "filter ':");
    });
    t.press("Escape");
    t.wait([&](const std::string& s) { return !row_of(server.port, s).empty(); });
    t.press("Down");
    t.press("Enter");
    t.wait([&](const std::string& s) {
        const auto head = line_with(s, full.address() + "  " + full.process());
        return has(head, "queue 4/3, up to 4") && has(head, "4 connections") && has(s, "esc back");
    });
    std::size_t queued = 0;
    for (const std::string& line : lines_of(t.screen()))
        queued += has(line, "ESTABLISHED") && has(line, " queued peer/") ? 1 : 0;
    EXPECT_EQ(queued, 4U) << t.screen();
    t.press("Escape");
    t.wait_for("enter open");
}

TEST_F(TopLive, PausesAndGoesOn)
{
    Server server("127.0.0.1");
    const Terminal t(in_shell(top()));
    t.wait_for("LISTEN 1");
    const auto got = [&](const std::string& s) {
        return made_and_got(s, name_of(server.process)).second;
    };
    connect_to(server, 20);
    t.wait([&](const std::string& s) { return got(s) == "20"; });
    t.press("p");
    t.wait_for("PAUSED");
    connect_to(server, 3);
    // As long as several pictures take.
    ASSERT_EQ(run({"sh", "-c", top("--once")}).exit_code, 0);
    EXPECT_TRUE(has(t.screen(), "PAUSED"));
    EXPECT_EQ(got(t.screen()), "20") << t.screen();
    t.press("p");
    t.wait([&](const std::string& s) { return got(s) == "23" && !has(s, "PAUSED"); });
}

TEST_F(TopLive, FollowsTheSizeOfItsWindow)
{
    Server server("127.0.0.1");
    const Terminal t(in_shell(top()));
    t.wait_for("LISTEN 1");
    EXPECT_TRUE(has(lines_of(t.screen()).at(23), "q quit"));
    t.resize(120, 40);
    t.wait([](const std::string& s) {
        const auto lines = lines_of(s);
        return has(s, "WAIT p99") && lines.size() == 40 && has(lines[39], "q quit");
    });
    t.resize(60, 12);
    t.wait([](const std::string& s) {
        const auto lines = lines_of(s);
        return lines.size() == 12 && has(lines[11], "q quit") && !has(s, "WAIT p99");
    });
    t.resize(30, 8);
    t.wait_for("too small");
    t.resize(80, 24);
    t.wait([](const std::string& s) { return has(lines_of(s).at(23), "q quit"); });
}

TEST_F(TopLive, GivesTheTerminalBack)
{
    const std::string as_it_was = " icanon echo";
    const auto left = [&](const Terminal& t, int code) {
        const std::string s = t.wait_for("exit " + std::to_string(code));
        EXPECT_TRUE(s.starts_with("before\n")) << s;
        EXPECT_TRUE(has(s, "exit " + std::to_string(code) + as_it_was)) << s;
        EXPECT_FALSE(has(s, "q quit")) << s;
    };
    for (const char* key : {"q", "C-c"}) {
        const Terminal t(in_shell(top()));
        t.wait_for("LISTEN 0");
        t.press(key);
        left(t, 0);
    }
    for (const auto& [signal, code] : {std::pair{SIGTERM, 0}, {SIGINT, 0}, {SIGSEGV, 139}}) {
        const Terminal t(in_shell(top()));
        t.wait_for("LISTEN 0");
        kill(t.child(), signal);
        left(t, code);
    }
}

/// Ctrl-Z, and the shell's fg.
TEST_F(TopLive, LetsTheShellHaveTheTerminalForAWhile)
{
    const Terminal t("env PS1='$ ' bash --norc --noprofile");
    t.wait_for("$");
    t.type(top() + "\n");
    t.wait_for("LISTEN 0");
    t.press("C-z");
    t.wait_for("Stopped");
    t.type("fg\n");
    t.wait([](const std::string& s) { return has(s, "LISTEN 0") && !has(s, "Stopped"); });
    t.press("q");
    t.wait_for("0 lost\n$");
}

/// What it says comes before the screen and after it.
TEST_F(TopLive, TalksOutsideOfTheScreen)
{
    const Terminal t("sh -c '" + top() + "; exec sleep 1000'", 132, 50);
    t.wait_for("LISTEN 0");
    EXPECT_FALSE(has(t.screen(), "tcpsaga: ")) << t.screen();
    t.press("q");
    const std::string s = t.wait_for("0 lost\n");
    EXPECT_TRUE(has(s, "tcpsaga: ready (")) << s;
    EXPECT_TRUE(has(s, "tcpsaga: 0 opened, 0 accepted, 0 closed, 0 still open")) << s;
}

/// A terminal that takes no more, as after Ctrl-S: the ring is read all the same, and we can leave.
TEST_F(TopLive, AStoppedTerminalHoldsUpNobody)
{
    constexpr int count = 600;
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_EQ(grantpt(master), 0);
    ASSERT_EQ(unlockpt(master), 0);
    const std::string name = ptsname(master);
    const int terminal = open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    Server server("127.0.0.1");
    // A ring that has no room for all.
    Process watching({"sh", "-c",
                      "export TERM=xterm; exec " + top("--ring 64K <") + name + " >" + name});
    std::string painted;
    std::array<char, 4096> chunk{};
    while (!has(painted, "z zero")) { // the last of the first picture
        const ssize_t n = read(master, chunk.data(), chunk.size());
        ASSERT_GT(n, 0);
        painted.append(chunk.data(), static_cast<std::size_t>(n));
    }
    ASSERT_EQ(tcflow(terminal, TCOOFF), 0);
    connect_to(server, count);
    EXPECT_EQ(watching.stop(), 0);
    const std::string said = watching.err().back();
    EXPECT_TRUE(said.ends_with(" events, 0 lost")) << said;
    EXPECT_TRUE(std::ranges::any_of(watching.err(), [](const std::string& l) {
        return l == "tcpsaga: 600 opened, 600 accepted, 1200 closed, 1 still open" ||
               has(l, "600 opened, 600 accepted, 1200 closed");
    }));
    close(terminal);
    close(master);
}

TEST_F(TopLive, OneLineWithoutATerminal)
{
    const auto r = run({tcpsaga_path(), "top"});
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_EQ(r.out, "");
    EXPECT_EQ(r.err, "tcpsaga: top needs a terminal; --once prints one picture\n");
}

TEST_F(TopLive, AnUnknownTerminalIsNamed)
{
    const Terminal t("sh -c 'TERM=dumb " + top() + "; echo exit $?; exec sleep 1000'", 132);
    const std::string s = t.wait_for("exit 2");
    EXPECT_TRUE(
        s.starts_with("tcpsaga: top cannot paint on a terminal of the kind 'dumb'; set TERM "
                      "to what it is, or --once prints one picture\nexit 2\n"))
        << s;
}

/// All that is not a time or a name of this machine, to the blank.
TEST_F(TopLive, OnceIsText)
{
    FullQueue full;
    Listening other({peer_path(), "hold", "::1", "0", "511"});
    const auto r = run({"sh", "-c", top("--once")});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_TRUE(has(r.err, "tcpsaga: ready (")) << r.err;
    const auto lines = lines_of(r.out);
    ASSERT_EQ(lines.size(), 10U) << r.out;
    EXPECT_TRUE(lines[0].starts_with("tcpsaga top  ")) << r.out;
    EXPECT_TRUE(lines[0].ends_with("  every 0.2 s  lost 0")) << r.out;
    EXPECT_EQ(lines[1], "in     0.0/s _                           out    0.0/s _");
    EXPECT_EQ(lines[2], "accepted 0.0/s  closed 0.0/s  overflows 0");
    EXPECT_EQ(lines[3], std::string("LISTEN 2  ESTABLISHED 8  TIME_WAIT ") +
                            (sees_time_wait_exit() ? "0" : "?"));
    EXPECT_EQ(lines[4], "");
    EXPECT_EQ(lines[5],
              "LISTENER             PROCESS     QUEUE   NOW/MAX  ACC/S   p50   p90   p99 OVERFL");
    const auto row = [](const Listening& l, const std::string& address, const std::string& queue) {
        const std::string local = address + ":" + std::to_string(l.port);
        const std::string process = "peer/" + std::to_string(l.process.pid());
        const auto padded = [](std::string text, std::size_t to) {
            text.resize(to, ' ');
            return text;
        };
        return padded(local, 21) + padded(process, 12) + queue + "    0.0     -     -     -      0";
    };
    const std::string hold = row(full.holder, "127.0.0.1", "#####       4/3");
    const std::string idle = row(other, "[::1]", "          0/511");
    EXPECT_EQ(lines[6], full.holder.port < other.port ? hold : idle);
    EXPECT_EQ(lines[7], full.holder.port < other.port ? idle : hold);
    EXPECT_EQ(lines[8], "");
    EXPECT_EQ(lines[9],
              "REMOTE                       OUT     IN  PROCESS                      OUT     IN");
}

TEST_F(TopLive, OnceFiltersAsTraceDoes)
{
    FullQueue full;
    Server server("127.0.0.1");
    const auto r = run({"sh", "-c", top("--once --lport ") + std::to_string(server.port)});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_FALSE(row_of(server.port, r.out).empty()) << r.out;
    EXPECT_TRUE(row_of(full.holder.port, r.out).empty()) << r.out;
    EXPECT_TRUE(has(r.out, "LISTEN 1  ESTABLISHED 0 ")) << r.out;
}

} // namespace
} // namespace live
