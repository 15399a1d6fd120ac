// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tcpsaga/address.h"

namespace tcpsaga::fleet {

/// Members of a line's object, by key. What is of the wrong type is Malformed, what is not there is
/// nothing, or what `otherwise` says.
using nlohmann::json;

/// Something is missing, or of the wrong type.
struct Malformed {
    std::string what;
};

template <class T>
using Maybe = std::optional<T>;

inline const json* find(const json& j, const char* key)
{
    const auto it = j.find(key);
    return it == j.end() ? nullptr : &*it;
}

template <class T>
Maybe<T> number_if(const json& j, const char* key)
{
    const json* v = find(j, key);
    if (v == nullptr)
        return {};
    if (!v->is_number_unsigned())
        throw Malformed{key};
    return static_cast<T>(v->get<std::uint64_t>());
}

template <class T = std::uint64_t>
T number(const json& j, const char* key, T otherwise = {})
{
    return number_if<T>(j, key).value_or(otherwise);
}

inline std::string text(const json& j, const char* key)
{
    const json* v = find(j, key);
    if (v == nullptr)
        return {};
    if (!v->is_string())
        throw Malformed{key};
    return v->get<std::string>();
}

inline bool flag(const json& j, const char* key, bool otherwise = false)
{
    const json* v = find(j, key);
    return v != nullptr && v->is_boolean() ? v->get<bool>() : otherwise;
}

/// The value whose name that is; `last` is the enumeration's last one.
template <class Enum>
Maybe<Enum> named(const std::string& name, Enum last)
{
    for (unsigned i = 0; i <= static_cast<unsigned>(last); i++)
        if (const auto value = static_cast<Enum>(i); name_of(value) == name)
            return value;
    return {};
}

template <class Enum>
Enum name(const json& j, const char* key, Enum last, Maybe<Enum> otherwise = {})
{
    const json* v = find(j, key);
    const auto value =
        v != nullptr && v->is_string() ? named(v->get_ref<const std::string&>(), last) : otherwise;
    if (!value)
        throw Malformed{key};
    return *value;
}

inline Address address(const json& j, const char* key)
{
    const std::string value = text(j, key);
    if (value.empty())
        return {};
    const auto cidr = parse_cidr(value);
    if (!cidr)
        throw Malformed{key};
    return cidr->addr;
}

/// "2026-11-20T22:36:43.317818605Z"
inline std::uint64_t utc_of(const std::string& s)
{
    std::tm t{};
    const char* rest = strptime(s.c_str(), "%Y-%m-%dT%H:%M:%S", &t);
    if (rest == nullptr || (*rest != '.' && *rest != 'Z'))
        throw Malformed{"ts"};
    constexpr std::uint64_t second = 1'000'000'000;
    std::uint64_t fraction = 0;
    if (*rest == '.') {
        std::uint64_t unit = second;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++)
            fraction += (unit /= 10) * static_cast<std::uint64_t>(*rest - '0');
    }
    const std::time_t seconds = timegm(&t);
    if (*rest != 'Z' || seconds < 0)
        throw Malformed{"ts"};
    return static_cast<std::uint64_t>(seconds) * second + fraction;
}

} // namespace tcpsaga::fleet
