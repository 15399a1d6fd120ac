// SPDX-License-Identifier: BSD-2-Clause
// Lines on their way to sockets, and to readers that do not read.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>

#include "rendering.h"
#include "tcpsaga/output.h"

namespace tcpsaga::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Health = Output::Health;

/// What takes the lines: listens, and reads when it is told to.
class LineServer {
public:
    explicit LineServer(const std::string& path) : where_("unix:" + path)
    {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        path.copy(name.sun_path, sizeof(name.sun_path) - 1);
        listen_on(AF_UNIX, reinterpret_cast<sockaddr*>(&name), sizeof(name));
    }
    LineServer()
    {
        sockaddr_in6 name{};
        socklen_t size = sizeof(name);
        name.sin6_family = AF_INET6;
        name.sin6_addr = in6addr_loopback;
        listen_on(AF_INET6, reinterpret_cast<sockaddr*>(&name), size);
        getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size);
        where_ = "tcp:[::1]:" + std::to_string(ntohs(name.sin6_port));
    }
    ~LineServer()
    {
        hang_up();
        ::close(listener_);
    }
    LineServer(const LineServer&) = delete;
    LineServer& operator=(const LineServer&) = delete;

    [[nodiscard]] const std::string& where() const { return where_; }
    void answer() { fd_ = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }
    [[nodiscard]] bool is_called(int ms) const
    {
        pollfd p{listener_, POLLIN, 0};
        return ::poll(&p, 1, ms) == 1;
    }
    void hang_up()
    {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
    }
    /// All that is there, and what `more` makes come.
    std::string read_all(const std::function<void()>& more = [] {})
    {
        std::string text;
        std::array<char, 65536> some{};
        pollfd p{fd_, POLLIN, 0};
        for (;;) {
            more();
            if (::poll(&p, 1, 50) <= 0)
                return text;
            const ssize_t n = ::read(fd_, some.data(), some.size());
            if (n <= 0)
                return text;
            text.append(some.data(), static_cast<std::size_t>(n));
        }
    }

private:
    void listen_on(int family, const sockaddr* name, socklen_t size)
    {
        listener_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::bind(listener_, name, size) != 0 || ::listen(listener_, 4) != 0)
            throw std::runtime_error("cannot listen");
    }
    std::string where_;
    int listener_ = -1;
    int fd_ = -1;
};

std::unique_ptr<Output> opened(const std::string& where)
{
    auto out = Output::open(where);
    if (!out)
        throw std::runtime_error(out.error().message());
    return std::move(*out);
}

std::string line(int n)
{
    return "line " + std::to_string(n) + std::string(90, '.') + "\n";
}

void put(Output& out, int n)
{
    const std::string text = line(n);
    out.buffer().append(text.data(), text.data() + text.size());
    out.line_done();
}

/// Which of those lines `text` is made of, whole and nothing else.
std::vector<int> numbers(const std::string& text)
{
    std::vector<int> found;
    for (const std::string& one : lines_of(text)) {
        found.push_back(std::atoi(one.c_str() + 5));
        EXPECT_EQ(one + "\n", line(found.back()));
    }
    return found;
}

void expect_connected_again(Output& out, LineServer& to)
{
    for (int i = 0; i < 100 && !to.is_called(50); i++)
        out.flush();
    to.answer();
    for (int i = 0; i < 100; i++) {
        out.flush();
        if (const std::string news = out.take_news(); news.find("again") != std::string::npos) {
            EXPECT_THAT(news, HasSubstr("connected to " + to.where() + " again"));
            return;
        }
        ::usleep(10'000);
    }
    FAIL() << "not connected again";
}

TEST(sink, a_unix_socket_gets_the_lines)
{
    const TempDir dir;
    LineServer to(dir.file("socket"));
    const auto out = opened(to.where());
    to.answer();
    for (int i = 0; i < 3; i++)
        put(*out, i);
    out->flush();
    EXPECT_EQ(to.read_all(), line(0) + line(1) + line(2));
    EXPECT_EQ(out->lines_lost(), 0U);
    EXPECT_FALSE(out->is_terminal());
}

TEST(sink, a_tcp_socket_gets_the_lines)
{
    LineServer to;
    const auto out = opened(to.where());
    out->never_wait();
    to.answer();
    put(*out, 1);
    out->flush();
    EXPECT_EQ(to.read_all(), line(1));
    out->check_reader();
    EXPECT_EQ(out->take_news(), "");
}

TEST(sink, nobody_listens)
{
    const TempDir dir;
    const auto none = Output::open("unix:" + dir.file("none"));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message(),
              "cannot connect to unix:" + dir.file("none") +
                  ": No such file or directory; start what listens there, or name another with -o");
    std::string where;
    {
        const LineServer gone;
        where = gone.where();
    }
    const auto refused = Output::open(where);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(),
                StartsWith("cannot connect to " + where + ": Connection refused; "));
}

TEST(sink, is_named_rightly)
{
    for (const char* good : {"", "log", "unix:/run/x", "tcp:localhost:514", "tcp:[::1]:514",
                             "tcp:192.0.2.1:65535", "tcp/x", "./tcp:x"})
        EXPECT_TRUE(Output::check(good)) << good;
    for (const char* bad : {"unix:", "tcp:", "tcp:host", "tcp:host:", "tcp::514", "tcp:host:0",
                            "tcp:host:65536", "tcp:host:5a4", "tcp:host:123456789"})
        EXPECT_FALSE(Output::check(bad)) << bad;
    EXPECT_FALSE(Output::check("unix:" + std::string(108, 'x')));
    EXPECT_EQ(
        Output::check("tcp:host").error().message(),
        "bad output 'tcp:host'; want unix:PATH, tcp:HOST:PORT, tcp:[ADDR]:PORT or a file's path");
}

