// SPDX-License-Identifier: BSD-2-Clause
// docs/schema/event-v1.json against what is printed and what docs/events.md tells.
#include "schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "rendering.h"
#include "tcpsaga/present_findings.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using Keys = std::set<std::string>;

const json& schema()
{
    static const json parsed = json::parse(read_file(TCPSAGA_SCHEMA));
    return parsed;
}

/// Every line of JSON in any golden; but for an id beyond 2^53, which no kernel gives, and which
/// tests that a recording keeps 64 bits.
std::vector<std::string> golden_lines()
{
    std::vector<std::string> all;
    for (const auto& file : std::filesystem::directory_iterator(TCPSAGA_GOLDEN_DIR))
        if (file.path().extension() != ".tsr" && file.path().extension() != ".json")
            std::ranges::copy_if(lines_of(read_file(file.path())), std::back_inserter(all),
                                 [](const std::string& line) {
                                     return line.starts_with('{') &&
                                            line.find(":18364758544493064720,") == line.npos;
                                 });
    return all;
}

json event_of(std::string_view kind)
{
    for (const std::string& line : golden_lines())
        if (json e = json::parse(line); e.at("event") == kind)
            return e;
    throw std::runtime_error("no golden line of kind " + std::string(kind));
}

std::string without_brackets(const std::string& text)
{
    std::string flat;
    int depth = 0;
    for (const char c : text) {
        depth += c == '(' ? 1 : 0;
        if (depth == 0)
            flat += c;
        depth -= c == ')' ? 1 : 0;
    }
    return flat;
}

Keys quoted(const std::string& text)
{
    static const std::regex word("`([a-z_0-9]+)`");
    Keys found;
    for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it)
        found.insert((*it)[1]);
    return found;
}

/// Of every kind, the keys of its own: from the table in docs/events.md.
std::map<std::string, Keys> documented()
{
    std::map<std::string, Keys> all;
    for (const std::string& line : lines_of(read_file(TCPSAGA_EVENTS_MD))) {
        static const std::regex row(R"(^\| (`.*?) \| .*? \|(.*)\|$)");
        std::smatch cells;
        if (!std::regex_match(line, cells, row) || cells[1] == "`event`")
            continue;
        for (const std::string& kind : quoted(cells[1]))
            all[kind] = quoted(without_brackets(cells[2]));
    }
    return all;
}

TEST(schema, has_a_golden_of_a_finding)
{
    const Process process{5, 6, {'\x1b', '"', 'x'}, PidFrom::accept};
    Finding f;
    f.kind = "refused";
    f.because = "listener_died";
    f.netns = 7;
    f.at = listener().tuple().local;
    f.local = true;
    f.process = process;
    f.what = "what";
    f.cause = "cause";
    f.n = 2;
    f.counts = {{"refused", 2}};
    f.first_ns = 1;
    f.last_ns = 2;
    f.examples = {{1, 5, client().tuple(), Role::client, process}};
    f.remedies = {{"true", "net.core.somaxconn", "128", "4096", "meaning"}};
    const TempDir dir;
    auto out = Output::open(dir.file("out"));
    ASSERT_TRUE(out);
    print_findings_json(**out, plain(), {f}, {});
    (*out)->flush();
    expect_golden("finding.jsonl", read_file(dir.file("out")));
}

TEST(schema, allows_every_golden_line)
{
    const auto lines = golden_lines();
    EXPECT_GT(lines.size(), 400U);
    for (const std::string& line : lines)
        EXPECT_EQ(schema_errors(json::parse(line)), "");
}

TEST(schema, has_the_kinds_and_keys_that_are_documented)
{
    const Keys shared{"v",      "ts",        "event", "host",  "conn",     "netns",
                      "family", "laddr",     "lport", "raddr", "rport",    "community_id",
                      "role",   "pid",       "comm",  "uid",   "pid_from", "netns_name",
                      "cgroup", "container", "pod",   "ns_pid"};
    const auto documents = documented();
    Keys kinds;
    for (const json& kind : schema().at("properties").at("event").at("enum"))
        kinds.insert(kind.get<std::string>());
    Keys in_table;
    for (const auto& [kind, keys] : documents)
        in_table.insert(kind);
    EXPECT_EQ(kinds, in_table);
    for (const std::string& kind : kinds) {
        const json& definition = schema().at("$defs").at(kind);
        EXPECT_EQ(definition.at("additionalProperties"), false) << kind;
        for (const char* key : {"netns_name", "cgroup", "pod", "ns_pid"})
            EXPECT_EQ(definition.at("properties").contains(key),
                      definition.at("properties").contains("pid_from"))
                << kind;
        Keys own;
        for (const auto& [key, what] : definition.at("properties").items())
            if (!shared.contains(key))
                own.insert(key);
        Keys wanted = documents.at(kind);
        std::erase_if(wanted, [&](const std::string& key) { return shared.contains(key); });
        EXPECT_EQ(own, wanted) << kind;
    }
}

