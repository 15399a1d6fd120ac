// SPDX-License-Identifier: BSD-2-Clause
/* What only a real clock and the host's own tools can show. */
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "saga.h"

namespace live {
namespace {

bool in_a_guest()
{
    return std::getenv("TCPSAGA_VM") != nullptr;
}

class Host : public Live {
protected:
    void SetUp() override
    {
        if (in_a_guest())
            GTEST_SKIP() << "SKIPPED in a virtual machine: emulated time is slow and jittery; "
                            "this runs on the host";
        Live::SetUp();
    }
};

struct TcplifeRow {
    int lport, rport;
    double tx_kb, rx_kb;
};

/// libbpf-tools' tcplife over the same connections: the same ports and bytes.
TEST_F(Host, LifeAgreesWithTcplife)
{
    Server server("127.0.0.1", {"40"});
    Process tcplife({"unshare", "-m", "sh", "-c",
                     "mount -t tracefs none /sys/kernel/tracing && exec stdbuf -oL tcplife"});
    ASSERT_TRUE(tcplife.wait_out([](const std::string& l) { return l.starts_with("PID"); }));
    Saga saga({"life"});
    ASSERT_EQ(run({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "40"}).exit_code,
              0);
    ASSERT_EQ(server.process.wait(), 0);
    const auto closes = select(saga.stop(), {{"event", "close"}});
    ASSERT_EQ(closes.size(), 80U);

    std::vector<TcplifeRow> rows;
    const auto collect = [&](const std::string& line) {
        TcplifeRow row{};
        if (std::sscanf(line.c_str(), "%*d %*s %*s %d %*s %d %lf %lf", &row.lport, &row.rport,
                        &row.tx_kb, &row.rx_kb) == 4 &&
            (row.lport == server.port || row.rport == server.port))
            rows.push_back(row);
        return rows.size() == closes.size();
    };
    ASSERT_TRUE(tcplife.wait_out(collect));
    // It counts SYN and FIN as a byte each, and prints two digits.
    const double slack = 2.0 / 1024 + 0.005 + 1e-9;
    for (const json& c : closes) {
        const auto same = [&](const TcplifeRow& r) {
            return r.lport == c["lport"] && r.rport == c["rport"] &&
                   std::abs(r.tx_kb - c["tx_bytes"].get<double>() / 1024) <= slack &&
                   std::abs(r.rx_kb - c["rx_bytes"].get<double>() / 1024) <= slack;
        };
        EXPECT_EQ(std::ranges::count_if(rows, same), 1) << c;
        // Where it differs, ours is right: each end has its own process.
        EXPECT_EQ(c["pid"] == server.process.pid(), c["role"] == "server") << c;
    }
}

/// With nothing else going on, a line is out within 100 ms of its event.
TEST_F(Host, ALineIsOutWithin100Milliseconds)
{
    using Clock = std::chrono::steady_clock;
    Server server("127.0.0.1");
    Saga saga({"trace", "--event", "close"});
    std::vector<double> waits;
    std::size_t seen = 0;
    for (int i = 0; i < 21; i++) {
        ASSERT_EQ(
            run({peer_path(), "storm", "127.0.0.1", std::to_string(server.port), "1"}).exit_code,
            0);
        const auto start = Clock::now();
        std::size_t lines = 0;
        const auto all_here = [&](const std::string&) { return ++lines >= seen + 2; };
        ASSERT_TRUE(saga.process().wait_out(all_here));
        seen += 2;
        waits.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    // The median: a loaded machine may hold up one or the other.
    std::ranges::nth_element(waits, waits.begin() + 10);
    EXPECT_LT(waits[10], 100);
}

} // namespace
} // namespace live
