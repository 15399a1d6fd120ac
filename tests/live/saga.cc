// SPDX-License-Identifier: BSD-2-Clause
#include "saga.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "schema.h"

namespace live {
namespace {

std::vector<std::string> command_line(std::vector<std::string> args)
{
    std::vector<std::string> argv{tcpsaga_path()};
    bool has_netns = false;
    for (const auto& a : args)
        has_netns = has_netns || a == "--netns";
    argv.insert(argv.end(), args.begin(), args.end());
    argv.insert(argv.end(), {"--json", "--attach", attach()});
    if (!has_netns)
        argv.insert(argv.end(), {"--netns", "self"});
    return argv;
}

void read_pairs(const char* path, Counters& to)
{
    std::ifstream file(path);
    std::string keys;
    std::string values;
    while (std::getline(file, keys) && std::getline(file, values)) {
        std::istringstream k(keys);
        std::istringstream v(values);
        std::string group;
        std::string value;
        k >> group;
        v >> value;
        group.back() = '.';
        for (std::string key; k >> key && v >> value;)
            to[group + key] = std::strtoull(value.c_str(), nullptr, 10);
    }
}

std::string from_env(const char* name, const std::string& otherwise)
{
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : otherwise;
}

} // namespace

Saga::Saga(std::vector<std::string> args) : process_(command_line(std::move(args)))
{
    const bool ready = process_.wait_err([this](const std::string& line) {
        ready_ = line;
        return line.find("tcpsaga: ready") == 0;
    });
    if (!ready)
        throw std::runtime_error("tcpsaga did not become ready: " + said());
}

namespace {

/// The same for lines that differ in numbers, or in strings of which there is no end, only.
void add_form(const json& value, std::string& form)
{
    static const std::set<std::string, std::less<>> endless{"ts", "laddr", "raddr", "community_id"};
    if (value.is_object()) {
        for (const auto& [key, member] : value.items()) {
            form += key + ":";
            if (!endless.contains(key))
                add_form(member, form);
        }
        form += ";";
    } else if (value.is_array()) {
        for (const json& element : value)
            add_form(element, form);
        form += "]";
    } else {
        form += value.is_string() ? value.get_ref<const std::string&>() : value.type_name();
        form += value.is_number_float() ? ".," : ",";
    }
}

/// A virtual machine takes milliseconds to hold a line against the schema: there, one of each form.
bool is_known_to_be_valid(const json& event)
{
    static std::set<std::string> forms;
    if (std::getenv("TCPSAGA_VM") == nullptr)
        return false;
    std::string form;
    add_form(event, form);
    return !forms.insert(form).second;
}

} // namespace

json parse_event(const std::string& line)
{
    json event = json::parse(line);
    EXPECT_EQ(is_known_to_be_valid(event) ? "" : schema_errors(event), "");
    return event;
}

const json& Saga::event(std::size_t number, const std::string& line) const
{
    if (number == parsed_.size())
        parsed_.push_back(parse_event(line));
    return parsed_.at(number);
}

json Saga::wait_for(const json& pattern)
{
    json found;
    std::size_t number = 0;
    const bool seen = process_.wait_out([&](const std::string& line) {
        found = event(number++, line);
        return matches(found, pattern);
    });
    if (!seen) {
        std::string events;
        for (const std::string& line : process_.out())
            events += line + "\n";
        throw std::runtime_error("no event " + pattern.dump() + " in\n" + events + said());
    }
    return found;
}

std::vector<json> Saga::all(const json& pattern) const
{
    std::size_t number = 0;
    for (const auto& line : process_.out())
        static_cast<void>(event(number++, line));
    return select(parsed_, pattern);
}

std::vector<json> Saga::stop()
{
    EXPECT_EQ(process_.stop(), 0) << said();
    return all();
}

long Saga::resident_kb() const
{
    std::ifstream file("/proc/" + std::to_string(process_.pid()) + "/status");
    for (std::string line; std::getline(file, line);)
        if (long kb = 0; std::sscanf(line.c_str(), "RssAnon: %ld", &kb) == 1)
            return kb;
    return 0;
}

std::string Saga::said() const
{
    std::string text;
    for (const auto& line : process_.err())
        text += line + "\n";
    return text;
}

bool matches(const json& event, const json& pattern)
{
    for (const auto& [key, value] : pattern.items())
        if (!event.contains(key) || event[key] != value)
            return false;
    return true;
}

std::vector<json> select(const std::vector<json>& events, const json& pattern)
{
    std::vector<json> found;
    for (const auto& e : events)
        if (matches(e, pattern))
            found.push_back(e);
    return found;
}

std::string story(const std::vector<json>& events, std::uint64_t conn)
{
    std::string text;
    for (const auto& e : select(events, {{"conn", conn}, {"event", "state"}})) {
        if (text.empty())
            text = e["old"];
        text += ">" + e["new"].get<std::string>();
    }
    return text;
}

std::string tcpsaga_path()
{
    return from_env("TCPSAGA_TEST_PROGRAM", TCPSAGA_PROGRAM);
}

std::string peer_path()
{
    return TCPSAGA_PEER;
}

std::string attach()
{
    return from_env("TCPSAGA_TEST_ATTACH", "auto");
}

bool sees_time_wait_exit()
{
    return has_hook("time_wait_exit");
}

bool has_hook(const std::string& fact)
{
    static const std::string said = [] {
        const Saga saga;
        return saga.said();
    }();
    return said.find("without " + fact) == std::string::npos &&
           said.find("tcpsaga: " + fact + " by ") == std::string::npos;
}

void expect_audit_exact(const std::vector<json>& events)
{
    const json& summary = events.back();
    ASSERT_TRUE(summary.contains("audit")) << summary;
    EXPECT_GE(summary["audit"].size(), 6U);
    // The kernel does not run a program that interrupts, or preempts, itself; it counts them,
    // and the audit says so.
    const bool missed = summary["lost_missed"] > 0;
    for (const json& row : summary["audit"]) {
        const std::string why = row.value("why", "");
        const bool uncounted = why == "this kernel does not count the kprobes that it skips";
        EXPECT_TRUE(row["kernel"] == row["seen"] || (missed && !why.empty()) || uncounted ||
                    why == "no hook")
            << row;
    }
}

Counters read_counters()
{
    Counters c;
    read_pairs("/proc/self/net/snmp", c);
    read_pairs("/proc/self/net/netstat", c);
    return c;
}

std::uint64_t delta(const Counters& before, const Counters& after, const std::string& name)
{
    return after.at(name) - before.at(name);
}

void enter_new_netns()
{
    if (unshare(CLONE_NEWNET) != 0)
        throw std::runtime_error("cannot make a network namespace: run the live tests as root");
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq lo{};
    std::snprintf(lo.ifr_name, sizeof(lo.ifr_name), "lo");
    ioctl(fd, SIOCGIFFLAGS, &lo);
    lo.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &lo) != 0)
        throw std::runtime_error("cannot bring loopback up");
    close(fd);
}

