// SPDX-License-Identifier: BSD-2-Clause
#include "ss.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>

#include "process.h"

namespace live {
namespace {

const std::map<std::string, std::string> state_names{
    {"ESTAB", "ESTABLISHED"},    {"SYN-SENT", "SYN_SENT"},     {"SYN-RECV", "SYN_RECV"},
    {"FIN-WAIT-1", "FIN_WAIT1"}, {"FIN-WAIT-2", "FIN_WAIT2"},  {"TIME-WAIT", "TIME_WAIT"},
    {"UNCONN", "CLOSE"},         {"CLOSE-WAIT", "CLOSE_WAIT"}, {"LAST-ACK", "LAST_ACK"},
    {"LISTEN", "LISTEN"},        {"CLOSING", "CLOSING"}};

/// "[::ffff:127.0.0.1]:80" is 127.0.0.1:80; "*:80", a listener for both families, [::]:80.
std::string plain(std::string end)
{
    if (end.starts_with("*:"))
        end.replace(0, 1, "[::]");
    if (end.starts_with("[::ffff:") && end.find('.') != std::string::npos) {
        end.erase(0, std::strlen("[::ffff:"));
        end.erase(end.find(']'), 1);
    }
    return end;
}

std::uint64_t number_in(const std::string& line, const std::string& before, int base = 10)
{
    std::smatch found;
    const bool is_there =
        std::regex_search(line, found,
                          std::regex("[ \t]" + before + (base == 16 ? "([0-9a-f]+)" : "([0-9]+)")));
    return is_there ? std::stoull(found[1], nullptr, base) : 0;
}

HolderSet holders_in(const std::string& line)
{
    static const std::regex holder(R"re(\("([^"]*)",pid=(\d+),fd=(\d+)\))re");
    HolderSet all;
    for (std::sregex_iterator i(line.begin(), line.end(), holder); i != std::sregex_iterator(); ++i)
        all.emplace((*i)[1], std::stoi((*i)[2]), std::stoi((*i)[3]));
    return all;
}

/// ss writes "2min5sec", "12sec", "1.500ms" for 1.5 seconds, "200ms".
SsTimer timer_in(const std::string& line)
{
    static const std::regex timer(
        R"re(timer:\((\w+),(?:(\d+)min)?(?:(\d+)(?:sec|\.))?(?:(\d+)ms)?,(\d+)\))re");
    std::smatch found;
    if (!std::regex_search(line, found, timer))
        return {};
    const auto part = [&](std::size_t i) -> std::uint64_t {
        return found[i].matched ? std::stoull(found[i]) : 0;
    };
    SsTimer t{found[1], part(2) * 60'000 + part(3) * 1000 + part(4), 1, std::stoi(found[5])};
    t.unit_ms = part(2) > 9 ? 60'000 : part(2) > 0 || part(3) > 9 ? 1000 : 1;
    return t;
}

/// The kernel prints the address as 32-bit words of the host's order.
std::string end_of(const std::string& hex)
{
    std::array<unsigned char, 16> bytes{};
    const std::size_t digits = hex.find(':');
    for (std::size_t i = 0; i < digits / 8; i++) {
        const auto word = static_cast<std::uint32_t>(std::stoul(hex.substr(i * 8, 8), nullptr, 16));
        std::memcpy(bytes.data() + i * 4, &word, 4);
    }
    char text[INET6_ADDRSTRLEN];
    inet_ntop(digits == 8 ? AF_INET : AF_INET6, bytes.data(), text, sizeof(text));
    const auto port = std::stoul(hex.substr(digits + 1), nullptr, 16);
    const std::string addr = digits == 8 ? text : "[" + std::string(text) + "]";
    return plain(addr + ":" + (port == 0 ? "*" : std::to_string(port)));
}

} // namespace

bool SsRow::same_as(const SsRow& o) const
{
    return state == o.state && rx_queue == o.rx_queue && tx_queue == o.tx_queue &&
           local == o.local && remote == o.remote && holders == o.holders &&
           timer.kind == o.timer.kind && timer.retries == o.timer.retries && uid == o.uid &&
           inode == o.inode && rtt_ms == o.rtt_ms && bytes_acked == o.bytes_acked &&
           bytes_received == o.bytes_received && retransmits == o.retransmits;
}

std::map<std::uint64_t, SsRow> read_ss(pid_t in_netns_of)
{
    const auto r = run({"nsenter", "--net=/proc/" + std::to_string(in_netns_of) + "/ns/net", "ss",
                        "-H", "-O", "-tanpoie"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    std::map<std::uint64_t, SsRow> rows;
    std::istringstream text(r.out);
    for (std::string line; std::getline(text, line);) {
        std::istringstream columns(line);
        SsRow row;
        columns >> row.state >> row.rx_queue >> row.tx_queue >> row.local >> row.remote;
        row.state = state_names.at(row.state);
        row.local = plain(row.local);
        row.remote = plain(row.remote);
        row.holders = holders_in(line);
        row.timer = timer_in(line);
        row.uid = static_cast<std::uint32_t>(number_in(line, "uid:"));
        row.inode = number_in(line, "ino:");
        std::smatch rtt;
        if (std::regex_search(line, rtt, std::regex(R"re( rtt:([0-9.e+-]+)/)re")))
            row.rtt_ms = std::stod(rtt[1]);
        row.bytes_acked = number_in(line, "bytes_acked:");
        row.bytes_received = number_in(line, "bytes_received:");
        row.retransmits = number_in(line, R"(retrans:\d+/)");
        rows[number_in(line, "sk:", 16)] = row;
    }
    return rows;
}

std::map<std::pair<std::string, std::string>, ProcRow> read_proc_net(pid_t in_netns_of)
{
    std::map<std::pair<std::string, std::string>, ProcRow> rows;
    for (const char* name : {"tcp", "tcp6"}) {
        std::ifstream file("/proc/" + std::to_string(in_netns_of) + "/net/" + name);
        std::string line;
        std::getline(file, line); // the header
        while (std::getline(file, line)) {
            char local[64];
            char remote[64];
            ProcRow row;
            unsigned long rx = 0;
            unsigned long tx = 0;
            unsigned long inode = 0;
            const int n =
                std::sscanf(line.c_str(), " %*d: %63s %63s %x %lx:%lx %*x:%*x %*x %u %*d %lu",
                            local, remote, reinterpret_cast<unsigned*>(&row.state), &tx, &rx,
                            &row.uid, &inode);
            EXPECT_EQ(n, 7) << line;
            row.rx_queue = rx;
            row.tx_queue = tx;
            row.inode = inode;
            rows[{end_of(local), end_of(remote)}] = row;
        }
    }
    return rows;
}

} // namespace live
