// SPDX-License-Identifier: BSD-2-Clause
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tcpsaga/audit.h"

namespace tcpsaga {
namespace {

std::string read_file(const std::string& path)
{
    const std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

bool is_number(const std::string& name)
{
    return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

std::map<std::uint32_t, ProcCounters> read_all_counters(const std::vector<std::uint32_t>& wanted)
{
    std::map<std::uint32_t, ProcCounters> all;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
        if (!is_number(entry.path().filename().string()))
            continue;
        const std::string base = entry.path().string();
        struct stat st {};
        if (stat((base + "/ns/net").c_str(), &st) != 0)
            continue; // gone, or not ours to look at
        const auto netns = static_cast<std::uint32_t>(st.st_ino);
        const bool asked = wanted.empty() || std::ranges::find(wanted, netns) != wanted.end();
        if (!asked || all.contains(netns))
            continue;
        ProcCounters counters;
        parse_counters(read_file(base + "/net/snmp"), counters);
        parse_counters(read_file(base + "/net/netstat"), counters);
        if (!counters.empty())
            all.emplace(netns, std::move(counters));
    }
    return all;
}

} // namespace tcpsaga