std::uint32_t netns_inode()
{
    struct stat st {};
    stat("/proc/self/ns/net", &st);
    return static_cast<std::uint32_t>(st.st_ino);
}

void Live::SetUp()
{
    utsname kernel{};
    uname(&kernel);
    RecordProperty("kernel", kernel.release); // for scripts/kernel_table.py
    enter_new_netns();
}

int keep_netns()
{
    return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

void join_netns(int fd)
{
    if (setns(fd, CLONE_NEWNET) != 0)
        throw std::runtime_error("setns");
    close(fd);
}

void set_sysctl(const std::string& name, const std::string& value)
{
    std::ofstream file("/proc/sys/" + name);
    if (!(file << value << std::flush))
        throw std::runtime_error("cannot set " + name);
}

Listening::Listening(std::vector<std::string> argv) : process(std::move(argv))
{
    process.wait_out([this](const std::string& line) {
        return std::sscanf(line.c_str(), "port %hu", &port) == 1;
    });
}

Server::Server(const std::string& addr, const std::vector<std::string>& more)
    : Listening([&] {
          std::vector<std::string> argv{peer_path(), "serve", addr, "0"};
          argv.insert(argv.end(), more.begin(), more.end());
          return argv;
      }())
{
}

Ran storm(std::uint16_t port, int count, const std::string& addr)
{
    return run({peer_path(), "storm", addr, std::to_string(port), std::to_string(count)});
}

Ran storm(const Server& server, int count)
{
    return storm(server.port, count);
}

std::uint16_t free_port()
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    socklen_t size = sizeof(any);
    bind(fd, reinterpret_cast<sockaddr*>(&any), size);
    getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size);
    close(fd);
    return ntohs(any.sin_port);
}

void wait_listening(std::uint16_t port)
{
    char wanted[16];
    std::snprintf(wanted, sizeof(wanted), ":%04X", port);
    const auto listens = [&](const char* path) {
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) {
            std::istringstream columns(line);
            std::string slot;
            std::string local;
            std::string remote;
            std::string state;
            columns >> slot >> local >> remote >> state;
            if (state == "0A" && local.ends_with(wanted))
                return true;
        }
        return false;
    };
    for (int i = 0; i < 6000; i++) {
        if (listens("/proc/self/net/tcp") || listens("/proc/self/net/tcp6"))
            return;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    throw std::runtime_error("nothing listens on " + std::to_string(port));
}

} // namespace live
