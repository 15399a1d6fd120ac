// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* TCP sockets in every state there is, in two network namespaces, that stay as they are. */
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "saga.h"

namespace live {

/// Owns its descriptor.
class Sock {
public:
    explicit Sock(int fd) : fd_(fd) {}
    Sock(Sock&& other) noexcept;
    Sock& operator=(Sock&&) = delete;
    ~Sock();
    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_;
};

class Mixture {
public:
    /// In the caller's network namespace, and one more.
    Mixture();

    [[nodiscard]] std::uint32_t here() const { return here_; }
    [[nodiscard]] std::uint32_t there() const { return there_; }
    /// A process of the other namespace: /proc/PID/net/tcp shows that one's.
    [[nodiscard]] pid_t of_there() const { return far_->process.pid(); }
    /// Holds one of the sockets too.
    [[nodiscard]] pid_t sharer() const { return sharer_->pid(); }

    static constexpr std::uint16_t waiting_port = 81;  ///< a listener with 3 of 5 waiting
    static constexpr std::uint16_t unread_port = 2001; ///< of a client that sent 7 bytes
    static constexpr std::uint16_t shared_port = 2003; ///< of a client that two processes hold
    static constexpr std::uint16_t half_port = 2004;   ///< of one that sent 5 and a FIN
    static constexpr std::uint32_t other_uid = 1234;   ///< who made the socket of that port:
    static constexpr std::uint16_t other_port = 2006;

private:
    void listen_and_wait();
    void over_loopback();
    void endings();
    void to_nobody();
    void in_both_families();
    void elsewhere();

    /// Connects from that port and accepts; the client's end comes first.
    std::pair<int, int> pair(int listener, const std::string& addr, std::uint16_t from);
    int keep(int fd);
    int repaired(std::uint16_t port);
    void fin_to(std::uint16_t port);

    std::uint32_t here_ = 0;
    std::uint32_t there_ = 0;
    std::vector<Sock> socks_;
    std::unique_ptr<Listening> far_;
    std::unique_ptr<Process> sharer_;
};

} // namespace live
