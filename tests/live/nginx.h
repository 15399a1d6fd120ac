// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <map>
#include <string>

#include "saga.h"

namespace live {

/// An nginx of our own with workers, in a folder that goes with it. Serves /index.html,
/// 100,000 bytes.
class Nginx {
public:
    /// `host`: as in a URL; `listen`: more words of its listen directive; `settings`: more
    /// lines at the top of its configuration.
    explicit Nginx(const std::string& host, const std::string& listen = "",
                   const std::string& settings = "", int workers = 1);
    ~Nginx();
    Nginx(const Nginx&) = delete;
    Nginx& operator=(const Nginx&) = delete;

    [[nodiscard]] pid_t pid() const { return process_.pid(); } ///< of the master, which listens
    /// The worker's, which accepts.
    [[nodiscard]] pid_t worker() const;
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string url() const;
    /// Ends it, and returns what it logged of each request: its bytes, those sent.
    std::string stop();
    /// After stop(): which worker served the client with this port.
    [[nodiscard]] std::map<std::uint16_t, pid_t> workers_by_client() const;

private:
    std::string folder_;
    std::string host_;
    std::uint16_t port_ = free_port();
    Process process_;
};

} // namespace live
