// SPDX-License-Identifier: BSD-2-Clause
#include "sockets.h"

#include <dirent.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <map>

#include "privileges.h"
#include "say.h"
#include "tcpsaga/process_info.h"
#include "tcpsaga/socket_access.h"
#include "tcpsaga/sockets.h"

namespace tcpsaga {
namespace {

namespace fs = std::filesystem;

/// The id of the container that a process is in, else its cgroup, "" for the root's.
std::string container_name(std::uint32_t pid)
{
    ProcessInfos infos;
    const ProcessInfo* const info = infos.of(pid, 0);
    if (info == nullptr || info->cgroup == "/")
        return "";
    return info->container.id.empty() ? info->cgroup : info->container.id;
}

/// The names that `ip netns` gave.
std::map<std::uint32_t, std::string> netns_names()
{
    std::map<std::uint32_t, std::string> names;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator("/run/netns", none)) {
        struct stat st {};
        if (::stat(entry.path().c_str(), &st) == 0)
            names.emplace(static_cast<std::uint32_t>(st.st_ino), entry.path().filename());
    }
    return names;
}

/// That of init tells for all.
bool may_see_all_processes()
{
    DIR* const dir = ::opendir("/proc/1/fd");
    if (dir == nullptr)
        return false;
    ::closedir(dir);
    return true;
}

std::int64_t utc_now()
{
    timespec t{};
    clock_gettime(CLOCK_REALTIME, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

SocketPrint print_options(const Options& o, const Output& out)
{
    SocketPrint how;
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    how.host = host.data();
    how.utc_ns = utc_now();
    how.color = out.is_terminal() && std::getenv("NO_COLOR") == nullptr;
    how.info = o.info;
    how.names.container = container_name;
    how.names.netns = [names = netns_names()](std::uint32_t inode) {
        const auto found = names.find(inode);
        return found == names.end() ? std::string() : found->second;
    };
    return how;
}

/// What costs something and is not asked for is not looked up.
SocketDetail detail_for(const Options& o)
{
    const auto asks = [&](SocketKey key) { return std::ranges::find(o.by, key) != o.by.end(); };
    if (o.by.empty())
        return o.json || o.info ? SocketDetail::with_info : SocketDetail::plain;
    const bool of_processes =
        o.filter.asks_for_process() || asks(SocketKey::process) || asks(SocketKey::container);
    return of_processes ? SocketDetail::plain : SocketDetail::bare;
}

bool hides_processes(const std::vector<SocketRow>& rows)
{
    const bool nameless = std::ranges::any_of(rows, [](const SocketRow& row) {
        return row.inode != 0 && row.holders.empty();
    });
    return nameless && !may_see_all_processes();
}

void print(Output& out, const Options& o, const std::vector<SocketRow>& rows,
           const ChosenSockets& chosen, const SocketPrint& how)
{
    if (o.by.empty())
        return o.json ? print_sockets_json(out, chosen, how) : print_sockets(out, chosen, how);
    const auto counts = count_sockets(rows, chosen, o.by, how.names);
    o.json ? print_counts_json(out, counts, o.by, how) : print_counts(out, counts, o.by, how);
}

} // namespace

int run_sockets(const Options& o)
{
    if (const auto status = check_socket_access(o.filter.netns); !status)
        return fail(status.error());
    auto out = o.output.empty() ? std::make_unique<Output>() : Output::open(o.output);
    if (!out)
        return fail(out.error());
    signal(SIGPIPE, SIG_IGN); // write() tells
    const SocketPrint how = print_options(o, **out);
    const SocketDetail detail = detail_for(o);
    const auto rows = read_sockets(o.filter.netns, detail);
    const bool hidden = detail != SocketDetail::bare && hides_processes(rows);
    if (const auto status = keep_only({CAP_SYS_PTRACE}); !status) // cgroups where /proc has hidepid
        return fail(status.error());
    print(**out, o, rows, choose_sockets(rows, o.filter, o.states), how);
    (*out)->flush();
    if (hidden)
        say("processes of other users are not shown; run it with sudo to see them");
    return (*out)->health() == Output::Health::failed ? fail((*out)->error()) : 0;
}

} // namespace tcpsaga
