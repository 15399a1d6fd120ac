// SPDX-License-Identifier: BSD-2-Clause
/* What is wrong is made so for real; doctor names it first, and its remedy cures it. */
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "nginx.h"
#include "saga.h"

namespace live {
namespace {

constexpr int found = 5; // README, exit codes

/// The name of a file in a folder that goes away with this.
class TempFile {
public:
    TempFile() { EXPECT_NE(mkdtemp(folder_.data()), nullptr); }
    ~TempFile() { std::filesystem::remove_all(folder_); }
    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;
    [[nodiscard]] std::string file() const { return folder_ + "/recording.tsr"; }

private:
    std::string folder_ = "/tmp/tcpsaga-doctor-XXXXXX";
};

/// For tests/unit/recordings, by the name of what was found first.
void keep(const TempFile& recording, const std::vector<json>& findings)
{
    const char* const folder = std::getenv("TCPSAGA_TEST_KEEP");
    if (folder == nullptr)
        return;
    const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    const std::string name =
        findings.empty() ? "healthy_" + test : findings[0]["finding"].get<std::string>();
    std::filesystem::copy_file(recording.file(), std::string(folder) + "/" + name + ".tsr",
                               std::filesystem::copy_options::overwrite_existing);
}

/// A running doctor of this network namespace.
class Visit {
public:
    explicit Visit(const std::vector<std::string>& more = {})
        : saga_([&] {
              std::vector<std::string> args{"doctor", "--duration", "600", "--record",
                                            recording_.file()};
              args.insert(args.end(), more.begin(), more.end());
              return args;
          }())
    {
    }
    /// Its findings; the exit code fits them, and every command can be parsed by a shell.
    std::vector<json> end()
    {
        const int code = saga_.process().stop();
        auto findings = saga_.all();
        EXPECT_EQ(code, findings.empty() ? 0 : found) << saga_.said();
        for (const json& f : findings) {
            EXPECT_EQ(f["event"], "finding");
            for (const json& r : f.value("remedies", json::array()))
                if (r.contains("command")) {
                    EXPECT_EQ(run({"bash", "-n", "-c", r["command"]}).exit_code, 0) << r;
                }
        }
        expect_the_same_from_the_recording(code);
        keep(recording_, findings);
        return findings;
    }

private:
    void expect_the_same_from_the_recording(int code)
    {
        Process again({tcpsaga_path(), "replay", recording_.file(), "doctor", "--json"});
        EXPECT_EQ(again.wait(), code);
        EXPECT_EQ(again.out(), saga_.process().out());
    }

