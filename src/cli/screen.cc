// SPDX-License-Identifier: BSD-2-Clause
#include "screen.h"

#include <langinfo.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "open_output.h"

// Behind the standard library: it defines macros with everyday names.
#define NCURSES_NOMACROS // NOLINT: read by curses.h
#include <curses.h>
#include <term.h>
#undef columns // capabilities, to term.h
#undef lines

namespace tcpsaga {
namespace {

constexpr std::array fatal{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT};

// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables): all a signal handler reaches
termios as_it_was;
std::array<char, 64> leave; // what shows the cursor and the screen as it was
std::size_t leave_size;
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)

/// A crash gives the terminal back, too. The handler is gone by then: the signal does the rest.
void give_back(int number)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &as_it_was);
    if (write(STDOUT_FILENO, leave.data(), leave_size) < 0) {
        // nothing can be done about it
    }
    raise(number);
}

void remember_terminal()
{
    tcgetattr(STDIN_FILENO, &as_it_was);
    // Stops us here when we run in the background, as for any program that wants the terminal.
    tcsetattr(STDIN_FILENO, TCSANOW, &as_it_was);
    std::string text;
    for (const char* name : {"sgr0", "cnorm", "rmcup"})
        if (const char* sequence = tigetstr(name);
            sequence != nullptr && sequence != reinterpret_cast<char*>(-1)) // NOLINT: its way
            text += sequence;
    leave_size = text.copy(leave.data(), leave.size());
}

void set_fatal_handlers(void (*handler)(int))
{
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    for (const int number : fatal)
        sigaction(number, &action, nullptr);
}

sigset_t only(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

/// Every signal but those of a crash is for the thread that reads the ring.
void block_signals()
{
    sigset_t set;
    sigfillset(&set);
    for (const int number : fatal)
        sigdelset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

/// By Style.
std::array<attr_t, style_count> attributes()
{
    std::array<attr_t, style_count> of{A_NORMAL,  A_DIM,  A_BOLD,   A_REVERSE, A_REVERSE | A_BOLD,
                                       A_REVERSE, A_BOLD, A_NORMAL, A_BOLD};
    if (!has_colors() || !color_is_welcome())
        return of;
    start_color();
    use_default_colors();
    constexpr std::array<short, 3> colors{COLOR_CYAN, COLOR_GREEN, COLOR_RED};
    for (std::size_t i = 0; i < colors.size(); i++) {
        init_pair(static_cast<short>(i + 1), colors.at(i), -1);
        of.at(static_cast<std::size_t>(Style::bar) + i) =
            static_cast<attr_t>(COLOR_PAIR(static_cast<int>(i + 1)));
    }
    of.at(static_cast<std::size_t>(Style::bad)) |= A_BOLD;
    return of;
}

void paint(const Grid& grid, const std::array<attr_t, style_count>& attributes)
{
    for (int row = 0; row < grid.rows(); row++)
        for (int from = 0; from < grid.columns();) {
            const Style style = grid.at(row, from).style;
            std::wstring run;
            int to = from;
            for (; to < grid.columns() && grid.at(row, to).style == style; to++)
                run += static_cast<wchar_t>(grid.at(row, to).c);
            attrset(static_cast<int>(attributes.at(static_cast<std::size_t>(style))));
            mvaddnwstr(row, from, run.data(), static_cast<int>(run.size()));
            from = to;
        }
    refresh();
}

/// As the view knows it; 0 for what it does not.
char32_t key_of(int code, wint_t c)
{
    if (code == OK)
        return c == 0x7f || c == 8 ? key::backspace : static_cast<char32_t>(c);
    switch (c) {
    case KEY_UP:
        return key::up;
    case KEY_DOWN:
        return key::down;
    case KEY_PPAGE:
        return key::page_up;
    case KEY_NPAGE:
        return key::page_down;
    case KEY_HOME:
        return key::home;
    case KEY_END:
        return key::end;
    case KEY_ENTER:
        return key::enter;
    case KEY_BACKSPACE:
        return key::backspace;
    default:
        return 0;
    }
}

void take_size()
{
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
}

} // namespace

Status Screen::possible()
{
    if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)
        return Error{"top needs", "a terminal", 0, "--once prints one picture"};
    int found = 0;
    const bool known = setupterm(nullptr, STDOUT_FILENO, &found) == OK;
    const char* const move = known ? tigetstr("cup") : nullptr;
    if (move == nullptr || move == reinterpret_cast<char*>(-1)) { // NOLINT: its way to say no
        const char* const name = std::getenv("TERM");
        return Error{"top cannot paint on a terminal of the kind",
                     "'" + std::string(name != nullptr ? name : "") + "'", 0,
                     "set TERM to what it is, or --once prints one picture"};
    }
    return Nothing{};
}

