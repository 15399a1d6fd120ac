// SPDX-License-Identifier: BSD-2-Clause
// Since OpenSSL 3.0 the functions of one algorithm are called deprecated; by way of EVP a digest of
// 20 bytes costs three times as much.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "room.h"
#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

/// Length of the well-formed UTF-8 sequence at the front (RFC 3629), 0 for none.
std::size_t utf8_length(std::string_view s)
{
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned char c = at(0);
    const std::size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : 4;
    if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || s.size() < n)
        return 0;
    for (std::size_t i = 1; i < n; i++)
        if ((at(i) & 0xc0) != 0x80)
            return 0;
    const unsigned char second = n > 1 ? at(1) : 0;
    const bool overlong = (c == 0xe0 && second < 0xa0) || (c == 0xf0 && second < 0x90);
    const bool surrogate = c == 0xed && second >= 0xa0;
    const bool too_big = c == 0xf4 && second >= 0x90;
    return overlong || surrogate || too_big ? 0 : n;
}

/// Of a well-formed sequence.
std::uint32_t code_point(std::string_view sequence)
{
    const auto first = static_cast<unsigned char>(sequence[0]);
    std::uint32_t c = sequence.size() == 1 ? first : first & (0x7fU >> sequence.size());
    for (const char byte : sequence.substr(1))
        c = (c << 6) | (static_cast<unsigned char>(byte) & 0x3fU);
    return c;
}

/// What steers a terminal, ends a line or changes the direction of text.
bool is_control(std::uint32_t c)
{
    const bool c0_or_c1 = c < 0x20 || (c >= 0x7f && c < 0xa0); // terminals obey C1 too
    const bool line_end = c == 0x2028 || c == 0x2029; // to Python's splitlines(), and others
    const bool direction = c == 0x061c || c == 0x200e || c == 0x200f ||
                           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return c0_or_c1 || line_end || direction;
}

/// 28 characters (RFC 4648).
void write_base64(char* to, const std::array<std::uint8_t, 20>& digest)
{
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < digest.size(); i += 3) {
        const std::uint32_t last = i + 2 < digest.size() ? digest[i + 2] : 0U; // NOLINT
        const std::uint32_t bits = std::uint32_t{digest[i]} << 16 |            // NOLINT: below 20
                                   std::uint32_t{digest[i + 1]} << 8 | last;   // NOLINT
        for (unsigned shift = 24; shift > 0; *to++ = alphabet[bits >> shift & 0x3f])
            shift -= 6;
    }
    to[-1] = '='; // 20 bytes are one short of 7 groups
}

/// Of at most 55 bytes, which are one block.
std::array<std::uint8_t, 20> sha1(std::array<unsigned char, 64> block, std::size_t size)
{
    block.at(size) = 0x80;
    block[63] = static_cast<unsigned char>(size * 8 & 0xff); // bits
    block[62] = static_cast<unsigned char>(size * 8 >> 8);
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Transform(&context, block.data());
    std::array<std::uint8_t, 20> digest{};
    std::size_t at = 0;
    for (const SHA_LONG word : {context.h0, context.h1, context.h2, context.h3, context.h4}) {
        const std::uint32_t big_endian = __builtin_bswap32(word);
        std::memcpy(digest.data() + at, &big_endian, sizeof(big_endian));
        at += sizeof(big_endian);
    }
    return digest;
}

} // namespace

void append_json_string(fmt::memory_buffer& to, std::string_view text)
{
    to.push_back('"');
    while (!text.empty()) {
        const std::size_t n = utf8_length(text);
        const auto sequence = text.substr(0, std::max<std::size_t>(n, 1));
        text.remove_prefix(sequence.size());
        if (n == 0)
            append(to, "\\ufffd");
        else if (sequence == "\"" || sequence == "\\")
            to.push_back('\\'), to.push_back(sequence[0]);
        else if (const std::uint32_t c = code_point(sequence); is_control(c))
            fmt::format_to(std::back_inserter(to), "\\u{:04x}", c);
        else
            append(to, sequence);
    }
    to.push_back('"');
}

