// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <string>
#include <utility>
#include <variant>

namespace tcpsaga {

/// What went wrong, for one line to a person: "tcpsaga: cannot <operation> <object>:
/// <errno text>; <remedy>". `err` is a positive errno, 0 when none applies.
struct Error {
    std::string operation;
    std::string object;
    int err = 0;
    std::string remedy;

    [[nodiscard]] std::string message() const;
};

/// A value or an Error. Logged once, at the top.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : content_(std::move(value)) {}
    Result(Error error) : content_(std::move(error)) {}

    explicit operator bool() const { return content_.index() == 0; }
    T& operator*() { return std::get<0>(content_); }
    const T& operator*() const { return std::get<0>(content_); }
    T* operator->() { return &std::get<0>(content_); }
    const T* operator->() const { return &std::get<0>(content_); }
    [[nodiscard]] const Error& error() const { return std::get<1>(content_); }

private:
    std::variant<T, Error> content_;
};

struct Nothing {};
using Status = Result<Nothing>;

} // namespace tcpsaga
