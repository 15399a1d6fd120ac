// SPDX-License-Identifier: BSD-2-Clause
/* --metrics, as curl, promtool and a real Prometheus see them. */
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "pipeline.h"

namespace live {
namespace {

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
    storm_whole(server, 1);
    saga.wait_for({{"event", "close"}, {"role", "server"}});
    const std::string first = scrape(url);
    storm_whole(server, 500); // each from another remote port
    ASSERT_TRUE(eventually([&] {
        return has_line(scrape(url), "tcpsaga_closes_total{end=\"fin\"} 1002");
    })) << scrape(url);
    const std::string text = scrape(url);
    EXPECT_EQ(series(text), series(first));
    const std::string own =
        "{netns=\"" + std::to_string(netns_inode()) + "\",listener=\"127.0.0.1:" + port + "\"";
    for (const std::string& line :
         {std::string("tcpsaga_opens_total 501"), std::string("tcpsaga_births_total 501"),
          std::string("tcpsaga_accepts_total 501"),
          "tcpsaga_listener_accepts_total" + own + "} 501",
          "tcpsaga_accept_wait_seconds_count" + own + "} 501",
          std::string("tcpsaga_lost_total{where=\"ring\"} 0")})
        EXPECT_TRUE(has_line(text, line)) << line << "\n" << text;
    EXPECT_NE(text.find("tcpsaga_audit_difference{counter=\"Tcp.ActiveOpens\"}"),
              std::string::npos);
    write("metrics", text);
    const auto checked = run({"sh", "-c", "promtool check metrics < " + file("metrics")});
    EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
    saga.stop();
}

TEST_F(Metrics, OfARecordingThatIsMade)
{
    Server server("127.0.0.1");
    Process saga({tcpsaga_path(), "record", file("tape"), "--port", std::to_string(server.port),
                  "--attach", attach(), "--netns", "self", "--metrics", "0"});
    std::string url;
    ASSERT_TRUE(saga.wait_err([&](const std::string& line) {
        if (line.starts_with("tcpsaga: metrics on "))
            url = line.substr(20);
        return line.starts_with("tcpsaga: ready");
    }));
    storm_whole(server, 3);
    EXPECT_TRUE(eventually([&] {
        return has_line(scrape(url), "tcpsaga_closes_total{end=\"fin\"} 6");
    })) << scrape(url);
    EXPECT_EQ(saga.stop(), 0);
    const Ran r = run({tcpsaga_path(), "replay", file("tape"), "--json"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    const std::string last = r.out.substr(r.out.rfind('\n', r.out.size() - 2) + 1);
    EXPECT_EQ(parse_event(last)["accepts"], 3) << last;
}

/// Context switches of threads other than the main one, so far.
long switches_of_helpers(pid_t pid)
{
    long all = 0;
    for (const auto& task :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
        std::ifstream file(task.path() / "status");
        for (std::string line; std::getline(file, line);)
            if (long n = 0; task.path().filename() != std::to_string(pid) &&
                            std::sscanf(line.c_str(), "voluntary_ctxt_switches: %ld", &n) == 1)
                all += n;
    }
    return all;
}

/// Nobody asks: no thread of the HTTP server works, whatever happens to connections.
TEST_F(Metrics, CostNothingUnasked)
{
    Server server("127.0.0.1");
    Saga saga({"trace", "--metrics", "0"});
    url_of(saga);
    const long before = switches_of_helpers(saga.process().pid());
    EXPECT_GT(before, 0);
    storm_whole(server, 500);
    saga.wait_for({{"event", "close"}});
    EXPECT_LE(switches_of_helpers(saga.process().pid()), before + 10);
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
          "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}\n"
          "rule_files: [" TCPSAGA_DOCS "/prometheus/alerts.yml]\n"
          "scrape_configs: [{job_name: tcpsaga, static_configs: [{targets: ['" +
              target.substr(0, target.find('/')) + "']}]}]\n");
    const std::string port = std::to_string(free_port());
    Process prometheus({"prometheus", "--config.file", file("prometheus.yml"),
                        "--storage.tsdb.path", file("tsdb"), "--web.listen-address",
                        "127.0.0.1:" + port});
    storm_whole(server, 100);
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
