// SPDX-License-Identifier: BSD-2-Clause
/* Any command line: it is understood, answered or refused. Arguments are separated by NUL. */
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cli/options.h"
#include "present.h"

using namespace tcpsaga;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> arguments{"tcpsaga"};
    for (std::size_t at = 0; at <= text.size() && arguments.size() < 16;) {
        const std::size_t end = std::min(text.find('\0', at), text.size());
        arguments.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    std::vector<const char*> argv;
    for (const std::string& a : arguments)
        argv.push_back(a.c_str());
    const Parsed parsed = parse_arguments(static_cast<int>(argv.size()), argv.data());
    fuzz::require(parsed.options || parsed.exit_code == 0 || parsed.exit_code == 2);
    if (parsed.options) // what was let through fits the kernel's copy
        static_cast<void>(parsed.options->filter.for_kernel());

    if (const auto cidr = parse_cidr(text)) {
        fuzz::require(cidr->contains(cidr->addr));
        const auto again = parse_cidr(to_string(cidr->addr));
        fuzz::require(again && again->addr == cidr->addr);
    }
    return 0;
}
