// SPDX-License-Identifier: BSD-2-Clause
#include "message.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "number.h"

namespace tcpsaga::fleet {
namespace {

constexpr std::string_view subject_root = "tcpsaga.v1.";

std::uint32_t fnv1a(std::string_view text)
{
    constexpr std::uint32_t basis = 2166136261;
    constexpr std::uint32_t prime = 16777619;
    std::uint32_t hash = basis;
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * prime;
    return hash;
}

/// The value of a key whose value has no escape; quotes inside of other values are escaped, so the
/// key is found nowhere else.
std::string_view value_of(std::string_view line, std::string_view quoted_key)
{
    const std::size_t at = line.find(quoted_key);
    if (at == std::string_view::npos)
        return {};
    const std::size_t from = at + quoted_key.size();
    return line.substr(from, line.find('"', from) - from);
}

} // namespace

std::string escaped(std::string_view text)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string to;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '_'))
            to += c;
        else
            (to += '%') += {digits[byte >> 4U], digits[byte & 0xfU]};
    }
    return to;
}

std::string unescaped(std::string_view text)
{
    std::string to;
    for (std::size_t i = 0; i < text.size(); i++) {
        unsigned byte = 0;
        const bool escape =
            text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(&text[i + 1], &text[i] + 3, byte, 16).ptr == &text[i] + 3;
        to += escape ? static_cast<char>(byte) : text[i];
        i += escape ? 2 : 0;
    }
    return to;
}

std::string Run::text() const
{
    return escaped(host) + "/" + escaped(boot) + "/" + std::to_string(started_ns);
}

std::string MessageId::text() const
{
    return run + "/" + lane + "/" + std::to_string(sequence);
}

std::optional<MessageId> MessageId::parse(std::string_view text)
{
    const std::size_t second = text.rfind('/');
    if (second == std::string_view::npos || second == 0)
        return {};
    const std::size_t first = text.rfind('/', second - 1);
    if (first == std::string_view::npos ||
        std::ranges::count(text.substr(0, first), '/') != 2) // of a run
        return {};
    const auto sequence = parse_number(text.substr(second + 1));
    if (!sequence || *sequence == 0)
        return {};
    return MessageId{std::string(text.substr(0, first)),
                     std::string(text.substr(first + 1, second - first - 1)), *sequence};
}

std::string MessageId::host() const
{
    return unescaped(std::string_view(run).substr(0, run.find('/')));
}

unsigned partition_of(std::string_view line, unsigned partitions)
{
    std::string_view key = value_of(line, R"("community_id":")");
    if (key.empty())
        key = value_of(line, R"("host":")");
    return fnv1a(key) % std::max(partitions, 1U);
}

std::string subject_of(unsigned partition)
{
    return std::string(subject_root) + std::to_string(partition);
}

std::string host_subject(const std::string& host)
{
    return std::string(subject_root) + "host." + escaped(host);
}

std::vector<std::string> subjects_of(unsigned partitions)
{
    std::vector<std::string> all;
    for (unsigned i = 0; i < partitions; i++)
        all.push_back(subject_of(i));
    all.push_back(std::string(subject_root) + "host.*");
    return all;
}

unsigned partitions_of(const std::vector<std::string>& subjects)
{
    auto have = subjects;
    auto want = subjects_of(static_cast<unsigned>(std::max<std::size_t>(have.size(), 1) - 1));
    std::ranges::sort(have);
    std::ranges::sort(want);
    return have == want ? static_cast<unsigned>(have.size() - 1) : 0;
}

} // namespace tcpsaga::fleet
