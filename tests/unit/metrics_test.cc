// SPDX-License-Identifier: BSD-2-Clause
// What Prometheus gets: names, labels and their number, exact values; and the rules and the
// dashboard that go with it, by promtool.
#include "tcpsaga/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "rendering.h"

namespace tcpsaga::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSubsetOf;
using ::testing::Not;

class Nowhere : public Sink {
public:
    void on_event(const Event&) override {}
};

std::string text_of(const std::vector<prometheus::MetricFamily>& families)
{
    return prometheus::TextSerializer().Serialize(families);
}

/// A correlator's life with metrics.
struct Watched {
    Nowhere nowhere;
    Metrics metrics{nowhere};
    Correlator correlator{{}, metrics};

    std::string text() { return text_of(metrics.collect(correlator.summary(), 0)); }
    std::vector<std::string> lines() { return lines_of(text()); }
};

/// All series: lines that are no comment.
std::size_t series(const std::string& text)
{
    return static_cast<std::size_t>(std::ranges::count_if(lines_of(text), [](const std::string& l) {
        return !l.starts_with('#');
    }));
}

/// Every family there is, with something in it.
std::string everything()
{
    Nowhere nowhere;
    Metrics metrics(nowhere);
    tell_everything(metrics);
    Correlator correlator({}, metrics);
    server_life(correlator);
    refused_life(correlator, client().id(9));
    tell(correlator, 1ms, listener().listen(128).by(nginx));
    event::Summary s = correlator.summary();
    s.audit = {{init_netns, "Tcp.ActiveOpens", 4, 4, ""},
               {init_netns, "Tcp.PassiveOpens", 3, 2, "3 records lost"},
               {7, "Tcp.PassiveOpens", 3, 5, ""}};
    return text_of(metrics.collect(s, 0.25));
}

std::set<std::string> names_in(const std::string& text)
{
    static const std::regex name("tcpsaga_[a-z_]+");
    std::set<std::string> found;
    for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it)
        found.insert(it->str());
    return found;
}

int promtool(const std::string& arguments)
{
    return std::system(("promtool " + arguments + " >/dev/null").c_str());
}

TEST(metrics, counts_a_life)
{
    Watched w;
    client_life(w.correlator);
    server_life(w.correlator);
    refused_life(w.correlator, client().id(9));
    const auto lines = w.lines();
    for (const char* line : {
             "tcpsaga_opens_total 2",
             "tcpsaga_births_total 1",
             "tcpsaga_accepts_total 1",
             "tcpsaga_closes_total{end=\"fin\"} 2",
             "tcpsaga_closes_total{end=\"refused\"} 1",
             "tcpsaga_closes_total{end=\"timeout\"} 0",
             "tcpsaga_connect_errors_total{errno=\"ECONNREFUSED\"} 1",
             "tcpsaga_time_wait_entries_total 1",
             "tcpsaga_time_wait_exits_total 1",
             "tcpsaga_time_wait_sockets 0",
             "tcpsaga_lost_total{where=\"ring\"} 0",
             "tcpsaga_ring_fill_ratio 0",
         })
        EXPECT_THAT(lines, Contains(line));
}

TEST(metrics, waits_are_histograms_in_seconds)
{
    Watched w;
    tell(w.correlator, 1ms, listener().listen(128).by(nginx));
    server_life(w.correlator); // handshake 200 us, accepted after 40 us
    const auto lines = w.lines();
    const std::string own = "{netns=\"4026531840\",listener=\"0.0.0.0:80\"";
    for (const std::string& line : {
             "tcpsaga_listener_births_total" + own + "} 1",
             "tcpsaga_listener_accepts_total" + own + "} 1",
             "tcpsaga_listener_backlog_limit" + own + "} 128",
             "tcpsaga_listener_backlog_high" + own + "} 1",
             "tcpsaga_accept_wait_seconds_count" + own + "} 1",
             "tcpsaga_accept_wait_seconds_sum" + own + "} 4e-05",
             "tcpsaga_accept_wait_seconds_bucket" + own + ",le=\"0.000128\"} 1",
             "tcpsaga_handshake_seconds_sum" + own + "} 0.0002",
             "tcpsaga_handshake_seconds_bucket" + own + ",le=\"0.000128\"} 0",
             "tcpsaga_handshake_seconds_bucket" + own + ",le=\"0.000256\"} 1",
             "tcpsaga_handshake_seconds_bucket" + own + ",le=\"+Inf\"} 1",
         })
        EXPECT_THAT(lines, Contains(line));
}

