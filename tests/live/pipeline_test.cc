// SPDX-License-Identifier: BSD-2-Clause
/* What takes our lines in a pipeline: sockets, FIFOs, logrotate, rsyslog. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include "pipeline.h"

namespace live {
namespace {

namespace fs = std::filesystem;

std::vector<json> events_in(const std::string& path,
                            const std::function<json(const std::string&)>& parse = parse_event)
{
    std::ifstream file(path);
    std::vector<json> events;
    for (std::string line; std::getline(file, line);)
        events.push_back(parse(line));
    return events;
}

/// Every event that was counted is there, and every connection's states follow each other.
void expect_whole_and_in_order(const std::vector<json>& events)
{
    ASSERT_FALSE(events.empty());
    const json& summary = events.back();
    ASSERT_EQ(summary["event"], "summary");
    EXPECT_EQ(summary["final"], true);
    EXPECT_EQ(summary["lost"], 0) << summary;
    EXPECT_EQ(events.size(), summary["events"].get<std::size_t>() + 1);
    std::map<std::uint64_t, json> state;
    for (const json& e : select(events, {{"event", "state"}})) {
        json& now = state[e["conn"].get<std::uint64_t>()];
        EXPECT_TRUE(now.is_null() || now == e["old"]) << e;
        now = e["new"];
    }
}

// ---- sockets ------------------------------------------------------------------------

/// Takes lines, and reads when it is told to.
class Reader {
public:
    Reader() = default;
    virtual ~Reader()
    {
        hang_up();
        if (listener_ >= 0)
            close(listener_);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    /// As -o names it.
    [[nodiscard]] const std::string& where() const { return where_; }
    void answer()
    {
        if (listener_ >= 0)
            fd_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    }
    void hang_up()
    {
        if (fd_ >= 0)
            close(fd_);
        fd_ = -1;
    }
    /// To the end, or until the text has this in it.
    std::string read_until(const std::string& wanted)
    {
        std::string text;
        std::array<char, 65536> some{};
        ssize_t n = 0;
        for (std::size_t from = 0; text.find(wanted, from) == std::string::npos &&
                                   (n = read(fd_, some.data(), some.size())) > 0;) {
            from = text.size() - std::min(text.size(), wanted.size());
            text.append(some.data(), static_cast<std::size_t>(n));
        }
        return text;
    }
    std::string read_all() { return read_until("\n\n"); }

protected:
    void listen_on(int family, const sockaddr* name, socklen_t size)
    {
        listener_ = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(listener_, name, size) != 0 || listen(listener_, 1) != 0)
            throw std::runtime_error("cannot listen");
    }
    std::string where_;
    int listener_ = -1;
    int fd_ = -1;
};

class UnixReader : public Reader {
public:
    explicit UnixReader(const std::string& path)
    {
        where_ = "unix:" + path;
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        path.copy(name.sun_path, sizeof(name.sun_path) - 1);
        listen_on(AF_UNIX, reinterpret_cast<sockaddr*>(&name), sizeof(name));
    }
};

class TcpReader : public Reader {
public:
    TcpReader()
    {
        set_sysctl("net/ipv4/tcp_wmem", "4096 16384 65536"); // soon full
        sockaddr_in name{};
        socklen_t size = sizeof(name);
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        listen_on(AF_INET, reinterpret_cast<sockaddr*>(&name), size);
        getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size);
        where_ = "tcp:127.0.0.1:" + std::to_string(ntohs(name.sin_port));
    }
};

class FifoReader : public Reader {
public:
    explicit FifoReader(const std::string& path)
    {
        where_ = path;
        // A writer can open it then; to read it waits for one.
        if (mkfifo(path.c_str(), 0600) != 0 ||
            (fd_ = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0)
            throw std::runtime_error("cannot make " + path);
        fcntl(fd_, F_SETFL, 0);
    }
};

std::vector<json> events_of(const std::string& text)
{
    std::istringstream lines(text);
    std::vector<json> events;
    for (std::string line; std::getline(lines, line);)
        events.push_back(parse_event(line));
    return events;
}

TEST_F(Pipeline, AUnixSocketGetsEveryLine)
{
    UnixReader reader(file("socket"));
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", reader.where()});
    reader.answer();
    storm_whole(server, 20);
    saga.process().send(SIGINT);
    expect_whole_and_in_order(events_of(reader.read_all()));
    EXPECT_EQ(saga.process().wait(), 0);
    EXPECT_EQ(saga.process().out().size(), 0U);
}

TEST_F(Pipeline, AReaderThatComesBackGetsWhatWaited)
{
    UnixReader reader(file("socket"));
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", reader.where()});
    reader.answer();
    storm_whole(server, 1);
    auto before = reader.read_until(R"("event":"close")");
    reader.hang_up();
    ASSERT_TRUE(saga.process().wait_err([&](const std::string& line) {
        return line == "tcpsaga: lost the connection to unix:" + file("socket") +
                           " (closed); trying again each second";
    }));
    storm_whole(server, 5); // nobody listens
    reader.answer();
    saga.process().send(SIGINT);
    const auto after = events_of(reader.read_all());
    EXPECT_EQ(saga.process().wait(), 0);
    EXPECT_NE(saga.said().find("tcpsaga: connected to unix:" + file("socket") + " again"),
              std::string::npos);
    EXPECT_GE(select(after, {{"event", "connect"}}).size(), 5U);
    EXPECT_EQ(after.back()["event"], "summary");
    EXPECT_EQ(after.back()["lost"], 0);
}

class Readers : public Pipeline, public ::testing::WithParamInterface<const char*> {
protected:
    [[nodiscard]] std::unique_ptr<Reader> reader() const
    {
        const std::string kind = GetParam();
        if (kind == "unix")
            return std::make_unique<UnixReader>(file("socket"));
        if (kind == "fifo")
            return std::make_unique<FifoReader>(file("fifo"));
        return std::make_unique<TcpReader>();
    }
};

INSTANTIATE_TEST_SUITE_P(Readers, Readers, ::testing::Values("unix", "fifo", "tcp"),
                         [](const auto& kind) { return std::string(kind.param); });

/// The ring goes on being read while the reader does not read: what is dropped are lines, and
/// they are counted; the counts stay exact, and a recording has it all.
TEST_P(Readers, WhoDoNotReadCostLinesAndNotEvents)
{
    constexpr int count = 2600; // 13 MB of lines
    const auto blocked = reader();
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", blocked->where(), "--record", file("tape")});
    blocked->answer();
    storm_whole(server, count);
    ASSERT_TRUE(saga.process().wait_err([&](const std::string& line) {
        return line.find(" takes no more: ") != std::string::npos;
    })) << saga.said();
    std::string text = blocked->read_until(R"("event":"lost")");
    saga.process().send(SIGINT);
    text += blocked->read_all();
    EXPECT_EQ(saga.process().wait(), 0);
    std::vector<json> events;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        events.push_back(json::parse(line));
    const json& summary = events.back();
    std::uint64_t dropped = 0;
    for (const json& e : select(events, {{"event", "lost"}, {"where", "output"}}))
        dropped += e["n"].get<std::uint64_t>();
    EXPECT_GT(dropped, 0U);
    EXPECT_EQ(summary["lost_output"], dropped);
    EXPECT_EQ(summary["lost_ring"], 0);
    EXPECT_EQ(summary["opens"], count);
    const std::size_t shown = events.size() - 1 - select(events, {{"event", "lost"}}).size();
    EXPECT_EQ(shown + dropped, summary["events"].get<std::size_t>());
    EXPECT_NE(saga.said().find(" takes lines again; " + std::to_string(dropped) + " line"),
              std::string::npos)
        << saga.said();
    expect_audit_exact(events);
    const Ran whole = run({tcpsaga_path(), "replay", file("tape"), "--json"});
    EXPECT_EQ(std::ranges::count(whole.out, '\n'), shown + dropped + 1);
}

TEST_F(Pipeline, AFifoThatNobodyReads)
{
    ASSERT_EQ(mkfifo(file("fifo").c_str(), 0600), 0);
    const auto r = run({tcpsaga_path(), "trace", "-o", file("fifo")});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.err, "tcpsaga: nobody reads " + file("fifo") + "; start its reader first\n");
}

TEST_F(Pipeline, AFifoWhoseReaderGoesIsTheEnd)
{
    FifoReader reader(file("fifo"));
    Saga saga({"trace", "-o", reader.where()});
    reader.hang_up();
    EXPECT_EQ(saga.process().wait(), 0) << saga.said();
}

TEST_F(Pipeline, NobodyListens)
{
    const auto r = run({tcpsaga_path(), "trace", "-o", "tcp:127.0.0.1:9"});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.err, "tcpsaga: cannot connect to tcp:127.0.0.1:9: Connection refused; start what "
                     "listens there, or name another with -o\n");
}

// ---- logrotate ----------------------------------------------------------------------

/// The real one, over and over while lines come: all of them are in one of the files.
TEST_F(Pipeline, LogrotateLosesNothing)
{
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", file("events.jsonl")});
    write("logrotate.conf",
          file("events.jsonl") +
              " {\n rotate 20\n nocreate\n nocompress\n postrotate\n  kill -HUP " +
              std::to_string(saga.process().pid()) + "\n endscript\n}\n");
    Process client({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "600"});
    constexpr int times = 5;
    for (int i = 0; i < times; i++) {
        const auto r =
            run({"logrotate", "--force", "--state", file("state"), file("logrotate.conf")});
        ASSERT_EQ(r.exit_code, 0) << r.err;
        ASSERT_TRUE(eventually([&] { return fs::exists(file("events.jsonl")); }));
    }
    EXPECT_EQ(client.wait(), 0);
    EXPECT_EQ(saga.process().stop(), 0);
    std::vector<json> all;
    for (int i = times; i >= 0; i--) {
        const auto name = file("events.jsonl") + (i == 0 ? "" : "." + std::to_string(i));
        struct stat st {};
        ASSERT_EQ(stat(name.c_str(), &st), 0) << name;
        EXPECT_EQ(st.st_mode & 07777, 0600U);
        std::ranges::copy(events_in(name), std::back_inserter(all));
    }
    expect_whole_and_in_order(all);
}

// ---- rsyslog ------------------------------------------------------------------------

class Rsyslog : public Pipeline {
protected:
    /// A daemon of our own, with what docs/pipelines.md says for `input`.
    void start(const std::string& input)
    {
        write("rsyslog.conf", "global(workDirectory=\"" + folder() + "\" maxMessageSize=\"1m\")\n" +
                                  input +
                                  "template(name=\"line\" type=\"string\" string=\"%rawmsg%\\n\")\n"
                                  "ruleset(name=\"tcpsaga\") {\n  action(type=\"omfile\" file=\"" +
                                  file("out.jsonl") + "\" template=\"line\")\n}\n");
        const auto checked = run({"rsyslogd", "-N1", "-f", file("rsyslog.conf")});
        ASSERT_EQ(checked.exit_code, 0) << checked.err;
        launch();
    }
    void launch()
    {
        daemon_.emplace(std::vector<std::string>{"rsyslogd", "-n", "-f", file("rsyslog.conf"), "-i",
                                                 file("pid")});
    }
    void kill()
    {
        daemon_->send(SIGKILL);
        daemon_->wait();
        std::filesystem::remove(file("pid"));
    }
    /// Ends it, which drains it.
    void stop()
    {
        daemon_->send(SIGTERM);
        EXPECT_EQ(daemon_->wait(), 0);
    }
    static constexpr int connections = 7500; // each 14 lines or more
    static constexpr std::size_t lines = 100'000;

private:
    std::optional<Process> daemon_;
};

TEST_F(Rsyslog, ReadsAFileOf100000Events)
{
    write("events.jsonl", "");
    start("module(load=\"imfile\")\ninput(type=\"imfile\" file=\"" + file("events.jsonl") +
          "\" tag=\"tcpsaga:\" ruleset=\"tcpsaga\")\n");
    if (HasFatalFailure())
        return;
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", file("events.jsonl")});
    storm_whole(server, connections);
    EXPECT_EQ(saga.process().stop(), 0);
    const std::string sent = read_text(file("events.jsonl"));
    EXPECT_TRUE(eventually([&] {
        std::error_code none;
        return fs::file_size(file("out.jsonl"), none) == sent.size();
    }));
    stop();
    EXPECT_TRUE(read_text(file("out.jsonl")) == sent);
    const auto count = static_cast<std::size_t>(std::ranges::count(sent, '\n'));
    EXPECT_GE(count, lines);
}

std::string imptcp(const std::string& port)
{
    return "module(load=\"imptcp\")\ninput(type=\"imptcp\" address=\"127.0.0.1\" port=\"" + port +
           "\" supportOctetCountedFraming=\"off\" ruleset=\"tcpsaga\")\n";
}

TEST_F(Rsyslog, Takes100000EventsByTcp)
{
    const auto port = std::to_string(free_port());
    start(imptcp(port));
    if (HasFatalFailure())
        return;
    wait_listening(static_cast<std::uint16_t>(std::stoi(port)));
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", "tcp:127.0.0.1:" + port});
    // A busy machine's rsyslog gets time to read: what it leaves for long is dropped, and counted.
    constexpr int parts = 4;
    for (int part = 1; part <= parts; part++) {
        storm_whole(server, connections / parts);
        EXPECT_TRUE(eventually([&] {
            const std::string text = read_text(file("out.jsonl"));
            int ends = 0;
            const std::string close = R"("event":"close")";
            for (auto at = text.find(close); at != std::string::npos; at = text.find(close, at + 1))
                ends++;
            return ends >= 2 * part * (connections / parts);
        }));
    }
    EXPECT_EQ(saga.process().stop(), 0);
    EXPECT_TRUE(eventually([&] {
        return read_text(file("out.jsonl")).find(R"("event":"summary")") != std::string::npos;
    }));
    stop();
    const auto events = events_in(file("out.jsonl"), [](const std::string& line) {
        return json::parse(line); // others are held against the schema, which takes long
    });
    EXPECT_GE(events.size(), lines);
    expect_whole_and_in_order(events);
    EXPECT_EQ(events.back()["opens"], connections);
}

/// Killed without a word, and back some time later: what happened meanwhile waited for it.
TEST_F(Rsyslog, IsConnectedAgainAfterItWasKilled)
{
    const auto port = free_port();
    const auto where = "tcp:127.0.0.1:" + std::to_string(port);
    start(imptcp(std::to_string(port)));
    if (HasFatalFailure())
        return;
    wait_listening(port);
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", where});
    const auto said = [&](const std::string& what) {
        return saga.process().wait_err([&](const std::string& line) {
            return line.starts_with("tcpsaga: " + what + where);
        });
    };
    storm_whole(server, 1);
    EXPECT_TRUE(eventually([&] {
        return read_text(file("out.jsonl")).find(R"("event":"close")") != std::string::npos;
    }));
    kill();
    ASSERT_TRUE(said("lost the connection to ")) << saga.said();
    const std::size_t had = events_in(file("out.jsonl")).size();
    storm_whole(server, 5);
    launch();
    ASSERT_TRUE(said("connected to ")) << saga.said();
    EXPECT_EQ(saga.process().stop(), 0);
    EXPECT_TRUE(eventually([&] {
        return read_text(file("out.jsonl")).find(R"("event":"summary")") != std::string::npos;
    }));
    stop();
    auto events = events_in(file("out.jsonl"));
    EXPECT_EQ(events.back()["lost"], 0);
    events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(had));
    // Those of the storm, to the server's port: the sink's own connections are seen, too.
    const json to_server{{"event", "close"}, {"rport", server.port}};
    EXPECT_EQ(select(events, to_server).size(), 5U);
}

} // namespace
} // namespace live
