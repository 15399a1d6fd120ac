// SPDX-License-Identifier: BSD-2-Clause
#include "sockets.h"

#include <dirent.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "open_output.h"
#include "privileges.h"
#include "say.h"
#include "tcpsaga/cgroups.h"
#include "tcpsaga/clock.h"
#include "tcpsaga/probe.h"
#include "tcpsaga/process_info.h"
#include "tcpsaga/socket_access.h"
#include "tcpsaga/sockets.h"

namespace tcpsaga {
namespace {

/// The id of the container that a process is in, else its cgroup, "" for the root's.
std::string container_name(const Home& home)
{
    if (home.cgroup == "/")
        return "";
    return home.container.empty() ? home.cgroup : home.container;
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

SocketPrint print_options(const Options& o, const Output& out)
{
    SocketPrint how;
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    how.host = host.data();
    how.utc_ns = now_ns(CLOCK_REALTIME);
    how.color = out.is_terminal() && color_is_welcome();
    how.info = o.info;
    const auto infos = std::make_shared<ProcessInfos>();
    if (o.cmdline)
        how.command = [infos](std::uint32_t pid) {
            const ProcessInfo* const info = infos->of(pid, 0);
            return info == nullptr ? std::string() : info->command;
        };
    how.names.home = [infos](std::uint32_t pid) {
        const ProcessInfo* const info = infos->of(pid, 0);
        return info == nullptr ? Home() : home_of(*info, pid);
    };
    how.names.container = [home = how.names.home](std::uint32_t pid) {
        return container_name(home(pid));
    };
    how.names.netns = [names = named_namespaces()](std::uint32_t inode) {
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

/// Small sockets, of which the kernel does not tell a cgroup, go.
Status keep_of_cgroup(ChosenSockets& chosen, const Options& o)
{
    const auto tells = [](const SocketRow* row) { return row->cgroup != 0; };
    const auto is_full = [](const SocketRow* row) {
        return row->state == State::listen || carries_data(*row);
    };
    if (o.filter.cgroup == 0)
        return Nothing{};
    if (std::ranges::any_of(chosen, is_full) && std::ranges::none_of(chosen, tells))
        return Error{"cannot filter by", "--cgroup", 0,
                     "this kernel does not tell the cgroup of a socket: that takes Linux 5.9 with "
                     "CONFIG_SOCK_CGROUP_DATA"};
    const auto wanted = cgroups_below(o.cgroup_folder);
    std::erase_if(chosen, [&](const SocketRow* row) { return !wanted.contains(row->cgroup); });
    return Nothing{};
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
    const auto kernel = check_privileges() ? std::make_unique<KernelProber>() : nullptr;
    if (const auto status = check_socket_access(o.filter.netns, kernel.get()); !status)
        return fail(status.error());
    auto out = open_output(o.output);
    if (!out)
        return fail(out.error());
    signal(SIGPIPE, SIG_IGN); // write() tells
    SocketPrint how = print_options(o, **out);
    const SocketDetail detail = detail_for(o);
    const auto rows = SnapshotReader(kernel.get()).read(o.filter.netns, detail);
    const bool hidden = detail != SocketDetail::bare && hides_processes(rows);
    if (const auto status = keep_only({CAP_SYS_PTRACE}); !status) // cgroups where /proc has hidepid
        return fail(status.error());
    auto chosen = choose_sockets(rows, o.filter, o.states);
    if (const auto status = keep_of_cgroup(chosen, o); !status)
        return fail(status.error());
    if (o.pairs)
        how.pairs = pair_sockets(rows);
    print(**out, o, rows, chosen, how);
    (*out)->flush();
    if (hidden)
        say("processes of other users are not shown; run it with sudo to see them");
    return (*out)->health() == Output::Health::failed ? fail((*out)->error()) : 0;
}

} // namespace tcpsaga