TEST(schema, refuses_a_key_that_is_not_documented)
{
    for (const json& kind : schema().at("properties").at("event").at("enum")) {
        json e = event_of(kind.get<std::string>());
        ASSERT_EQ(schema_errors(e), "");
        e["news"] = 1;
        EXPECT_THAT(schema_errors(e), HasSubstr("news")) << kind;
    }
    json summary = event_of("summary");
    summary["listeners"][0]["news"] = 1;
    EXPECT_NE(schema_errors(summary), "");
}

TEST(schema, refuses_wrong_values)
{
    const auto bad = [](std::string_view kind, const char* key, const json& value) {
        json e = event_of(kind);
        e[key] = value;
        return !schema_errors(e).empty();
    };
    EXPECT_TRUE(bad("connect", "event", "conect"));
    EXPECT_TRUE(bad("connect", "v", 2));
    EXPECT_TRUE(bad("connect", "ts", "2023-11-14T22:13:20Z"));
    EXPECT_TRUE(bad("connect", "lport", 65536));
    EXPECT_TRUE(bad("connect", "conn", "7"));
    EXPECT_TRUE(bad("connect", "pid", nullptr));
    EXPECT_TRUE(bad("connect", "uid", -1));
    EXPECT_TRUE(bad("connect", "uid", std::uint64_t{1} << 53));
    EXPECT_TRUE(bad("connect", "comm", "longer than it is"));
    EXPECT_TRUE(bad("close", "end", "finished"));
    EXPECT_TRUE(bad("state", "old", "TCP_CLOSE"));
    EXPECT_TRUE(bad("state", "inferred", false));
    EXPECT_TRUE(bad("time_wait", "why", "timer"));
    EXPECT_TRUE(bad("connect", "netns", "4026531840"));
    EXPECT_TRUE(bad("socket", "state", "OPEN"));
    EXPECT_TRUE(bad("socket_count", "netns", 4026531840));
    EXPECT_TRUE(bad("socket_count", "by", "colour"));
    EXPECT_TRUE(bad("socket_count", "n", 0));
}

TEST(schema, refuses_what_lacks_a_key)
{
    for (const char* key : {"v", "ts", "event", "host", "netns", "old", "new"}) {
        json e = event_of("state");
        e.erase(key);
        EXPECT_NE(schema_errors(e), "") << key;
    }
}

// By a second validator, which knows draft 2020-12.
TEST(schema, is_a_good_2020_12_schema)
{
    const TempDir dir;
    const std::string script = R"(
import json, sys
from jsonschema import Draft202012Validator as Validator
schema = json.load(open(sys.argv[1]))
Validator.check_schema(schema)
validator = Validator(schema)
lines = [json.loads(line) for line in open(sys.argv[2], encoding='utf-8')]
bad = [e.message for line in lines for e in validator.iter_errors(line)]
assert not bad, bad
assert len(lines) > 400, len(lines)
whole = next(line for line in lines if line['event'] == 'connect' and 'pid' in line)
for key in 'pid', 'comm', 'pid_from', 'raddr', 'rport', 'laddr', 'family':
    assert not validator.is_valid({k: v for k, v in whole.items() if k != key}), key
)";
    std::ofstream(dir.file("check.py")) << script;
    std::ofstream golden(dir.file("golden"));
    for (const std::string& line : golden_lines())
        golden << line << "\n";
    golden.close();
    // Debian's package is for Debian's interpreter, whatever else is in the path.
    const std::string command =
        "/usr/bin/python3 " + dir.file("check.py") + " " TCPSAGA_SCHEMA " " + dir.file("golden");
    EXPECT_EQ(std::system(command.c_str()), 0);
}

} // namespace
} // namespace tcpsaga::testing