    TempFile recording_;
    Saga saga_;
};

/// Of a run, all that was found; nothing must.
void expect_healthy(Visit& visit)
{
    for (const json& f : visit.end())
        ADD_FAILURE() << f.dump(1);
}

/// The first one, which must be of this kind and no consequence of another.
json first(const std::vector<json>& findings, const std::string& kind)
{
    if (findings.empty()) {
        ADD_FAILURE() << "nothing found, want " << kind;
        return json::object();
    }
    EXPECT_EQ(findings[0]["finding"], kind) << json(findings).dump(1);
    EXPECT_FALSE(findings[0].contains("because"));
    return findings[0];
}

/// Runs the first remedy that sets this, and returns the value that it wants.
std::string cure(const json& finding, const std::string& setting)
{
    const auto remedies = select(finding.value("remedies", json::array()), {{"setting", setting}});
    if (remedies.empty()) {
        ADD_FAILURE() << "no remedy for " << setting << " in " << finding.dump(1);
        return "";
    }
    if (remedies[0].contains("command")) {
        const Ran ran = run({"bash", "-c", remedies[0]["command"]});
        EXPECT_EQ(ran.exit_code, 0) << ran.err;
    }
    return remedies[0]["want"];
}

/// Returns when a worker has answered.
void wait_ready(const Nginx& server)
{
    wait_listening(server.port());
    EXPECT_EQ(run({"bash", "-c",
                   "exec 3<>/dev/tcp/127.0.0.1/" + std::to_string(server.port()) +
                       "; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3 >/dev/null"})
                  .exit_code,
              0);
}

void load(const Nginx& server, int connections, bool keep_alive)
{
    // A byte each: that a guest is slow must not look like a server that is.
    std::vector<std::string> argv{"wrk",  "-t1", "-c" + std::to_string(connections),
                                  "-d2s", "-H",  "Range: bytes=0-0"};
    if (!keep_alive)
        argv.insert(argv.end(), {"-H", "Connection: close"});
    argv.push_back(server.url());
    EXPECT_EQ(run(argv).exit_code, 0);
}

void rush(std::uint16_t port, int count)
{
    Process clients({peer_path(), "rush", "127.0.0.1", std::to_string(port),
                     std::to_string(count)});
    EXPECT_TRUE(clients.wait_out([](const std::string& l) { return l.starts_with("connected"); }));
    clients.send(SIGKILL);
    clients.wait();
}

class DoctorFinds : public Live {
protected:
    void SetUp() override
    {
        Live::SetUp();
        set_sysctl("net/ipv4/tcp_max_tw_buckets", "100000");
    }
};

// ---- queues --------------------------------------------------------------------------

TEST_F(DoctorFinds, ABacklogThatIsTooSmall)
{
    std::string want;
    {
        Visit visit;
        const Nginx server("127.0.0.1", "backlog=7");
        wait_ready(server);
        load(server, 64, false);
        json f = first(visit.end(), "accept_queue_backlog");
        EXPECT_EQ(f["comm"], "nginx");
        EXPECT_EQ(f["pid"], server.pid());
        EXPECT_EQ(f["lport"], server.port());
        EXPECT_EQ(f["counts"]["dropped"], f["n"]);
        want = cure(f, "backlog");
    }
    Visit visit;
    const Nginx server("127.0.0.1", "backlog=" + want);
    wait_ready(server);
    load(server, 64, false);
    expect_healthy(visit);
}

TEST_F(DoctorFinds, SomaxconnThatCapsIt)
{
    set_sysctl("net/core/somaxconn", "7");
    {
        Visit visit;
        const Nginx server("127.0.0.1"); // asks for 511
        wait_ready(server);
        load(server, 64, false);
        json f = first(visit.end(), "accept_queue_somaxconn");
        EXPECT_EQ(f["remedies"][0]["now"], "7");
        cure(f, "net.core.somaxconn");
    }
    Visit visit;
    const Nginx server("127.0.0.1");
    wait_ready(server);
    load(server, 64, false);
    expect_healthy(visit);
}

TEST_F(DoctorFinds, ASlowAccept)
{
    Visit visit;
    const Listening server({peer_path(), "slow", "127.0.0.1", "0", "1000", "50", "3"});
    rush(server.port, 60);
    json f = first(visit.end(), "accept_queue_slow");
    EXPECT_EQ(f["pid"], server.process.pid());
    EXPECT_GE(f["counts"]["between_accepts_us_p50"], 50'000);
}

TEST_F(DoctorFinds, AServerThatNeverAccepts)
{
    Visit visit;
    const Listening server({peer_path(), "hold", "127.0.0.1", "0", "3"});
    rush(server.port, 20);
    json f = first(visit.end(), "accept_queue_blocked");
    EXPECT_EQ(f["pid"], server.process.pid());
}

TEST_F(DoctorFinds, AProcessThatIsStopped)
{
    Visit visit;
    const Nginx server("127.0.0.1", "backlog=7");
    wait_listening(server.port());
    while (server.worker() == 0)
        ;
    const pid_t worker = server.worker();
    kill(worker, SIGSTOP);
    rush(server.port(), 30);
    json f = first(visit.end(), "accept_queue_stopped");
    EXPECT_EQ(f["pid"], server.pid());
    EXPECT_EQ(f["counts"]["stopped_pid"], worker);
    const Ran ran = run({"bash", "-c", f["remedies"][0]["command"]});
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
}

TEST_F(DoctorFinds, ADescriptorLimit)
{
    Visit visit;
    Listening server({peer_path(), "starve", "127.0.0.1", "0", "16"});
    Process clients({peer_path(), "rush", "127.0.0.1", std::to_string(server.port), "30"});
    ASSERT_TRUE(clients.wait_out([](const std::string& l) {
        return l == "connected 30 refused 0";
    }));
    server.process.wait_stopped();
    server.process.send(SIGCONT);
    ASSERT_TRUE(server.process.wait_out([](const std::string& l) { return l == "failed 5"; }));
    json f = first(visit.end(), "descriptor_limit");
    EXPECT_EQ(f["n"], 5);
    EXPECT_EQ(f["pid"], server.process.pid());
    EXPECT_EQ(f["remedies"][0]["now"], "16");
    const Ran ran = run({"bash", "-c", f["remedies"][0]["command"]});
    if (ran.err.find("not permitted") != std::string::npos)
        return; // no CAP_SYS_RESOURCE here
    std::string limit;
    std::ifstream limits("/proc/" + std::to_string(server.process.pid()) + "/limits");
    while (std::getline(limits, limit) && !limit.starts_with("Max open files"))
        ;
    EXPECT_NE(limit.find(f["remedies"][0]["want"].get<std::string>()), std::string::npos) << limit;
}

// ---- connections that do not come to be ----------------------------------------------

TEST_F(DoctorFinds, PortsThatRunOut)
{
    Server server("127.0.0.1"); // has its own port before there are only a few
    set_sysctl("net/ipv4/ip_local_port_range", "40000 40019");
    set_sysctl("net/ipv4/tcp_tw_reuse", "0");
    {
        Visit visit;
        EXPECT_EQ(storm(server.port, 40).exit_code, 1);
        json f = first(visit.end(), "port_exhaustion");
        EXPECT_EQ(f["rport"], server.port);
        EXPECT_EQ(f["counts"]["ports"], 20);
        EXPECT_EQ(f["counts"]["time_wait"], 20);
        cure(f, "net.ipv4.ip_local_port_range");
    }
    Visit visit;
    EXPECT_EQ(storm(server.port, 40).exit_code, 0);
    expect_healthy(visit);
}

TEST_F(DoctorFinds, TimeWaitsThatPileUp)
{
    Server server("127.0.0.1");
    set_sysctl("net/ipv4/ip_local_port_range", "40000 40099");
    set_sysctl("net/ipv4/tcp_tw_reuse", "0");
    {
        Visit visit;
        EXPECT_EQ(storm(server.port, 60).exit_code, 0);
        json f = first(visit.end(), "time_wait_pile_up");
        EXPECT_EQ(f["rport"], server.port);
        EXPECT_EQ(f["n"], 60);
        EXPECT_EQ(f["counts"]["ports"], 100);
        cure(f, "net.ipv4.tcp_tw_reuse");
    }
    Visit visit;
    EXPECT_EQ(storm(server.port, 10).exit_code, 0);
    expect_healthy(visit);
}

TEST_F(DoctorFinds, AFirewallThatDrops)
{
    Server server("127.0.0.1");
    run({"nft", "add", "table", "inet", "t"});
    run({"nft", "add", "chain", "inet", "t", "in", "{ type filter hook input priority 0; }"});
    if (run({"nft", "add", "rule", "inet", "t", "in", "tcp", "dport", std::to_string(server.port),
             "drop"})
            .exit_code != 0)
        GTEST_SKIP() << "SKIPPED: this kernel has no nftables";
    set_sysctl("net/ipv4/tcp_syn_retries", "1");
    Visit visit;
    EXPECT_EQ(storm(server.port, 1).exit_code, 1);
    json f = first(visit.end(), "syn_unanswered");
    EXPECT_EQ(f["rport"], server.port);
    EXPECT_EQ(f["counts"]["timed_out"], 1);
    EXPECT_NE(f["cause"].get<std::string>().find("a firewall on this host"), std::string::npos);
}

TEST_F(DoctorFinds, AHostThatIsSilent)
{
    // RFC 5737. What goes there comes in again and is nobody's: dropped without a word.
    ASSERT_EQ(run({"ip", "route", "add", "192.0.2.0/24", "dev", "lo"}).exit_code, 0);
    set_sysctl("net/ipv4/tcp_syn_retries", "1");
    Visit visit;
    EXPECT_EQ(storm(80, 1, "192.0.2.7").exit_code, 1);
    json f = first(visit.end(), "syn_unanswered");
    EXPECT_EQ(f["raddr"], "192.0.2.7");
}

TEST_F(DoctorFinds, RefusedConnections)
{
    const auto port = free_port();
    Visit visit;
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(storm(port, 1).exit_code, 1);
    json f = first(visit.end(), "refused");
    EXPECT_EQ(f["n"], 5);
    EXPECT_EQ(f["rport"], port);
    EXPECT_EQ(f["examples"].size(), 3U);
}

TEST_F(DoctorFinds, AListenerThatIsKilled)
{
    Visit visit;
    Server server("127.0.0.1");
    const Counters before = read_counters();
    Process clients({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "1000000"});
    while (delta(before, read_counters(), "Tcp.PassiveOpens") < 50)
        ;
    server.process.send(SIGKILL);
    server.process.wait();
    clients.wait();
    EXPECT_EQ(storm(server.port, 1).exit_code, 1);
    json f = first(visit.end(), "listener_died");
    EXPECT_EQ(f["pid"], server.process.pid());
    EXPECT_EQ(f["lport"], server.port);
    EXPECT_GE(f["counts"]["refused"], 1);
}

// ---- how they end --------------------------------------------------------------------

TEST_F(DoctorFinds, DataThatNobodyReads)
{
    Visit visit;
    Server server("127.0.0.1");
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(run({peer_path(), "abort", "127.0.0.1", std::to_string(server.port)}).exit_code,
                  0);
    json f = first(visit.end(), "unread_data");
    EXPECT_EQ(f["n"], 5);
    EXPECT_EQ(f["rport"], server.port);
    EXPECT_EQ(f["comm"], "peer");
}

TEST_F(DoctorFinds, CloseWaitsThatLeak)
{
    Visit visit({"--stuck", "0.3"});
    Saga trace({"trace", "--stuck", "0.4"}); // tells when they are old enough
    const Listening server({peer_path(), "leak", "127.0.0.1", "0"});
    EXPECT_EQ(storm(server.port, 5).exit_code, 0);
    int stuck = 0;
    ASSERT_TRUE(trace.process().wait_out([&](const std::string& line) {
        const json e = parse_event(line);
        return (stuck += matches(e, {{"event", "stuck"}, {"state", "CLOSE_WAIT"}}) ? 1 : 0) == 5;
    }));
    trace.stop();
    json f = first(visit.end(), "close_wait_leak");
    EXPECT_EQ(f["n"], 5);
    EXPECT_EQ(f["pid"], server.process.pid());
    EXPECT_EQ(f["lport"], server.port);
}

// ---- health --------------------------------------------------------------------------

class DoctorIsSilent : public DoctorFinds {};

TEST_F(DoctorIsSilent, AboutConnectionsThatAreKept)
{
    Visit visit;
    const Nginx server("127.0.0.1");
    wait_ready(server);
    load(server, 16, true);
    expect_healthy(visit);
}

TEST_F(DoctorIsSilent, AboutShortConnections)
{
    Visit visit;
    const Nginx server("127.0.0.1");
    wait_ready(server);
    load(server, 16, false);
    expect_healthy(visit);
}

/// Clients that are connected and say nothing; it ends by itself.
TEST_F(DoctorIsSilent, AboutAnIdleServer)
{
    const Nginx server("127.0.0.1");
    wait_listening(server.port());
    const TempFile recording;
    Process doctor({tcpsaga_path(), "doctor", "--netns", "self", "--attach", attach(), "--duration",
                    "3", "--record", recording.file()});
    ASSERT_TRUE(doctor.wait_err([](const std::string& l) {
        return l.starts_with("tcpsaga: ready");
    }));
    Process clients({peer_path(), "rush", "127.0.0.1", std::to_string(server.port()), "3"});
    EXPECT_EQ(doctor.wait(), 0);
    ASSERT_EQ(doctor.out().size(), 1U);
    EXPECT_TRUE(doctor.out()[0].starts_with("Nothing found in ")) << doctor.out()[0];
    keep(recording, {});
}

/// Text is for people: what was found, why, and a line to copy.
TEST_F(DoctorFinds, AndSaysItInWords)
{
    const auto port = free_port();
    Process doctor({tcpsaga_path(), "doctor", "--netns", "self", "--attach", attach()});
    ASSERT_TRUE(doctor.wait_err([](const std::string& l) {
        return l.starts_with("tcpsaga: ready");
    }));
    EXPECT_EQ(storm(port, 1).exit_code, 1);
    EXPECT_EQ(doctor.stop(), found);
    std::string text;
    for (const auto& line : doctor.out())
        text += line + "\n";
    const std::string at = "127.0.0.1:" + std::to_string(port);
    for (const std::string& part :
         {std::string("1 finding in "), "1. 1 connection to " + at + " refused",
          std::string("cause  nobody listens there [certain]"),
          "ss -ltnp 'sport = :" + std::to_string(port) + "'"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
}

} // namespace
} // namespace live
