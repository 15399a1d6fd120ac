// SPDX-License-Identifier: BSD-2-Clause
#include "privileges.h"

#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>

#include "tcpsaga/probe.h"

namespace tcpsaga {
namespace {

struct CapFree {
    void operator()(cap_t c) const { cap_free(c); }
};
using Capabilities = std::unique_ptr<std::remove_pointer_t<cap_t>, CapFree>;

bool has(const Capabilities& set, int capability, cap_flag_t flag)
{
    cap_flag_value_t value = CAP_CLEAR;
    return set && cap_get_flag(set.get(), capability, flag, &value) == 0 && value == CAP_SET;
}

/// Threads that were joined are seen for a moment yet: their end is told before they are gone.
bool has_other_threads()
{
#ifdef __SANITIZE_THREAD__ // ThreadSanitizer has one of its own
    constexpr int own = 2;
#else
    constexpr int own = 1;
#endif
    constexpr auto patience = std::chrono::seconds(1);
    constexpr auto pause = std::chrono::milliseconds(1);
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
        std::error_code unknown;
        const std::filesystem::directory_iterator tasks("/proc/self/task", unknown);
        if (std::distance(begin(tasks), std::filesystem::directory_iterator()) <= own)
            return false;
        if (std::chrono::steady_clock::now() > end)
            return true;
        std::this_thread::sleep_for(pause);
    }
}

/// As kernel.kptr_restrict and kernel.perf_event_paranoid have it for us: all addresses are zero.
bool symbols_are_hidden()
{
    std::ifstream file("/proc/kallsyms");
    std::string address;
    return !(file >> address) || std::ranges::all_of(address, [](char c) { return c == '0'; });
}

} // namespace

Status check_privileges()
{
    const std::ifstream file("/proc/self/status");
    std::stringstream text;
    text << file.rdbuf();
    const std::string missing = missing_capabilities(text.str());
    if (missing.empty())
        return Nothing{};
    return Error{"needs", missing, 0, "run it with sudo, or give it those file capabilities"};
}

bool has_capability(int capability)
{
    return has(Capabilities(cap_get_proc()), capability, CAP_EFFECTIVE);
}

bool wants_other_namespaces(const Options& options)
{
    struct stat own {};
    if (options.filter.netns.empty() || ::stat("/proc/self/ns/net", &own) != 0)
        return true;
    return std::ranges::any_of(options.filter.netns,
                               [&](std::uint32_t inode) { return inode != own.st_ino; });
}

std::vector<MissingCapability> missing_for(const Options& options)
{
    std::vector<MissingCapability> missing;
    const auto need = [&](int capability, std::string_view name, std::string_view loses) {
        if (!has_capability(capability))
            missing.push_back({name, loses});
    };
    const bool others = wants_other_namespaces(options);
    if (others)
        need(CAP_SYS_PTRACE, "CAP_SYS_PTRACE",
             "the audit of other network namespaces, the sockets there at the start, and who "
             "owns those of other users");
    else if (options.snapshot)
        need(CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "who owns the sockets there at the start");
    if (others)
        need(CAP_SYS_ADMIN, "CAP_SYS_ADMIN",
             "the sockets there at the start in other network namespaces, and what ports are used "
             "for in them when connect() finds none");
    if (options.snapshot) // /proc/PID/fd is 0500
        need(CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH",
             "which process of another user owns a socket there at the start");
    if (!options.wish.asked.empty() && symbols_are_hidden())
        need(CAP_SYSLOG, "CAP_SYSLOG", "the place of a drop has no name");
    return missing;
}

Status keep_only(std::initializer_list<int> capabilities)
{
    if (has_other_threads())
        return Error{"cannot drop", "capabilities", 0,
                     "other threads run already: report this bug"};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return Error{"cannot set", "no_new_privs", errno, ""};
    // The bounding set can be narrowed with CAP_SETPCAP only; no_new_privs makes it of no account.
    if (has_capability(CAP_SETPCAP))
        for (int c = 0; c <= cap_max_bits() && cap_get_bound(c) >= 0; c++)
            cap_drop_bound(c);
    cap_reset_ambient();
    const Capabilities now(cap_get_proc());
    const Capabilities kept(cap_init());
    if (!now || !kept)
        return Error{"cannot read", "our capabilities", errno, ""};
    for (const cap_value_t c : capabilities)
        if (has(now, c, CAP_PERMITTED)) {
            cap_set_flag(kept.get(), CAP_PERMITTED, 1, &c, CAP_SET);
            cap_set_flag(kept.get(), CAP_EFFECTIVE, 1, &c, CAP_SET);
        }
    if (cap_set_proc(kept.get()) != 0)
        return Error{"cannot drop", "capabilities", errno, ""};
    return Nothing{};
}

bool holds_unprivileged(const std::function<bool()>& work)
{
    const Capabilities now(cap_get_proc());
    const Capabilities none(now ? cap_dup(now.get()) : nullptr);
    if (!none || cap_clear_flag(none.get(), CAP_EFFECTIVE) != 0 || cap_set_proc(none.get()) != 0)
        return false;
    const bool holds = work();
    cap_set_proc(now.get());
    return holds;
}

} // namespace tcpsaga
