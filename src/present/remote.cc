// SPDX-License-Identifier: BSD-2-Clause
#include "remote.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tcpsaga {
namespace {

constexpr const char* forms = "want unix:PATH, tcp:HOST:PORT, tcp:[ADDR]:PORT or a file's path";

/// A peer that went without a word is given up after this, not after a quarter of an hour.
constexpr int silence_ms = 30'000;

} // namespace

Result<std::optional<Remote>> Remote::parse(const std::string& where)
{
    const Error bad{"bad output", "'" + where + "'", 0, forms};
    Remote r;
    r.where_ = where;
    if (where.starts_with("unix:")) {
        Address a;
        auto& name = reinterpret_cast<sockaddr_un&>(a.bytes); // NOLINT: as sockets have it
        const std::string path = where.substr(5);
        if (path.empty() || path.size() >= sizeof(name.sun_path))
            return bad;
        name.sun_family = AF_UNIX;
        path.copy(static_cast<char*>(name.sun_path), path.size());
        a.size = sizeof(name);
        r.addresses_.push_back(a);
        return std::optional(r);
    }
    if (!where.starts_with("tcp:"))
        return std::optional<Remote>();
    const auto colon = where.rfind(':');
    r.port_ = where.substr(colon + 1);
    r.host_ = colon > 4 ? where.substr(4, colon - 4) : "";
    if (r.host_.size() > 2 && r.host_.front() == '[' && r.host_.back() == ']')
        r.host_ = r.host_.substr(1, r.host_.size() - 2);
    const bool digits = !r.port_.empty() && r.port_.size() <= 5 &&
                        std::ranges::all_of(r.port_, [](char c) { return c >= '0' && c <= '9'; });
    if (r.host_.empty() || !digits || std::stoi(r.port_) < 1 || std::stoi(r.port_) > 65535)
        return bad;
    return std::optional(r);
}

Status Remote::resolve()
{
    if (host_.empty())
        return Nothing{};
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    if (const int failed = getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found); failed != 0)
        return Error{"cannot find", where_ + ": " + gai_strerror(failed), 0,
                     "name another with -o"};
    for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
        Address copy;
        std::memcpy(&copy.bytes, a->ai_addr, a->ai_addrlen);
        copy.size = a->ai_addrlen;
        addresses_.push_back(copy);
    }
    freeaddrinfo(found);
    return Nothing{};
}

Result<int> Remote::begin()
{
    const Address& a = addresses_.at(next_++ % addresses_.size());
    const int fd = socket(a.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failure(errno);
    if (a.bytes.ss_family != AF_UNIX) {
        const int on = 1;
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
    }
    const auto* const generic = reinterpret_cast<const sockaddr*>(&a.bytes); // NOLINT
    if (connect(fd, generic, a.size) == 0 || errno == EINPROGRESS)
        return fd;
    const int err = errno;
    ::close(fd);
    return failure(err);
}

std::optional<int> Remote::finished(int fd, std::chrono::milliseconds wait)
{
    pollfd p{fd, POLLOUT, 0};
    if (::poll(&p, 1, static_cast<int>(wait.count())) <= 0)
        return {};
    int err = 0;
    socklen_t size = sizeof(err);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
    return err;
}

Error Remote::failure(int err) const
{
    return {"cannot connect to", where_, err, "start what listens there, or name another with -o"};
}

} // namespace tcpsaga
