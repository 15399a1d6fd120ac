// SPDX-License-Identifier: BSD-2-Clause
#include "exporter.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <exception>
#include <future>
#include <optional>

#include "tcpsaga/signals.h"

namespace tcpsaga {
namespace {

// The main loop answers within 50 ms; a scrape that waits longer gets what was last told.
constexpr auto patience = std::chrono::seconds(2);

struct Bind {
    std::string host; ///< with [] for IPv6
    sockaddr_storage address{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* generic() const
    {
        return reinterpret_cast<const sockaddr*>(&address); // NOLINT: as sockets have it
    }
};

/// Of "ADDR:PORT".
std::optional<Bind> parse(const std::string& text)
{
    const auto colon = text.rfind(':');
    const std::string host = text.substr(0, colon);
    const char* const end = text.data() + text.size();
    std::uint16_t port = 0;
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (colon == std::string::npos || error != std::errc() || rest != end)
        return {};
    Bind b{host, {}, 0};
    auto& v4 = reinterpret_cast<sockaddr_in&>(b.address);  // NOLINT: as sockets have it
    auto& v6 = reinterpret_cast<sockaddr_in6&>(b.address); // NOLINT
    const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (in_brackets &&
        inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        b.size = sizeof(v6);
        return b;
    }
    if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1)
        return {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    b.size = sizeof(v4);
    return b;
}

/// The HTTP library does not tell why it cannot listen; this does. 0 = it can.
int error_of_listening(const Bind& b)
{
    const int fd = socket(b.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (b.address.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    const bool good = bind(fd, b.generic(), b.size) == 0 && listen(fd, 1) == 0;
    const int err = good ? 0 : errno;
    close(fd);
    return err;
}

void call(const Bind& b)
{
    const int fd = socket(b.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    static_cast<void>(connect(fd, b.generic(), b.size));
    close(fd);
}

} // namespace

Result<std::string> metrics_address(const std::string& text)
{
    const std::string full = text.find(':') == std::string::npos ? "127.0.0.1:" + text : text;
    if (!parse(full))
        return Error{"bad address", "'" + text + "'", 0,
                     "want PORT, ADDR:PORT or [ADDR]:PORT, such as 9435 or [::1]:9435"};
    return full;
}

Result<std::unique_ptr<Exporter>> Exporter::open(const std::string& address)
{
    const auto bind = parse(address);
    const auto failure = [&](int err, const char* remedy = "name another with --metrics") {
        return Error{"cannot serve metrics on", address, err, remedy};
    };
    if (!bind)
        return failure(EINVAL);
    if (const int err = error_of_listening(*bind); err != 0)
        return failure(err);
    std::unique_ptr<Exporter> e(new Exporter);
    e->address_ = bind->host;
    try {
        const SignalsBlocked here;
        e->server_ = std::make_unique<prometheus::Exposer>(address);
        e->server_->RegisterCollectable(e->mailbox_);
    } catch (const std::exception&) { // Debian 12 builds civetweb without IPv6
        return bind->address.ss_family == AF_INET6
                   ? failure(EAFNOSUPPORT, "civetweb is built without IPv6: name an IPv4 address")
                   : failure(0);
    }
    return e;
}

Exporter::~Exporter()
{
    mailbox_->close();
    // civetweb looks whether it shall end when somebody calls, else every 2 s: so call.
    const auto here = parse(fmt::format("{}:{}", address_, port()));
    auto end = std::async(std::launch::async, [this] { server_.reset(); });
    while (end.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready)
        if (here)
            call(*here);
}

int Exporter::port() const
{
    const auto ports = server_ ? server_->GetListeningPorts() : std::vector<int>();
    return ports.empty() ? 0 : ports.front();
}

std::string Exporter::url() const
{
    return fmt::format("http://{}:{}/metrics", address_, port());
}

std::vector<prometheus::MetricFamily> Exporter::Mailbox::Collect() const
{
    std::unique_lock lock(mutex_);
    asked_ = true;
    const unsigned before = answers_;
    answered_.wait_for(lock, patience, [&] { return closed_ || answers_ != before; });
    return families_;
}

bool Exporter::Mailbox::asked() const
{
    const std::lock_guard lock(mutex_);
    return asked_;
}

void Exporter::Mailbox::answer(std::vector<prometheus::MetricFamily> families)
{
    const std::lock_guard lock(mutex_);
    families_ = std::move(families);
    asked_ = false;
    answers_++;
    answered_.notify_all();
}

void Exporter::Mailbox::close()
{
    const std::lock_guard lock(mutex_);
    closed_ = true;
    answered_.notify_all();
}

} // namespace tcpsaga
