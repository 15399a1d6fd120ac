// SPDX-License-Identifier: BSD-2-Clause
#include "place.h"

#include <algorithm>
#include <string_view>

#include "number.h"

namespace tcpsaga::fleet {
namespace {

constexpr const char* form = "want nats://HOST[:PORT][,HOST[:PORT]...]/STREAM[?KEY=VALUE[&...]]";

Error bad(const std::string& where, const std::string& why)
{
    return {"bad place", "'" + where + "'", 0, why};
}

template <class Visit>
void for_each_part(std::string_view text, char separator, const Visit& visit)
{
    while (true) {
        const std::size_t end = text.find(separator);
        visit(std::string(text.substr(0, end)));
        if (end == std::string_view::npos)
            return;
        text.remove_prefix(end + 1);
    }
}

/// What JetStream lets a stream be called, and no more than what needs no escape anywhere.
bool is_stream_name(const std::string& s)
{
    return !s.empty() && s.size() <= 64 && std::ranges::all_of(s, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-';
    });
}

/// "" when all is well, else why not.
std::string set(Place& p, const std::string& key, const std::string& value)
{
    for (const auto& [name, to] : {std::pair("creds", &p.credentials), std::pair("ca", &p.ca),
                                   std::pair("cert", &p.certificate), std::pair("key", &p.key),
                                   std::pair("spool", &p.spool)})
        if (key == name) {
            *to = value;
            return value.empty() ? "'" + key + "' is empty" : "";
        }
    if (key == "partitions") {
        const auto n = parse_number(value);
        if (!n || *n < 1 || *n > most_partitions)
            return "partitions are 1 to " + std::to_string(most_partitions);
        p.partitions = static_cast<unsigned>(*n);
        return "";
    }
    if (key == "spool_size") {
        constexpr std::uint64_t least = std::uint64_t{1} << 20;
        const auto size = parse_size(value);
        if (!size || *size < least)
            return "spool_size is a number of bytes such as 256M, 1M at least";
        p.spool_most = *size;
        return "";
    }
    return "no key '" + key + "'; there are creds, ca, cert, key, partitions, spool, spool_size";
}

} // namespace

std::optional<std::uint64_t> parse_size(const std::string& text)
{
    constexpr std::string_view units = "KMG";
    const std::size_t unit = text.empty() ? std::string_view::npos : units.find(text.back());
    const bool plain = unit == std::string_view::npos;
    const auto n = parse_number(std::string_view(text).substr(0, text.size() - (plain ? 0 : 1)));
    constexpr std::uint64_t most = std::uint64_t{1} << 32;
    if (!n || plain)
        return n;
    return *n > most ? std::nullopt : std::optional(*n << (10 * (unit + 1)));
}

bool is_place(const std::string& where)
{
    return where.starts_with("nats://") || where.starts_with("tls://");
}

Result<Place> parse_place(const std::string& where)
{
    Place p;
    p.tls = where.starts_with("tls://");
    const std::size_t begin = where.find("://");
    if (!is_place(where))
        return bad(where, form);
    const std::string rest = where.substr(begin + 3);
    const std::size_t query = rest.find('?');
    const std::string path = rest.substr(0, query);
    const std::size_t slash = path.find('/');
    if (slash == std::string::npos || slash == 0)
        return bad(where, form);
    p.stream = path.substr(slash + 1);
    if (!is_stream_name(p.stream))
        return bad(where, "a stream's name has letters, digits, - and _ only");
    std::string why;
    for_each_part(path.substr(0, slash), ',', [&](const std::string& server) {
        if (server.empty() || server.find_first_of("/ \t") != std::string::npos)
            why = form;
        else if (server.find('@') != std::string::npos)
            why = "secrets do not belong on a command line: creds=FILE";
        p.servers.push_back("nats://" + server);
    });
    if (why.empty() && query != std::string::npos)
        for_each_part(rest.substr(query + 1), '&', [&](const std::string& part) {
            const std::size_t equals = std::min(part.find('='), part.size());
            const std::string value = part.substr(std::min(equals + 1, part.size()));
            if (why.empty())
                why = set(p, part.substr(0, equals), value);
        });
    if (why.empty() && p.certificate.empty() != p.key.empty())
        why = "cert and key go together";
    if (!why.empty())
        return bad(where, why);
    p.tls = p.tls || !p.ca.empty() || !p.certificate.empty();
    p.name = where.substr(0, begin + 3) + path;
    return p;
}

} // namespace tcpsaga::fleet
