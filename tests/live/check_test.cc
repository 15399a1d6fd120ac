// SPDX-License-Identifier: BSD-2-Clause
/* `check` promises; attaching keeps the promise. */
#include <map>
#include <set>

#include "saga.h"

namespace live {
namespace {

class Check : public Live, public testing::WithParamInterface<const char*> {};

std::set<std::string> lost_by_check(const json& report)
{
    std::set<std::string> lost;
    for (const json& fact : report["facts"])
        if (fact.contains("lost"))
            lost.insert(fact["lost"]);
    return lost;
}

std::string kernel_name(const json& report)
{
    return report["kernel"];
}

/// What check says when this is wished for ("": nothing is). Asked once: it attaches, and detaches,
/// everything by every mechanism, which takes a kernel of 6.1 to 6.18 ten seconds.
const Ran& checked(const std::string& wish)
{
    static std::map<std::string, Ran> said;
    const auto [at, is_new] = said.try_emplace(wish);
    if (is_new) {
        std::vector<std::string> command{tcpsaga_path(), "check", "--json", "--drops"};
        if (!wish.empty())
            command.insert(command.end(), {"--attach", wish});
        at->second = run(command);
    }
    return at->second;
}

/// Whatever is preferred: what is attached, and what is said to be lost, is what check told.
TEST_P(Check, IsKeptByTheTracer)
{
    const std::string wish = GetParam();
    const json report = json::parse(checked(wish).out);
    const bool complete = lost_by_check(report).empty();
    EXPECT_EQ(report["verdict"], complete ? "complete" : "degraded");
    EXPECT_EQ(checked(wish).exit_code, complete ? 0 : 3);

    Process tracer({tcpsaga_path(), "trace", "--attach", wish, "--drops", "--netns", "self"});
    std::string ready;
    ASSERT_TRUE(tracer.wait_err([&](const std::string& line) {
        ready = line;
        return line.starts_with("tcpsaga: ready");
    }));
    EXPECT_EQ(ready, "tcpsaga: ready (" + report["title"].get<std::string>() + ")");
    std::string said;
    for (const auto& line : tracer.err())
        said += line + "\n";
    for (const std::string& lost : lost_by_check(report))
        EXPECT_NE(said.find(lost), std::string::npos) << lost << "\n" << said;
    EXPECT_EQ(tracer.stop(), 0);
}

/// An alternative that check calls usable is used when it is the one asked for; one that it
/// calls refused never is.
TEST_P(Check, TellsTheTruthOfEachAlternative)
{
    const std::string wish = GetParam();
    const json automatic = json::parse(checked("").out);
    const json forced = json::parse(checked(wish).out);
    for (std::size_t i = 0; i < automatic["facts"].size(); i++) {
        const json& fact = automatic["facts"][i];
        bool usable = false;
        for (const json& a : fact["alternatives"])
            if (a["mechanism"] == wish && !a["state"].get<std::string>().starts_with("refused"))
                usable = true;
        EXPECT_EQ(forced["facts"][i].value("mechanism", "") == wish, usable)
            << kernel_name(automatic) << " " << fact["fact"];
    }
}

INSTANTIATE_TEST_SUITE_P(Attach, Check, testing::Values("trampoline", "kprobe", "tracepoint"),
                         [](const auto& i) { return std::string(i.param); });

using Btf = Live;

/// A command line in which /sys/kernel/btf is empty, and the kernel's BTF at $BTF.
std::vector<std::string> without_btf(const std::string& command)
{
    return {"unshare", "-m", "sh", "-c",
            "BTF=$(mktemp) && cp /sys/kernel/btf/vmlinux $BTF && "
            "mount -t tmpfs none /sys/kernel/btf && exec " +
                tcpsaga_path() + " " + command};
}

TEST_F(Btf, MissingIsNamed)
{
    const auto r = run(without_btf("trace"));
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.err, "tcpsaga: no BTF of this kernel in /sys/kernel/btf/vmlinux; build the kernel "
                     "with CONFIG_DEBUG_INFO_BTF, or give its BTF with --btf FILE\n");
}

TEST_F(Btf, AFileThatHasNoneIsNamed)
{
    for (const char* command : {"trace", "check"}) {
        const auto r = run({tcpsaga_path(), command, "--btf", "/proc/self/status"});
        EXPECT_EQ(r.exit_code, 1);
        EXPECT_EQ(r.err, "tcpsaga: no BTF in /proc/self/status; give --btf a kernel's BTF, or a "
                         "vmlinux with a .BTF section\n");
    }
}

TEST_F(Btf, FromAnotherFile)
{
    Process tracer(without_btf("trace --json --netns self --btf $BTF"));
    ASSERT_TRUE(tracer.wait_err([&](const std::string& line) {
        return line.starts_with("tcpsaga: ready");
    }));
    Server server("127.0.0.1", {"1"});
    ASSERT_EQ(run({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "1"}).exit_code,
              0);
    ASSERT_EQ(server.process.wait(), 0);
    EXPECT_EQ(tracer.stop(), 0);
    std::vector<json> events;
    for (const auto& line : tracer.out())
        events.push_back(parse_event(line));
    const auto closes = select(events, {{"event", "close"}});
    ASSERT_EQ(closes.size(), 2U);
    for (const json& e : closes) {
        EXPECT_EQ(e["tx_bytes"], 1);
        EXPECT_EQ(e["rx_bytes"], 1);
        EXPECT_EQ(e["pid"] == server.process.pid(), e["role"] == "server");
    }
    EXPECT_EQ(select(events, {{"event", "accept"}}).size(), 1U);
}

} // namespace
} // namespace live
