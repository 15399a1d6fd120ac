// SPDX-License-Identifier: BSD-2-Clause
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "netns.h"
#include "sock_diag.h"
#include "tcpsaga/settings.h"

namespace tcpsaga {
namespace {

constexpr std::array of_netns{"net.core.somaxconn",
                              "net.ipv4.ip_local_port_range",
                              "net.ipv4.tcp_abort_on_overflow",
                              "net.ipv4.tcp_keepalive_intvl",
                              "net.ipv4.tcp_keepalive_probes",
                              "net.ipv4.tcp_keepalive_time",
                              "net.ipv4.tcp_max_syn_backlog",
                              "net.ipv4.tcp_max_tw_buckets",
                              "net.ipv4.tcp_retries2",
                              "net.ipv4.tcp_syn_retries",
                              "net.ipv4.tcp_syncookies",
                              "net.ipv4.tcp_tw_reuse"};
constexpr std::array of_host{"fs.file-max", "fs.nr_open"};

/// "" when this kernel has none.
std::string read_sysctl(std::string name)
{
    std::ranges::replace(name, '.', '/');
    std::ifstream file("/proc/sys/" + name);
    std::string value;
    std::getline(file, value);
    std::ranges::replace(value, '\t', ' ');
    return value;
}

void read_into(std::map<std::string, std::string>& to, std::span<const char* const> names)
{
    for (const char* name : names)
        if (const std::string value = read_sysctl(name); !value.empty())
            to[name] = value;
}

std::uint32_t inode_of(const char* path)
{
    struct stat st {};
    return ::stat(path, &st) == 0 ? static_cast<std::uint32_t>(st.st_ino) : 0;
}

/// Behind the name, which may hold anything (proc(5)); '\0' when the process is gone.
char state_of(const std::string& folder)
{
    std::ifstream file(folder + "/stat");
    std::string line;
    std::getline(file, line);
    const auto name_end = line.rfind(") ");
    return name_end != std::string::npos && name_end + 2 < line.size() ? line[name_end + 2] : '\0';
}

void look(Looks& to, std::uint32_t pid)
{
    const std::string folder = "/proc/" + std::to_string(pid);
    const char state = state_of(folder);
    if (state == '\0')
        return;
    to.n++;
    to.states[state]++;
    if (state == 'T' || state == 't')
        to.stopped = pid;
    constexpr std::size_t most = 16;
    std::string where;
    std::ifstream(folder + "/wchan") >> where;
    if ((state == 'S' || state == 'D') && where.size() > 1 &&
        (to.asleep.size() < most || to.asleep.contains(where)))
        to.asleep[where]++;
}

} // namespace

void SettingsReader::read()
{
    settings_.own_netns = inode_of("/proc/self/ns/net");
    read_into(settings_.sysctls[0], of_host);
    Namespaces namespaces(wanted_);
    namespaces.find();
    settings_.queues.clear();
    for (const auto& [inode, paths] : namespaces.paths()) {
        const auto netns = inode;
        std::istringstream(paths.front().substr(sizeof("/proc/") - 1)) >> settings_.inhabitants[netns];
        namespaces.visit(netns, [&] {
            read_into(settings_.sysctls[netns], of_netns);
            constexpr auto listen = 1U << static_cast<unsigned>(State::listen);
            dump_sockets(listen, 0, [&](const inet_diag_msg& m, std::size_t) {
                const auto cookie =
                    std::uint64_t{m.id.idiag_cookie[1]} << 32 | m.id.idiag_cookie[0];
                settings_.queues.push_back({netns,
                                            {local_of(m), ntohs(m.id.idiag_sport)},
                                            cookie,
                                            m.idiag_rqueue,
                                            m.idiag_wqueue});
            });
        });
    }
}

void SettingsReader::look_at(std::uint32_t owner, std::uint64_t ts_ns)
{
    constexpr std::size_t most = 256;
    constexpr std::uint64_t between_ns = 250'000'000;
    std::uint64_t& last = looked_ns_[owner];
    if (looked_ns_.size() > most || (last != 0 && ts_ns < last + between_ns))
        return;
    last = ts_ns;
    Looks& looks = settings_.looks[owner];
    look(looks, owner);
    const std::string pid = std::to_string(owner);
    std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
    for (std::uint32_t child = 0; children >> child;)
        look(looks, child);
}

} // namespace tcpsaga