Screen::Screen(TopView view)
    : view_(std::move(view)), ascii_(std::setlocale(LC_CTYPE, "") == nullptr ||
                                     std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
    const sigset_t resized = only(SIGWINCH);
    const sigset_t goes_on = only(SIGCONT); // the painter waits for it
    pthread_sigmask(SIG_BLOCK, &resized, nullptr);
    pthread_sigmask(SIG_BLOCK, &goes_on, nullptr);
    resize_fd_ = signalfd(-1, &resized, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGTSTP, SIG_IGN); // ncurses would paint in the handler
    remember_terminal();
    set_fatal_handlers(give_back);
    painter_ = std::thread([this] { paint_until_stopped(); });
}

Screen::~Screen()
{
    stop();
    close(wake_fd_);
    close(resize_fd_);
}

void Screen::stop()
{
    if (!painter_.joinable())
        return;
    {
        std::unique_lock lock(mutex_);
        stop_ = true;
        wake();
        constexpr auto patience = std::chrono::milliseconds(500);
        while (!done_changed_.wait_for(lock, patience, [this] { return done_; })) {
            // Stopped, or nobody reads it: what is on its way there is of no use any more.
            tcflow(STDOUT_FILENO, TCOON);
            tcflush(STDOUT_FILENO, TCOFLUSH);
        }
    }
    painter_.join();
    set_fatal_handlers(SIG_DFL);
}

void Screen::show(std::shared_ptr<const TopData> data)
{
    const std::lock_guard lock(mutex_);
    latest_ = std::move(data);
    wake();
}

bool Screen::quit()
{
    const std::lock_guard lock(mutex_);
    return gone_ || view_.quit();
}

std::optional<TopListenerKey> Screen::opened()
{
    const std::lock_guard lock(mutex_);
    return view_.opened();
}

bool Screen::take_zero()
{
    const std::lock_guard lock(mutex_);
    return view_.take_zero();
}

void Screen::wake() const
{
    eventfd_write(wake_fd_, 1);
}

void Screen::paint_until_stopped()
{
    block_signals();
    SCREEN* const screen = newterm(nullptr, stdout, stdin);
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25); // ms
    curs_set(0);
    const auto attributes_of = attributes();
    for (;;) {
        std::optional<Grid> grid;
        {
            const std::lock_guard lock(mutex_);
            if (stop_)
                break;
            if (latest_ != nullptr)
                view_.show(std::exchange(latest_, nullptr));
            grid = view_.draw(COLS, LINES, ascii_);
        }
        paint(*grid, attributes_of);
        std::array<pollfd, 3> wait{
            {{STDIN_FILENO, POLLIN, 0}, {wake_fd_, POLLIN, 0}, {resize_fd_, POLLIN, 0}}};
        poll(wait.data(), gone_ ? 0 : wait.size(), -1);
        eventfd_t woken = 0;
        eventfd_read(wake_fd_, &woken);
        signalfd_siginfo resized{};
        if (read(resize_fd_, &resized, sizeof resized) > 0)
            take_size();
        if (wait[0].revents != 0)
            read_keys();
    }
    endwin();
    delscreen(screen);
    const std::lock_guard lock(mutex_);
    done_ = true;
    done_changed_.notify_all();
}

void Screen::read_keys()
{
    int waiting = 0;
    const bool closed = ioctl(STDIN_FILENO, FIONREAD, &waiting) != 0 || waiting == 0;
    wint_t c = 0;
    for (int code = 0; (code = get_wch(&c)) != ERR;) {
        constexpr wint_t ctrl_z = 26;
        if (code == OK && c == ctrl_z) {
            suspend();
            continue;
        }
        const std::lock_guard lock(mutex_);
        view_.on_key(key_of(code, c));
    }
    const std::lock_guard lock(mutex_);
    gone_ = gone_ || closed;
}

/// Ctrl-Z: the shell has the terminal until it lets us go on.
void Screen::suspend()
{
    endwin();
    kill(getpid(), SIGSTOP); // the other thread may be the one that it stops first
    const sigset_t goes_on = only(SIGCONT);
    int number = 0;
    sigwait(&goes_on, &number);
    take_size();
    clearok(stdscr, TRUE);
}

} // namespace tcpsaga
