// SPDX-License-Identifier: BSD-2-Clause
#include "libbpf_log.h"

#include <bpf/libbpf.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace tcpsaga {
namespace {

// libbpf has one process-wide print function, without an argument of ours: each thread that loads
// has its own failure.
// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables)
thread_local std::string failed_program;
thread_local std::string verifier_line;
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)

/// The line before the verifier's closing statistics says what it refused.
std::string last_word(const std::string& log)
{
    std::string word;
    std::size_t from = 0;
    while (from < log.size()) {
        const std::size_t end = std::min(log.find('\n', from), log.size());
        const std::string line = log.substr(from, end - from);
        const bool statistics = line.starts_with("processed ") || line.starts_with("--");
        if (!line.empty() && !statistics)
            word = line;
        from = end + 1;
    }
    return word;
}

int keep(libbpf_print_level level, const char* format, va_list args)
{
    static const bool show = std::getenv("TCPSAGA_LIBBPF") != nullptr;
    if (show)
        return std::vfprintf(stderr, format, args);
    if (level != LIBBPF_WARN)
        return 0;
    std::string text(64 << 10, '\0');
    const int n = std::vsnprintf(text.data(), text.size(), format, args);
    text.resize(std::min(text.size() - 1, static_cast<std::size_t>(std::max(n, 0))));
    std::array<char, 64> name{};
    if (std::sscanf(text.c_str(), "libbpf: prog '%63[^']': BPF program load failed", name.data()) ==
        1)
        failed_program = name.data();
    else if (text.find("BEGIN PROG LOAD LOG") != std::string::npos)
        verifier_line = last_word(text);
    return 0;
}

} // namespace

void quiet_libbpf()
{
    libbpf_set_print(keep);
}

std::string last_load_failure()
{
    if (failed_program.empty())
        return "";
    return failed_program + (verifier_line.empty() ? "" : ": " + verifier_line);
}

} // namespace tcpsaga
