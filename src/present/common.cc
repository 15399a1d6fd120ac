// SPDX-License-Identifier: BSD-2-Clause
// Since OpenSSL 3.0 the functions of one algorithm are called deprecated; by way of EVP a digest of
// 20 bytes costs three times as much.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
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

std::string base64(const std::array<unsigned char, 20>& digest)
{
    std::array<unsigned char, 29> text{};
    EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
    return {text.begin(), text.end() - 1};
}

std::array<unsigned char, SHA_DIGEST_LENGTH> sha1(const unsigned char* data, std::size_t size)
{
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, data, size);
    SHA1_Final(digest.data(), &context);
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

std::string community_id(const Tuple& t)
{
    Endpoint a = t.local;
    Endpoint b = t.remote;
    if (b < a)
        std::swap(a, b);
    std::array<unsigned char, 40> message{}; // seed, two addresses, protocol, pad, two ports
    unsigned char* to = message.data() + 2;
    const bool v4 = a.addr.is_v4() && b.addr.is_v4();
    for (const Endpoint* e : {&a, &b})
        to = std::copy(e->addr.bytes.begin() + (v4 ? 12 : 0), e->addr.bytes.end(), to);
    *to++ = 6; // TCP
    *to++ = 0;
    for (const Endpoint* e : {&a, &b}) {
        *to++ = static_cast<unsigned char>(e->port >> 8);
        *to++ = static_cast<unsigned char>(e->port & 0xff);
    }
    return "1:" + base64(sha1(message.data(), static_cast<std::size_t>(to - message.data())));
}

void put_rfc3339(Room& room, std::int64_t utc_ns)
{
    // Most lines fall in the second of the line before.
    thread_local std::int64_t cached_second = -1;
    thread_local std::array<char, 20> cached{};
    const std::int64_t second = utc_ns / 1'000'000'000;
    if (second != cached_second) {
        std::tm utc{};
        gmtime_r(&second, &utc);
        std::strftime(cached.data(), cached.size(), "%Y-%m-%dT%H:%M:%S", &utc);
        cached_second = second;
    }
    room.put({cached.data(), 19});
    room.put('.');
    room.digits(static_cast<std::uint64_t>(utc_ns % 1'000'000'000), 9);
    room.put('Z');
}

void append_rfc3339(fmt::memory_buffer& to, std::int64_t utc_ns)
{
    constexpr std::size_t size = 30;
    Room room(to, size);
    put_rfc3339(room, utc_ns);
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
