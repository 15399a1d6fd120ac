// SPDX-License-Identifier: BSD-2-Clause
/* Recordings of real connections, and what is left of them when something goes wrong. */
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "saga.h"

namespace live {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

class Recordings : public Live {
protected:
    void SetUp() override
    {
        Live::SetUp();
        char folder[] = "/tmp/tcpsaga-recording-XXXXXX";
        ASSERT_NE(mkdtemp(folder), nullptr);
        folder_ = folder;
    }
    void TearDown() override
    {
        umount(file("small").c_str());
        fs::remove_all(folder_);
    }
    [[nodiscard]] std::string file(const std::string& name) const { return folder_ / name; }

private:
    fs::path folder_;
};

/// A live command as a process, ready.
std::unique_ptr<Process> started(std::vector<std::string> args)
{
    args.insert(args.begin(), tcpsaga_path());
    args.insert(args.end(), {"--attach", attach(), "--netns", "self"});
    auto p = std::make_unique<Process>(args);
    EXPECT_TRUE(p->wait_err([](const auto& line) { return line.starts_with("tcpsaga: ready"); }));
    return p;
}

std::string text_of(const std::vector<std::string>& lines)
{
    std::string text;
    for (const std::string& line : lines)
        text += line + "\n";
    return text;
}

Ran replay(std::vector<std::string> args)
{
    args.insert(args.begin(), {tcpsaga_path(), "replay"});
    return run(args);
}

std::vector<json> events_of(const Ran& r)
{
    std::vector<json> events;
    std::istringstream lines(r.out);
    for (std::string line; std::getline(lines, line);)
        events.push_back(parse_event(line));
    return events;
}

/// Connections that end in order, a full queue, a refusal, and two in TIME_WAIT with the only
/// ports that there are.
void a_busy_minute(const Server& server)
{
    EXPECT_EQ(storm(server, 200).exit_code, 0);
    const Listening holder({peer_path(), "hold", "127.0.0.1", "0", "1"});
    Process rush({peer_path(), "rush", "127.0.0.1", std::to_string(holder.port), "8"});
    int connected = 0;
    int refused = 0;
    rush.wait_out([&](const std::string& line) {
        return std::sscanf(line.c_str(), "connected %d refused %d", &connected, &refused) == 2;
    });
    EXPECT_GT(connected, 0);
    rush.send(SIGKILL);
    rush.wait();
    run({"curl", "-s", "http://127.0.0.1:" + std::to_string(free_port())});
    set_sysctl("net/ipv4/ip_local_port_range", "40000 40001");
    set_sysctl("net/ipv4/tcp_tw_reuse", "0");
    EXPECT_NE(storm(server, 3).exit_code, 0);
}

class SameAgain : public Recordings,
                  public testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(SameAgain, ByteByByte)
{
    const Server server("127.0.0.1");
    const std::vector<std::string>& how = GetParam();
    std::vector<std::string> args = how;
    args.insert(args.end(), {"--record", file("r"), "--drops", "--summary", "0.3"});
    const auto saga = started(args);
    a_busy_minute(server);
    EXPECT_EQ(saga->stop(), 0);
    const std::string then = text_of(saga->out());
    EXPECT_GT(then.size(), 10'000U);
    if (how[0] == "trace") {
        for (const char* word : {"overflow", "reset", "TIME_WAIT", "refused", "drop"})
            EXPECT_NE(then.find(word), std::string::npos) << word;
    }
    if (how[0] == "trace" && has_hook("connect_error")) {
        EXPECT_NE(then.find("EADDRNOTAVAIL"), std::string::npos);
    }

    std::vector<std::string> again{file("r")};
    again.insert(again.end(), how.begin(), how.end());
    const Ran now = replay(again);
    EXPECT_EQ(now.exit_code, 0) << now.err;
    EXPECT_TRUE(now.out == then) << "live " << then.size() << ", again " << now.out.size();
}

INSTANTIATE_TEST_SUITE_P(
    All, SameAgain,
    testing::Values(std::vector<std::string>{"trace"}, std::vector<std::string>{"trace", "--json"},
                    std::vector<std::string>{"life"}, std::vector<std::string>{"life", "--json"}),
    [](const auto& i) { return i.param[0] + (i.param.size() > 1 ? "json" : "text"); });

/// With the ring too small: what was lost live is lost again.
TEST_F(Recordings, KeepWhatWasLost)
{
    const Server server("127.0.0.1");
    const auto saga =
        started({"trace", "--json", "--ring", "64K", "--max-connections", "2", "-w", file("r")});
    saga->send(SIGSTOP);
    EXPECT_EQ(storm(server, 600).exit_code, 0);
    saga->send(SIGCONT);
    EXPECT_EQ(saga->stop(), 0);
    const Ran now = replay({file("r"), "--json"});
    EXPECT_EQ(now.exit_code, 0) << now.err;
    EXPECT_TRUE(now.out == text_of(saga->out()));
    EXPECT_GT(events_of(now).back()["lost_ring"], 0);
    EXPECT_GT(events_of(now).back()["lost_table"], 0);
}

/// `record` sees what a trace beside it sees, and a filter at replay does what one live does.
TEST_F(Recordings, FilterAsTheKernelDoes)
{
    const Server wanted("127.0.0.1");
    const Server other("127.0.0.1");
    const std::string port = std::to_string(wanted.port);
    Saga narrow({"trace", "--port", port});
    const auto recorder = started({"record", file("r")});
    EXPECT_EQ(storm(other, 50).exit_code, 0);
    EXPECT_EQ(storm(wanted, 20).exit_code, 0);
    EXPECT_EQ(storm(other, 50).exit_code, 0);
    EXPECT_EQ(recorder->stop(), 0);
    EXPECT_EQ(recorder->out().size(), 0U);
    const auto facts = [](std::vector<json> events) {
        std::vector<std::string> lines;
        for (json& e : events) {
            if (e["event"] == "summary")
                continue;
            // Two programs look at different moments, and make up ids of their own.
            for (const char* differs :
                 {"ts", "us", "accept_wait_us", "handshake_us", "srtt_us", "duration_us",
                  "established_us", "held_ms", "acceptq", "conn"})
                e.erase(differs);
            lines.push_back(e.dump());
        }
        std::sort(lines.begin(), lines.end()); // two rings, two orders
        return lines;
    };
    const auto live = facts(narrow.stop());
    const auto replayed = facts(events_of(replay({file("r"), "--json", "--port", port})));
    EXPECT_GT(live.size(), 20U * 8);
    EXPECT_EQ(live, replayed);
    EXPECT_EQ(select(events_of(replay({file("r"), "--json"})),
                     {{"event", "close"}, {"role", "client"}})
                  .size(),
              120U);
}

/// Two network namespaces that a cable connects stand for two hosts, each with its recorder.
class TwoHosts {
public:
    TwoHosts()
    {
        web_ = keep_netns();
        const std::string home =
            "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(web_);
        enter_new_netns();
        db_ = keep_netns();
        ip({"link", "add", "to_web", "type", "veth", "peer", "name", "to_db", "netns", home});
        ip({"addr", "add", "10.11.12.2/24", "dev", "to_web"});
        ip({"link", "set", "to_web", "up"});
        at_web();
        ip({"addr", "add", "10.11.12.1/24", "dev", "to_db"});
        ip({"link", "set", "to_db", "up"});
    }
    ~TwoHosts()
    {
        at_web();
        close(web_);
        close(db_);
    }
    TwoHosts(const TwoHosts&) = delete;
    TwoHosts& operator=(const TwoHosts&) = delete;
    void at_web() const { join_netns(dup(web_)); }
    void at_db() const { join_netns(dup(db_)); }

private:
    static void ip(std::vector<std::string> args)
    {
        args.insert(args.begin(), "ip");
        const Ran r = run(args);
        EXPECT_EQ(r.exit_code, 0) << r.err;
    }
    int web_ = -1;
    int db_ = -1;
};

/// Records the present network namespace, and has a name of its own.
std::unique_ptr<Process> recorder_named(const std::string& host, const std::string& file)
{
    auto p = std::make_unique<Process>(std::vector<std::string>{
        "unshare", "--uts", "sh", "-c", "hostname " + host + " && exec \"$@\"", "sh",
        tcpsaga_path(), "record", file, "--attach", attach(), "--netns", "self"});
    EXPECT_TRUE(p->wait_err([](const auto& line) { return line.starts_with("tcpsaga: ready"); }));
    return p;
}

TEST_F(Recordings, OfTwoHostsHaveBothEnds)
{
    constexpr int count = 40;
    const TwoHosts hosts;
    const auto at_web = recorder_named("web", file("web"));
    hosts.at_db();
    const auto at_db = recorder_named("db", file("db"));
    const Server server("10.11.12.2");
    const Server local("127.0.0.1");
    EXPECT_EQ(storm(local, 3).exit_code, 0); // stays at db, where both ends are
    hosts.at_web();
    EXPECT_EQ(run({peer_path(), "storm", "10.11.12.2", std::to_string(server.port),
                   std::to_string(count)})
                  .exit_code,
              0);
    EXPECT_EQ(at_web->stop(), 0);
    EXPECT_EQ(at_db->stop(), 0);

    const Ran r = replay({file("web"), file("db"), "life", "--json"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    const auto closes = select(events_of(r), {{"event", "close"}});
    std::map<std::uint64_t, std::uint64_t> servers; // by their clients
    for (const json& e : select(closes, {{"host", "web"}})) {
        EXPECT_EQ(e["peer"].value("host", ""), "db") << e;
        EXPECT_EQ(e["peer"].value("pid", 0), server.process.pid()) << e;
        servers[e["conn"]] = e["peer"]["conn"];
    }
    EXPECT_EQ(servers.size(), count);
    for (const json& e : select(closes, {{"host", "db"}, {"laddr", "10.11.12.2"}})) {
        EXPECT_EQ(e["peer"].value("host", ""), "web") << e;
        EXPECT_EQ(servers[e["peer"]["conn"]], e["conn"]);
    }
    EXPECT_EQ(closes.size(), 2U * count + 6);
    for (const json& e : select(closes, {{"laddr", "127.0.0.1"}}))
        EXPECT_FALSE(e["peer"].contains("host")) << e;
    EXPECT_NE(r.err.find("tcpsaga: 40 connections have both ends here\n"), std::string::npos);
    double apart_ms = 1e9; // it is one machine's clock
    const auto clock = r.err.find("the clock of db is ");
    ASSERT_NE(clock, std::string::npos) << r.err;
    std::sscanf(r.err.c_str() + clock, "the clock of db is %lf", &apart_ms);
    EXPECT_LT(apart_ms, 10);

    const Ran pairs = replay({file("db"), file("web"), "life", "--json", "--pairs"});
    const auto told = select(events_of(pairs), {{"event", "close"}});
    EXPECT_EQ(told.size(), count + 3U);
    EXPECT_EQ(select(told, {{"host", "web"}}).size(), count);
    for (const json& e : select(told, {{"host", "web"}}))
        EXPECT_TRUE(e["peer"].contains("end")) << e;
}

TEST_F(Recordings, AreReplayedWithoutPrivileges)
{
    const Server server("127.0.0.1");
    const auto recorder = started({"record", file("r")});
    EXPECT_EQ(storm(server, 1).exit_code, 0);
    EXPECT_EQ(recorder->stop(), 0);
    struct stat st {};
    ASSERT_EQ(stat(file("r").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
    const auto said = recorder->err();
    EXPECT_NE(said.back().find(" records in "), std::string::npos) << said.back();
    ASSERT_EQ(chmod(file("").c_str(), 0755), 0);
    ASSERT_EQ(chmod(file("r").c_str(), 0644), 0);
    const Ran r = run({"setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534",
                       "--clear-groups", tcpsaga_path(), "replay", file("r"), "life", "--json"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(select(events_of(r), {{"event", "close"}}).size(), 2U);
}

TEST_F(Recordings, DoNotReplaceAFile)
{
    std::ofstream(file("r")) << "precious";
    const Ran refused = run({tcpsaga_path(), "record", file("r"), "--duration", "0.1"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_EQ(refused.err, "tcpsaga: will not write over " + file("r") +
                               "; name another file, or add --force\n");
    EXPECT_EQ(content(file("r")), "precious");
    const Ran forced = run({tcpsaga_path(), "record", file("r"), "--force", "--duration", "0.1",
                            "--attach", attach()});
    EXPECT_EQ(forced.exit_code, 0) << forced.err;
    EXPECT_EQ(replay({file("r")}).exit_code, 0);
}

TEST_F(Recordings, SurviveTheirRecorder)
{
    const Server server("127.0.0.1");
    const auto recorder = started({"record", file("r")});
    const auto header = fs::file_size(file("r"));
    EXPECT_EQ(storm(server, 100).exit_code, 0);
    while (fs::file_size(file("r")) < header + 1000) // the block of this second
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(storm(server, 1).exit_code, 0);
    recorder->send(SIGKILL);
    EXPECT_EQ(recorder->wait(), 128 + SIGKILL);
    const Ran r = replay({file("r"), "--json"});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_NE(r.err.find(file("r") + ": it was not closed: the recorder was killed, or still runs"),
              std::string::npos)
        << r.err;
    const auto events = events_of(r);
    EXPECT_GT(select(events, {{"event", "connect"}}).size(), 0U);
    EXPECT_EQ(events.back()["event"], "summary");
    EXPECT_EQ(events.back()["final"], true);
}

TEST_F(Recordings, OnAFullDisk)
{
    fs::create_directory(file("small"));
    ASSERT_EQ(mount("tmpfs", file("small").c_str(), "tmpfs", 0, "size=64k"), 0);
    const Server server("127.0.0.1");
    const auto recorder = started({"record", file("small/r")});
    const auto failed = [&] {
        return text_of(recorder->err()).find("cannot record to") != std::string::npos;
    };
    for (int i = 0; i < 200 && !failed(); i++)
        EXPECT_EQ(storm(server, 200).exit_code, 0);
    EXPECT_EQ(recorder->wait(), 1);
    const auto said = recorder->err();
    EXPECT_EQ(said.back(), "tcpsaga: cannot record to " + file("small/r") +
                               ": No space left on device; free some space; what it holds so far "
                               "can be replayed");
    const Ran r = replay({file("small/r"), "--json"});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_NE(r.err.find("it was not closed"), std::string::npos) << r.err;
    EXPECT_EQ(r.err.find("damaged"), std::string::npos) << r.err;
    EXPECT_GT(select(events_of(r), {{"event", "close"}}).size(), 100U);
}

TEST_F(Recordings, CutOrFlippedAreReadAsFarAsTheyGo)
{
    const Server server("127.0.0.1");
    const auto recorder = started({"record", file("r")});
    EXPECT_EQ(storm(server, 20).exit_code, 0);
    EXPECT_EQ(recorder->stop(), 0);
    std::string bytes = content(file("r"));
    std::ofstream(file("cut")) << bytes.substr(0, bytes.size() - 100);
    const Ran cut = replay({file("cut")});
    EXPECT_EQ(cut.exit_code, 1);
    EXPECT_NE(cut.err.find(file("cut") + ": cut off in block "), std::string::npos) << cut.err;
    const auto inputs = bytes.find("TSBK", bytes.find("TSBK", bytes.find("TSBK") + 1) + 1);
    bytes[inputs + 100] = static_cast<char>(bytes[inputs + 100] ^ 4);
    std::ofstream(file("flipped")) << bytes;
    const Ran flipped = replay({file("flipped")});
    EXPECT_EQ(flipped.exit_code, 1);
    EXPECT_NE(flipped.err.find(file("flipped") + ": block 2 at byte " + std::to_string(inputs) +
                               " is damaged: "),
              std::string::npos)
        << flipped.err;
}

} // namespace
} // namespace live