void append_visible(fmt::memory_buffer& to, std::string_view text)
{
    while (!text.empty()) {
        const std::size_t n = utf8_length(text);
        const auto sequence = text.substr(0, std::max<std::size_t>(n, 1));
        text.remove_prefix(sequence.size());
        if (n != 0 && !is_control(code_point(sequence)) && sequence != "\\") {
            append(to, sequence);
            continue;
        }
        for (const char byte : sequence)
            fmt::format_to(std::back_inserter(to), "\\x{:02x}", static_cast<unsigned char>(byte));
    }
}

void append_home(fmt::memory_buffer& to, const Home& home)
{
    append(to, R"(,"cgroup":)");
    append_json_string(to, home.cgroup);
    for (const auto& [key, value] :
         {std::pair("container", &home.container), std::pair("pod", &home.pod)})
        if (!value->empty()) {
            fmt::format_to(std::back_inserter(to), R"(,"{}":)", key);
            append_json_string(to, *value);
        }
    if (home.inner_pid != 0)
        fmt::format_to(std::back_inserter(to), R"(,"ns_pid":{})", home.inner_pid);
}

std::string visible(std::string_view text)
{
    fmt::memory_buffer b;
    append_visible(b, text);
    return fmt::to_string(b);
}

std::string endpoint_text(const Endpoint& e)
{
    const std::string port = e.port == 0 ? "*" : std::to_string(e.port);
    return e.addr.is_v4() ? to_string(e.addr) + ":" + port : "[" + to_string(e.addr) + "]:" + port;
}

void write_community_id(char* to, const Tuple& t)
{
    const Endpoint* a = &t.local;
    const Endpoint* b = &t.remote;
    if (*b < *a)
        std::swap(a, b);
    std::array<unsigned char, 64> message{}; // seed, two addresses, protocol, pad, two ports
    unsigned char* at = message.data() + 2;
    const bool v4 = a->addr.is_v4() && b->addr.is_v4();
    for (const Endpoint* e : {a, b})
        at = std::copy(e->addr.bytes.begin() + (v4 ? 12 : 0), e->addr.bytes.end(), at);
    *at++ = 6; // TCP
    *at++ = 0;
    for (const Endpoint* e : {a, b}) {
        *at++ = static_cast<unsigned char>(e->port >> 8);
        *at++ = static_cast<unsigned char>(e->port & 0xff);
    }
    to[0] = '1';
    to[1] = ':';
    write_base64(to + 2, sha1(message, static_cast<std::size_t>(at - message.data())));
}

std::string community_id(const Tuple& t)
{
    std::string text(community_id_size, ' ');
    write_community_id(text.data(), t);
    return text;
}

char* put_rfc3339(char* to, std::int64_t utc_ns)
{
    // Most lines fall in the second of the line before.
    constexpr std::size_t size = 20; // "2026-11-20T16:07:00."
    thread_local std::int64_t cached_second = -1;
    thread_local std::array<char, size + 1> cached{};
    const std::int64_t second = utc_ns / 1'000'000'000;
    if (second != cached_second) {
        std::tm utc{};
        gmtime_r(&second, &utc);
        std::strftime(cached.data(), cached.size(), "%Y-%m-%dT%H:%M:%S.", &utc);
        cached_second = second;
    }
    std::memcpy(to, cached.data(), size);
    to += size;
    to = put_digits(to, static_cast<std::uint32_t>(utc_ns % 1'000'000'000), 9);
    *to++ = 'Z';
    return to;
}

void append_rfc3339(fmt::memory_buffer& to, std::int64_t utc_ns)
{
    constexpr std::size_t size = 30;
    Room room(to, size);
    room.go_to(put_rfc3339(room.at(), utc_ns));
}

bool wanted(const PresentOptions& o, const Event& e)
{
    const auto in = [](const std::vector<std::string>& list, std::string_view name) {
        return std::ranges::find(list, name) != list.end();
    };
    if (e.conn == nullptr)
        return true; // what was lost, and the summary, are always told
    if (!o.kinds.empty() && !in(o.kinds, kind_of(e)))
        return false;
    const auto* change = std::get_if<event::StateChange>(&e.what);
    return o.states.empty() || change == nullptr || in(o.states, name_of(change->old_state)) ||
           in(o.states, name_of(change->new_state));
}

} // namespace tcpsaga