/// Puts lines until some are dropped. Nothing waits for the reader.
int fill(Output& out)
{
    int n = 0;
    while (out.lines_lost() < 1000 && n < 1'000'000)
        put(out, n++);
    return n;
}

void expect_lines_dropped_and_counted(LineServer& to)
{
    const auto out = opened(to.where());
    constexpr std::size_t most = 1 << 20;
    out->never_wait(most);
    to.answer();
    const int count = fill(*out);
    ASSERT_EQ(out->lines_lost(), 1000U);
    EXPECT_EQ(out->health(), Health::good);
    EXPECT_FALSE(out->has_room());
    EXPECT_LT(out->buffer().size(), 3 * most);
    EXPECT_THAT(out->take_news(), StartsWith(to.where() + " takes no more: "));

    auto got = numbers(to.read_all([&] { out->flush(); }));
    EXPECT_EQ(out->take_news(), to.where() + " takes lines again; 1000 lines dropped");
    EXPECT_TRUE(out->has_room());
    EXPECT_EQ(got.size() + 1000, static_cast<std::size_t>(count));
    EXPECT_TRUE(std::ranges::is_sorted(got));
    put(*out, count);
    out->flush();
    EXPECT_EQ(numbers(to.read_all()), std::vector{count});
    EXPECT_EQ(out->lines_lost(), 1000U);
}

TEST(sink, a_reader_that_does_not_read_costs_lines_and_they_are_counted)
{
    const TempDir dir;
    LineServer by_unix(dir.file("socket"));
    expect_lines_dropped_and_counted(by_unix);
    LineServer by_tcp;
    expect_lines_dropped_and_counted(by_tcp);
}

TEST(sink, a_fifo_needs_its_reader_and_does_not_wait_for_it)
{
    const TempDir dir;
    const std::string fifo = dir.file("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const auto none = Output::open(fifo);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message(), "nobody reads " + fifo + "; start its reader first");
    const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const auto out = opened(fifo);
    out->never_wait(1 << 20);
    const int count = fill(*out);
    out->drain(std::chrono::milliseconds(10));
    std::string text(1 << 20, '\0');
    const ssize_t n = ::read(reader, text.data(), text.size());
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(text, '\n')) + out->lines_lost(),
              static_cast<std::size_t>(count));
    ::close(reader);
    out->check_reader();
    EXPECT_EQ(out->health(), Health::closed);
}

TEST(sink, is_connected_again_and_begins_with_a_whole_line)
{
    const TempDir dir;
    LineServer to(dir.file("socket"));
    const auto out = opened(to.where());
    out->never_wait(1 << 20);
    to.answer();
    const int count = fill(*out); // somewhere in a line the socket was full
    const auto dropped = out->lines_lost();
    out->take_news();
    std::string cut = to.read_all();
    to.hang_up();
    put(*out, count);
    out->flush();
    EXPECT_THAT(out->take_news(), HasSubstr("lost the connection to " + to.where()));
    EXPECT_EQ(out->health(), Health::good);
    expect_connected_again(*out, to);
    const auto after = numbers(to.read_all([&] { out->flush(); }));
    cut.resize(cut.rfind('\n') + 1); // what came whole before it
    auto got = numbers(cut);
    EXPECT_EQ(got.size() + after.size() + dropped, static_cast<std::size_t>(count));
    ASSERT_FALSE(after.empty());
    EXPECT_EQ(after.front(), got.back() + 1);
}

TEST(sink, a_listener_that_hangs_up_is_noticed_without_writing)
{
    LineServer to;
    const auto out = opened(to.where());
    out->never_wait();
    to.answer();
    to.hang_up();
    for (int i = 0; i < 100; i++) {
        out->check_reader();
        if (const auto news = out->take_news(); !news.empty()) {
            EXPECT_EQ(news, "lost the connection to " + to.where() +
                                " (closed); trying again each second");
            break;
        }
        ::usleep(10'000);
    }
    put(*out, 1);
    expect_connected_again(*out, to);
    EXPECT_EQ(to.read_all(), line(1));
    EXPECT_EQ(out->lines_lost(), 0U);
}

TEST(sink, the_last_lines_wait_only_so_long)
{
    const TempDir dir;
    LineServer to(dir.file("socket"));
    const auto out = opened(to.where());
    out->never_wait(1 << 20);
    to.answer();
    const int count = fill(*out);
    out->drain(std::chrono::milliseconds(100));
    EXPECT_EQ(out->buffer().size(), 0U);
    const std::string text = to.read_all();
    const auto whole = static_cast<std::size_t>(std::ranges::count(text, '\n'));
    EXPECT_EQ(whole + out->lines_lost(), static_cast<std::size_t>(count));
}

TEST(sink, a_full_pipe_costs_lines_and_no_time)
{
    std::fflush(stdout);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const int saved = ::dup(STDOUT_FILENO);
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[1]);
    std::string text;
    int count = 0;
    std::uint64_t lost = 0;
    {
        Output out;
        out.never_wait(1 << 20);
        EXPECT_EQ(::fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0); // others may share it
        count = fill(out);
        out.drain(std::chrono::milliseconds(10));
        lost = out.lines_lost();
    }
    ::dup2(saved, STDOUT_FILENO);
    ::close(saved);
    std::array<char, 65536> some{};
    for (ssize_t n = 0; (n = ::read(ends[0], some.data(), some.size())) > 0;)
        text.append(some.data(), static_cast<std::size_t>(n));
    ::close(ends[0]);
    EXPECT_GE(lost, 1000U);
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(text, '\n')) + lost,
              static_cast<std::size_t>(count));
}

} // namespace
} // namespace tcpsaga::testing
