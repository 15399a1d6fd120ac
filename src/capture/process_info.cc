// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/process_info.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "fd.h"
#include "tcpsaga/processes.h"

namespace tcpsaga {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t second_ns = 1'000'000'000;

/// The line that starts with this key, without it; "" when there is none.
std::string_view line_of(std::string_view text, std::string_view key)
{
    for (std::size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1))
        if (at == 0 || text[at - 1] == '\n')
            return text.substr(at + key.size(), text.find('\n', at) - at - key.size());
    return "";
}

std::uint64_t number_of(std::string_view text)
{
    std::uint64_t n = 0;
    std::from_chars(text.data(), text.data() + text.size(), n);
    return n;
}

/// From "argument\0argument\0".
std::string command_line(std::string text)
{
    text.resize(text.find_last_not_of('\0') + 1);
    std::ranges::replace(text, '\0', ' ');
    return text;
}

std::uint32_t inode_of(const fs::path& path)
{
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 ? static_cast<std::uint32_t>(st.st_ino) : 0;
}

/// False when the process is gone.
bool read_info(const fs::path& folder, ProcessInfo& to)
{
    const std::string status = read_proc_file(folder / "status");
    if (status.empty())
        return false;
    to.inner_pid = parse_proc_status(status).inner_pid;
    to.command = command_line(read_proc_file(folder / "cmdline"));
    to.cgroup = cgroup_of(read_proc_file(folder / "cgroup"));
    to.container = container_of(to.cgroup);
    to.netns = inode_of(folder / "ns/net");
    return true;
}

} // namespace

std::string read_proc_file(const fs::path& path)
{
    std::string text;
    const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    std::array<char, 4096> chunk{};
    ssize_t n = 0;
    while (fd && (n = ::read(fd.get(), chunk.data(), chunk.size())) > 0)
        text.append(chunk.data(), static_cast<std::size_t>(n));
    return text;
}

ProcStatus parse_proc_status(std::string_view text)
{
    ProcStatus status;
    status.uid = static_cast<std::uint32_t>(number_of(line_of(text, "Uid:\t")));
    const std::string_view pids = line_of(text, "NSpid:\t"); // outermost first
    status.inner_pid = static_cast<std::uint32_t>(number_of(pids.substr(pids.rfind('\t') + 1)));
    return status;
}

std::uint64_t parse_start_time(std::string_view text)
{
    // proc(5): the 22nd field. The second, in parentheses, may hold any character.
    text.remove_prefix(std::min(text.size(), text.rfind(')') + 1));
    constexpr int blanks_before = 20;
    for (int i = 0; i < blanks_before; i++) {
        const auto blank = text.find(' ');
        if (blank == std::string_view::npos)
            return 0;
        text.remove_prefix(blank + 1);
    }
    return number_of(text);
}

const ProcessInfo* ProcessInfos::of(std::uint32_t pid, std::uint64_t now_ns)
{
    constexpr std::size_t most = 8192;
    if (known_.size() >= most && !known_.contains(pid))
        known_.clear();
    const auto [at, is_new] = known_.try_emplace(pid);
    Known& known = at->second;
    if (is_new || now_ns > known.looked_ns + second_ns) {
        known.found = read_info(proc_ / std::to_string(pid), known.info) || known.found;
        known.looked_ns = now_ns;
    }
    return known.found ? &known.info : nullptr;
}

Home home_of(const ProcessInfo& info, std::uint32_t pid)
{
    return {info.cgroup, info.container.id, info.container.pod,
            info.inner_pid == pid ? 0 : info.inner_pid};
}

Home find_home(std::uint32_t pid)
{
    constexpr std::uint32_t initial = 0xEFFFFFFC; // PROC_PID_INIT_INO, include/linux/proc_ns.h
    static const bool numbers_are_ours = inode_of("/proc/self/ns/pid") == initial;
    if (!numbers_are_ours)
        return {};
    // The two files that are needed: there may be thousands of short-lived processes.
    const fs::path folder = fs::path("/proc") / std::to_string(pid);
    ProcessInfo info;
    info.cgroup = cgroup_of(read_proc_file(folder / "cgroup"));
    info.container = container_of(info.cgroup);
    info.inner_pid = parse_proc_status(read_proc_file(folder / "status")).inner_pid;
    return home_of(info, pid);
}

std::map<std::uint32_t, std::string> named_namespaces(const fs::path& folder)
{
    std::map<std::uint32_t, std::string> names;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder, none))
        names.emplace(inode_of(entry.path()), entry.path().filename().string());
    return names;
}

const std::string& NetnsNames::given(std::uint32_t inode, std::uint64_t now_ns)
{
    static const std::string nameless;
    if (now_ns >= given_until_ns_) {
        given_ = named_namespaces(named_);
        given_until_ns_ = now_ns + second_ns;
    }
    const auto name = given_.find(inode);
    return name == given_.end() ? nameless : name->second;
}

void NetnsNames::read()
{
    names_ = named_namespaces(named_);
    for_each_process(
        [&](std::uint32_t pid, const fs::path& folder) {
            const auto [at, is_new] = names_.try_emplace(inode_of(folder / "ns/net"));
            if (is_new) {
                std::string comm = read_proc_file(folder / "comm");
                comm.resize(comm.find_last_not_of('\n') + 1);
                at->second = "pid " + std::to_string(pid) + " (" + comm + ")";
            }
            return true;
        },
        proc_);
    names_.erase(0); // what we may not look at
}

const std::string& NetnsNames::of(std::uint32_t inode, std::uint64_t now_ns)
{
    static const std::string nameless;
    const std::uint64_t keep = names_.contains(inode) ? 10 * second_ns : second_ns;
    if (!read_once_ || now_ns > read_ns_ + keep) {
        read();
        read_once_ = true;
        read_ns_ = now_ns;
    }
    const auto name = names_.find(inode);
    return name == names_.end() ? nameless : name->second;
}

} // namespace tcpsaga
