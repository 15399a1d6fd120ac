// SPDX-License-Identifier: BSD-2-Clause
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tcpsaga/audit.h"
#include "tcpsaga/processes.h"

namespace tcpsaga {
namespace {

std::string read_file(const std::string& path)
{
    const std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

} // namespace

std::map<std::uint32_t, ProcCounters> read_all_counters(const std::vector<std::uint32_t>& wanted)
{
    std::map<std::uint32_t, ProcCounters> all;
    for_each_process([&](std::uint32_t, const std::filesystem::path& folder) {
        struct stat st {};
        if (stat((folder / "ns/net").c_str(), &st) != 0)
            return true; // gone, or not ours to look at
        const auto netns = static_cast<std::uint32_t>(st.st_ino);
        const bool asked = wanted.empty() || std::ranges::find(wanted, netns) != wanted.end();
        if (!asked || all.contains(netns))
            return true;
        ProcCounters counters;
        parse_counters(read_file(folder / "net/snmp"), counters);
        parse_counters(read_file(folder / "net/netstat"), counters);
        if (!counters.empty())
            all.emplace(netns, std::move(counters));
        return true;
    });
    return all;
}

} // namespace tcpsaga
