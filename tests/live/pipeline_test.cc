// SPDX-License-Identifier: BSD-2-Clause
/* What comes behind us in a pipeline: sockets, logrotate, rsyslog, Prometheus. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "saga.h"

namespace live {
namespace {

namespace fs = std::filesystem;

/// With a folder of its own.
class Pipeline : public Live {
protected:
    void SetUp() override
    {
        if (std::getenv("TCPSAGA_VM") != nullptr)
            GTEST_SKIP() << "SKIPPED in a virtual machine: nothing here depends on the kernel";
        Live::SetUp();
        char path[] = "/tmp/tcpsaga-pipeline-XXXXXX";
        ASSERT_NE(mkdtemp(path), nullptr);
        folder_ = path;
    }
    void TearDown() override
    {
        if (!folder_.empty())
            fs::remove_all(folder_);
    }
    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] std::string file(const std::string& name) const { return folder_ + "/" + name; }
    void write(const std::string& name, const std::string& text) const
    {
        std::ofstream(file(name)) << text;
    }

private:
    std::string folder_;
};

std::string read_text(const std::string& path)
{
    std::ifstream file(path);
    return {std::istreambuf_iterator(file), {}};
}

std::vector<json> events_in(const std::string& path)
{
    std::ifstream file(path);
    std::vector<json> events;
    for (std::string line; std::getline(file, line);)
        events.push_back(parse_event(line));
    return events;
}

/// Looks every few milliseconds, at most a minute.
bool eventually(const std::function<bool()>& holds)
{
    for (int i = 0; i < 6000; i++) {
        if (holds())
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

void storm(const Server& server, int count)
{
    ASSERT_EQ(run({peer_path(), "storm", "127.0.0.1", std::to_string(server.port),
                   std::to_string(count)})
                  .exit_code,
              0);
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

/// Listens on a Unix socket and keeps what comes.
class UnixReader {
public:
    explicit UnixReader(const std::string& path)
    {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        path.copy(name.sun_path, sizeof(name.sun_path) - 1);
        listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0 ||
            listen(listener_, 1) != 0)
            throw std::runtime_error("cannot listen on " + path);
    }
    ~UnixReader()
    {
        hang_up();
        close(listener_);
    }
    UnixReader(const UnixReader&) = delete;
    UnixReader& operator=(const UnixReader&) = delete;

    void answer() { fd_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); }
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
        while (text.find(wanted) == std::string::npos &&
               (n = read(fd_, some.data(), some.size())) > 0)
            text.append(some.data(), static_cast<std::size_t>(n));
        return text;
    }
    std::string read_all() { return read_until("\n\n"); }

private:
    int listener_ = -1;
    int fd_ = -1;
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
    Saga saga({"trace", "-o", "unix:" + file("socket")});
    reader.answer();
    storm(server, 20);
    saga.process().send(SIGINT);
    expect_whole_and_in_order(events_of(reader.read_all()));
    EXPECT_EQ(saga.process().wait(), 0);
    EXPECT_EQ(saga.process().out().size(), 0U);
}

TEST_F(Pipeline, AReaderThatComesBackGetsWhatWaited)
{
    UnixReader reader(file("socket"));
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", "unix:" + file("socket")});
    reader.answer();
    storm(server, 1);
    auto before = reader.read_until(R"("event":"close")");
    reader.hang_up();
    ASSERT_TRUE(saga.process().wait_err([&](const std::string& line) {
        return line == "tcpsaga: lost the connection to unix:" + file("socket") +
                           " (closed); trying again each second";
    }));
    storm(server, 5); // nobody listens
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

/// The ring goes on being read while the reader does not read: what is dropped are lines, and
/// they are counted; the counts stay exact.
TEST_F(Pipeline, ABlockedReaderCostsLinesAndNotEvents)
{
    constexpr int count = 4000; // 20 MB of lines
    UnixReader reader(file("socket"));
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", "unix:" + file("socket")});
    reader.answer();
    storm(server, count);
    ASSERT_TRUE(saga.process().wait_err([&](const std::string& line) {
        return line.find("takes no more: ") != std::string::npos;
    })) << saga.said();
    std::string text = reader.read_until(R"("event":"lost")");
    saga.process().send(SIGINT);
    text += reader.read_all();
    EXPECT_EQ(saga.process().wait(), 0);
    const auto events = events_of(text);
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
    expect_audit_exact(events);
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
    Process client({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "2000"});
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
        daemon_.emplace(std::vector<std::string>{"rsyslogd", "-n", "-f", file("rsyslog.conf"), "-i",
                                                 file("pid")});
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
    storm(server, connections);
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

TEST_F(Rsyslog, Takes100000EventsByTcp)
{
    const auto port = std::to_string(free_port());
    start("module(load=\"imptcp\")\ninput(type=\"imptcp\" address=\"127.0.0.1\" port=\"" + port +
          "\" supportOctetCountedFraming=\"off\" ruleset=\"tcpsaga\")\n");
    if (HasFatalFailure())
        return;
    wait_listening(static_cast<std::uint16_t>(std::stoi(port)));
    Server server("127.0.0.1");
    Saga saga({"trace", "-o", "tcp:127.0.0.1:" + port});
    storm(server, connections);
    EXPECT_EQ(saga.process().stop(), 0);
    EXPECT_TRUE(eventually([&] {
        return read_text(file("out.jsonl")).find(R"("event":"summary")") != std::string::npos;
    }));
    stop();
    const auto events = events_in(file("out.jsonl"));
    EXPECT_GE(events.size(), lines);
    expect_whole_and_in_order(events);
    EXPECT_EQ(events.back()["opens"], connections);
}

// ---- Prometheus ---------------------------------------------------------------------

class Metrics : public Pipeline {
protected:
    static std::string url_of(Saga& saga)
    {
        std::string url;
        saga.process().wait_err([&](const std::string& line) {
            if (line.starts_with("tcpsaga: metrics on "))
                url = line.substr(20);
            return !url.empty();
        });
        return url;
    }
    static std::string scrape(const std::string& url)
    {
        return run({"curl", "-gsS", "--max-time", "10", url}).out;
    }
    static bool has_line(const std::string& text, const std::string& line)
    {
        return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
    }
    static std::size_t series(const std::string& text)
    {
        std::istringstream lines(text);
        std::size_t n = 0;
        for (std::string line; std::getline(lines, line);)
            // Not those that the HTTP library has of itself.
            n += line.starts_with("tcpsaga_") ? 1 : 0;
        return n;
    }
};

TEST_F(Metrics, AreExactAndAsPromtoolWantsThem)
{
    Server server("127.0.0.1");
    const std::string port = std::to_string(server.port);
    Saga saga({"trace", "--port", port, "--metrics", "0"});
    const std::string url = url_of(saga);
    EXPECT_TRUE(url.starts_with("http://127.0.0.1:")) << url;
    storm(server, 1);
    saga.wait_for({{"event", "close"}, {"role", "server"}});
    const std::string first = scrape(url);
    storm(server, 2000); // each from another remote port
    ASSERT_TRUE(eventually([&] {
        return has_line(scrape(url), "tcpsaga_closes_total{end=\"fin\"} 4002");
    })) << scrape(url);
    const std::string text = scrape(url);
    EXPECT_EQ(series(text), series(first));
    const std::string own =
        "{netns=\"" + std::to_string(netns_inode()) + "\",listener=\"127.0.0.1:" + port + "\"";
    for (const std::string& line :
         {std::string("tcpsaga_opens_total 2001"), std::string("tcpsaga_births_total 2001"),
          std::string("tcpsaga_accepts_total 2001"),
          "tcpsaga_listener_accepts_total" + own + "} 2001",
          "tcpsaga_accept_wait_seconds_count" + own + "} 2001",
          std::string("tcpsaga_lost_total{where=\"ring\"} 0")})
        EXPECT_TRUE(has_line(text, line)) << line << "\n" << text;
    EXPECT_NE(text.find("tcpsaga_audit_difference{counter=\"Tcp.ActiveOpens\"}"),
              std::string::npos);
    write("metrics", text);
    const auto checked = run({"sh", "-c", "promtool check metrics < " + file("metrics")});
    EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
    saga.stop();
}

TEST_F(Metrics, OfLifeToo)
{
    Server server("::1");
    Saga saga({"life", "--port", std::to_string(server.port), "--metrics", "0"});
    const std::string url = url_of(saga);
    ASSERT_EQ(run({peer_path(), "storm", "::1", std::to_string(server.port), "3"}).exit_code, 0);
    EXPECT_TRUE(eventually([&] {
        return scrape(url).find(",listener=\"[::1]:" + std::to_string(server.port) + "\"} 3\n") !=
               std::string::npos;
    })) << scrape(url);
    saga.stop();
}

/// Served where the HTTP library can, and said in one line where it cannot (Debian 12).
TEST_F(Metrics, OnIPv6)
{
    Process saga({tcpsaga_path(), "trace", "--attach", attach(), "--netns", "self", "--metrics",
                  "[::1]:0", "--duration", "1"});
    std::string url;
    saga.wait_err([&](const std::string& line) {
        url = line.starts_with("tcpsaga: metrics on ") ? line.substr(20) : "";
        return !url.empty();
    });
    if (!url.empty()) {
        EXPECT_NE(scrape(url).find("tcpsaga_events_total"), std::string::npos);
        return;
    }
    EXPECT_EQ(saga.wait(), 1);
    EXPECT_EQ(saga.err(),
              std::vector<std::string>{
                  "tcpsaga: cannot serve metrics on [::1]:0: Address family not supported "
                  "by protocol; civetweb is built without IPv6: name an IPv4 address"});
}

TEST_F(Metrics, AnAddressInUseIsOneLine)
{
    const Server taken("127.0.0.1");
    const std::string where = "127.0.0.1:" + std::to_string(taken.port);
    const auto r = run({tcpsaga_path(), "trace", "--metrics", where});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.err, "tcpsaga: cannot serve metrics on " + where +
                         ": Address already in use; name another with --metrics\n");
}

TEST_F(Metrics, AreScrapedByPrometheus)
{
    Server server("127.0.0.1");
    Saga saga({"trace", "--port", std::to_string(server.port), "--metrics", "0"});
    const std::string target = url_of(saga).substr(7); // without http://
    write("prometheus.yml",
          "global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 1s}\n"
          "rule_files: [" TCPSAGA_DOCS "/prometheus/alerts.yml]\n"
          "scrape_configs: [{job_name: tcpsaga, static_configs: [{targets: ['" +
              target.substr(0, target.find('/')) + "']}]}]\n");
    const std::string port = std::to_string(free_port());
    Process prometheus({"prometheus", "--config.file", file("prometheus.yml"),
                        "--storage.tsdb.path", file("tsdb"), "--web.listen-address",
                        "127.0.0.1:" + port});
    storm(server, 100);
    const auto value = [&](const std::string& query) {
        const auto r = run({"curl", "-gs", "--max-time", "10",
                            "http://127.0.0.1:" + port + "/api/v1/query?query=" + query});
        const json answer = json::parse(r.out, nullptr, false);
        return answer.is_discarded() || answer["data"]["result"].empty()
                   ? std::string()
                   : answer["data"]["result"][0]["value"][1].get<std::string>();
    };
    EXPECT_TRUE(eventually([&] { return value("tcpsaga_accepts_total") == "100"; }))
        << value("tcpsaga_accepts_total");
    EXPECT_EQ(value("tcpsaga_listener_accepts_total"), "100");
    EXPECT_EQ(value("tcpsaga_accept_wait_seconds_count"), "100");
    EXPECT_EQ(value("up"), "1");
    prometheus.send(SIGTERM);
    EXPECT_EQ(prometheus.wait(), 0);
    saga.stop();
}

} // namespace
} // namespace live
