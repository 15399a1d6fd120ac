// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tcpsaga/result.h"

namespace tcpsaga {

/// A stream socket that listens for lines: "unix:PATH" or "tcp:HOST:PORT".
class Remote {
public:
    /// nullopt: `where` is none, but a file's path. An Error: one that is written wrongly.
    static Result<std::optional<Remote>> parse(const std::string& where);

    /// Looks HOST up, once and for all: a later look-up might take long.
    Status resolve();
    /// Begins to connect, to the next address if there are several. Returns a socket that does
    /// not block, for the caller to close; finished() tells how it went.
    [[nodiscard]] Result<int> begin();
    /// nullopt while `fd` is still connecting; else 0 or the errno.
    static std::optional<int> finished(int fd, std::chrono::milliseconds wait);
    [[nodiscard]] std::size_t addresses() const { return addresses_.size(); }
    [[nodiscard]] Error failure(int err) const;

private:
    struct Address {
        sockaddr_storage bytes{};
        socklen_t size = 0;
    };
    std::string where_;
    std::string host_, port_; // "" for a path
    std::vector<Address> addresses_;
    std::size_t next_ = 0;
};

} // namespace tcpsaga