TEST(metrics, overflows_have_their_listener_and_what_was_done)
{
    Watched w;
    tell(w.correlator, 1ms, listener().listen(128).by(nginx));
    Socket hit = listener().local("10.0.0.2", 80).remote("10.0.0.9", 1111);
    tell(w.correlator, 2ms, hit.overflow(TS_SYN_ACCEPTQ_DROP, 5));
    tell(w.correlator, 3ms, hit.remote("10.0.0.8", 2222).overflow(TS_SYN_ACCEPTQ_DROP, 7));
    tell(w.correlator, 3ms, hit.overflow(TS_SYN_COOKIE, 2));
    const auto lines = w.lines();
    const std::string own = "tcpsaga_overflows_total{netns=\"4026531840\",listener=\"0.0.0.0:80\",";
    EXPECT_THAT(lines, Contains(own + "queue=\"accept\",action=\"drop\"} 7"));
    EXPECT_THAT(lines, Contains(own + "queue=\"syn\",action=\"cookie\"} 2"));
}

TEST(metrics, a_scan_from_10000_remotes_adds_no_series)
{
    Watched w;
    tell(w.correlator, 1ms, listener().listen(128).by(nginx));
    const auto visit = [&](int i) {
        const std::string from = "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250);
        const auto id = static_cast<std::uint64_t>(1000 + i);
        server_life(w.correlator, server().id(id).remote(from, 40000));
        const Socket hit = listener().local("10.0.0.2", 80).remote(from, 40001);
        tell(w.correlator, 10ms,
             hit.overflow(TS_SYN_ACCEPTQ_DROP, static_cast<std::uint64_t>(i + 1)));
        refused_life(w.correlator, client().id(id + 100'000).remote(from, 40002));
    };
    visit(0);
    const std::size_t before = series(w.text());
    for (int i = 1; i < 10'000; i++)
        visit(i);
    EXPECT_EQ(series(w.text()), before);
    EXPECT_THAT(w.lines(), Contains("tcpsaga_births_total 10000"));
    EXPECT_THAT(w.text(), Not(HasSubstr("10.1.")));
}

TEST(metrics, listeners_past_the_first_100_share_a_series)
{
    Watched w;
    const auto listens = [&](int i) {
        tell(w.correlator, 1ms,
             listener()
                 .id(static_cast<std::uint64_t>(1000 + i))
                 .local("0.0.0.0", static_cast<std::uint16_t>(1000 + i))
                 .listen(128)
                 .by(nginx));
    };
    for (int i = 0; i < 99; i++)
        listens(i);
    const auto accepts = [&] {
        return std::ranges::count_if(w.lines(), [](const std::string& l) {
            return l.starts_with("tcpsaga_listener_accepts_total{");
        });
    };
    EXPECT_EQ(accepts(), 99);
    EXPECT_THAT(w.text(), Not(HasSubstr("other")));
    for (int i = 99; i < 1000; i++)
        listens(i);
    EXPECT_EQ(accepts(), 101);
    EXPECT_THAT(w.text(), HasSubstr("listener=\"other\""));
    // Which have a name does not change any more: no counter may fall.
    EXPECT_THAT(w.text(), HasSubstr("listener=\"0.0.0.0:1098\""));
    EXPECT_THAT(w.text(), HasSubstr("listener=\"0.0.0.0:1099\""));
    EXPECT_THAT(w.text(), Not(HasSubstr("listener=\"0.0.0.0:1100\"")));
}

TEST(metrics, a_listener_that_comes_again_goes_on_counting)
{
    Watched w;
    tell(w.correlator, 1ms, listener().listen(128).by(nginx));
    server_life(w.correlator);
    tell(w.correlator, 10ms, listener().state(State::listen, State::close).by(nginx));
    EXPECT_THAT(w.text(), Not(HasSubstr("backlog_limit{")));
    tell(w.correlator, 11ms, listener().id(77).listen(64).by(nginx));
    const auto lines = w.lines();
    const std::string own = "{netns=\"4026531840\",listener=\"0.0.0.0:80\"}";
    EXPECT_THAT(lines, Contains("tcpsaga_listener_accepts_total" + own + " 1"));
    EXPECT_THAT(lines, Contains("tcpsaga_listener_backlog_limit" + own + " 64"));
    EXPECT_EQ(std::ranges::count_if(lines,
                                    [](const std::string& l) {
                                        return l.starts_with("tcpsaga_listener_accepts_total{");
                                    }),
              1);
}

TEST(metrics, the_audit_is_summed_over_namespaces)
{
    const auto lines = lines_of(everything());
    for (const char* line : {
             "tcpsaga_audit_difference{counter=\"Tcp.ActiveOpens\"} 0",
             "tcpsaga_audit_difference{counter=\"Tcp.PassiveOpens\"} 3",
             "tcpsaga_audit_unexplained_difference{counter=\"Tcp.PassiveOpens\"} 2",
             "tcpsaga_ring_fill_ratio 0.25",
         })
        EXPECT_THAT(lines, Contains(line));
}

TEST(metrics, are_as_promtool_wants_them)
{
    const TempDir dir;
    std::ofstream(dir.file("metrics")) << everything();
    EXPECT_EQ(promtool("check metrics < " + dir.file("metrics")), 0);
}

TEST(metrics, are_all_documented_and_nothing_else)
{
    std::set<std::string> families;
    for (const std::string& line : lines_of(everything()))
        if (line.starts_with("# TYPE "))
            families.insert(line.substr(7, line.find(' ', 7) - 7));
    EXPECT_EQ(names_in(read_file(TCPSAGA_DOCS "/metrics.md")), families);
}

TEST(metrics, the_rules_work)
{
    EXPECT_EQ(promtool("check rules " TCPSAGA_DOCS "/prometheus/alerts.yml"), 0);
    EXPECT_EQ(promtool("test rules " TCPSAGA_DOCS "/prometheus/alerts_test.yml"), 0);
}

/// Names of series, as a query has them.
std::set<std::string> exported()
{
    std::set<std::string> names;
    for (const std::string& line : lines_of(everything()))
        if (!line.starts_with('#'))
            names.insert(line.substr(0, line.find_first_of("{ ")));
    return names;
}

TEST(metrics, rules_and_dashboard_use_what_there_is)
{
    EXPECT_THAT(names_in(read_file(TCPSAGA_DOCS "/prometheus/alerts.yml")), IsSubsetOf(exported()));
    EXPECT_THAT(names_in(read_file(TCPSAGA_DOCS "/grafana/tcpsaga.json")), IsSubsetOf(exported()));
}

TEST(metrics, the_dashboards_queries_are_well_formed)
{
    const auto dashboard = nlohmann::json::parse(read_file(TCPSAGA_DOCS "/grafana/tcpsaga.json"));
    nlohmann::json rules = nlohmann::json::array();
    for (const auto& panel : dashboard.at("panels"))
        for (const auto& target : panel.at("targets")) {
            std::string query = target.at("expr");
            query = std::regex_replace(query, std::regex(R"(\$__rate_interval)"), "5m");
            query = std::regex_replace(query, std::regex(R"(\$instance)"), ".*");
            EXPECT_THAT(query, Not(HasSubstr("$")));
            rules.push_back({{"record", "r" + std::to_string(rules.size())}, {"expr", query}});
        }
    ASSERT_GT(rules.size(), 20U);
    const TempDir dir; // JSON is YAML
    std::ofstream(dir.file("rules.yml"))
        << nlohmann::json{{"groups", {{{"name", "dashboard"}, {"rules", rules}}}}};
    EXPECT_EQ(promtool("check rules " + dir.file("rules.yml")), 0);
}

} // namespace
} // namespace tcpsaga::testing
