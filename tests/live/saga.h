// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "process.h"

namespace live {

using nlohmann::json;

/// A running tcpsaga with --json, ready when the constructor returns; restricted to the
/// caller's network namespace unless the arguments say otherwise.
class Saga {
public:
    explicit Saga(std::vector<std::string> args = {"trace"});

    /// Waits for the first event that holds all these keys and values.
    json wait_for(const json& pattern);
    /// Events so far that hold all these keys and values, in order.
    [[nodiscard]] std::vector<json> all(const json& pattern = json::object()) const;
    /// Stops it, drained, and returns every event.
    std::vector<json> stop();
    [[nodiscard]] std::string ready_line() const { return ready_; }
    /// The text of standard error.
    [[nodiscard]] std::string said() const;
    Process& process() { return process_; }
    /// Its resident memory now, without what it shares with others.
    [[nodiscard]] long resident_kb() const;

private:
    const json& event(std::size_t number, const std::string& line) const;

    Process process_;
    std::string ready_;
    mutable std::vector<json> parsed_; // the lines read so far
};

/// A line of --json. The test fails where docs/schema/event-v1.json does not allow it (in virtual
/// machines, where it does not allow the first one of this form).
json parse_event(const std::string& line);
bool matches(const json& event, const json& pattern);
std::vector<json> select(const std::vector<json>& events, const json& pattern);
/// "CLOSE>SYN_SENT>ESTABLISHED…": the states of one connection as its events tell them.
std::string story(const std::vector<json>& events, std::uint64_t conn);

/// Where the tests get their program from, and how it is to attach (the environment:
/// TCPSAGA_TEST_ATTACH).
std::string tcpsaga_path();
std::string peer_path();
std::string attach();
/// False where the mechanism has no hook for the end of TIME_WAIT.
bool sees_time_wait_exit();
/// A hook tells this fact (a name of `check`), and nothing of it is lost.
bool has_hook(const std::string& fact);

/// Kernel counters of this network namespace: "Tcp.ActiveOpens", "TcpExt.ListenDrops".
using Counters = std::map<std::string, std::uint64_t>;
Counters read_counters();
/// Every row of the audit: no difference but for programs that the kernel says it skipped, or
/// may skip without saying so, and for what no hook tells.
void expect_audit_exact(const std::vector<json>& events);
std::uint64_t delta(const Counters& before, const Counters& after, const std::string& name);

/// Moves the calling thread, and what it starts, to a new network namespace with its own
/// counters, where only loopback is up.
void enter_new_netns();
std::uint32_t netns_inode();
/// A descriptor of the present namespace, for join_netns(), which closes it.
int keep_netns();
void join_netns(int fd);

/// Every test runs in a network namespace of its own.
class Live : public testing::Test {
protected:
    void SetUp() override;
};

/// Sets a sysctl of this namespace: "net/ipv4/tcp_max_tw_buckets".
void set_sysctl(const std::string& name, const std::string& value);

/// A program of ours that listens and says so: "port N".
struct Listening {
    explicit Listening(std::vector<std::string> argv);
    Process process;
    std::uint16_t port = 0;
};

/// One that accepts, and answers each connection: `peer serve`.
struct Server : Listening {
    explicit Server(const std::string& addr, const std::vector<std::string>& more = {});
};

/// Connections one after the other, each with a byte both ways: `peer storm`.
Ran storm(std::uint16_t port, int count, const std::string& addr = "127.0.0.1");
Ran storm(const Server& server, int count);

/// A port that nothing in this namespace uses.
std::uint16_t free_port();
/// Waits until something listens there (by /proc/net/tcp, so that no connection is made).
void wait_listening(std::uint16_t port);

} // namespace live
