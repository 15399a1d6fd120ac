// SPDX-License-Identifier: BSD-2-Clause
#include "looker.h"

#include <fcntl.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <type_traits>

#include "privileges.h"

namespace tcpsaga {
namespace {

enum class What : std::uint32_t { counters, listeners, ports, other_end, process, settings };

struct Request {
    What what = What::counters;
    std::uint32_t netns = 0; ///< ports
    Endpoint destination{};  ///< ports
    Tuple tuple{};           ///< other_end
    std::uint32_t owner = 0; ///< process
    std::uint64_t ts_ns = 0; ///< process, other_end
};
static_assert(std::is_trivially_copyable_v<Request>);
static_assert(std::is_trivially_copyable_v<PolledListener>);
static_assert(std::is_trivially_copyable_v<event::PortUse>);

bool send_all(int socket, const void* data, std::size_t size)
{
    const auto* from = static_cast<const char*>(data);
    while (size > 0) {
        const ssize_t n = ::send(socket, from, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        size -= static_cast<std::size_t>(n);
    }
    return true;
}

bool receive_all(int socket, void* data, std::size_t size)
{
    auto* to = static_cast<char*>(data);
    while (size > 0) {
        const ssize_t n = ::recv(socket, to, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        size -= static_cast<std::size_t>(n);
    }
    return true;
}

template <class T>
std::string bytes_of(const T* items, std::size_t count)
{
    return {reinterpret_cast<const char*>(items), count * sizeof(T)}; // NOLINT: bytes
}

template <class T>
std::vector<T> items_of(const std::string& bytes)
{
    std::vector<T> items(bytes.size() / sizeof(T));
    std::memcpy(items.data(), bytes.data(), items.size() * sizeof(T));
    return items;
}

/// "INODE COUNTER VALUE" lines.
std::string text_of(const std::map<std::uint32_t, ProcCounters>& all)
{
    std::ostringstream text;
    for (const auto& [netns, counters] : all)
        for (const auto& [name, value] : counters)
            text << netns << ' ' << name << ' ' << value << '\n';
    return text.str();
}

std::map<std::uint32_t, ProcCounters> counters_of(const std::string& text)
{
    std::map<std::uint32_t, ProcCounters> all;
    std::istringstream lines(text);
    std::uint32_t netns = 0;
    std::string name;
    for (std::uint64_t value = 0; lines >> netns >> name >> value;)
        all[netns][name] = value;
    return all;
}

std::string answer(const Request& request, const std::vector<std::uint32_t>& wanted,
                   ListenerPoll& poll, SettingsReader& settings, Conntrack& conntrack)
{
    switch (request.what) {
    case What::counters:
        return text_of(read_all_counters(wanted));
    case What::listeners: {
        const auto found = poll.look();
        return bytes_of(found.data(), found.size());
    }
    case What::ports:
        if (const auto use = look_at_ports(request.netns, request.destination))
            return bytes_of(&*use, 1);
        break;
    case What::other_end:
        if (const auto other = conntrack.other_end(request.tuple, request.ts_ns))
            return bytes_of(&*other, 1);
        break;
    case What::process:
        settings.look_at(request.owner, request.ts_ns);
        break;
    case What::settings:
        settings.read();
        return to_json(settings.settings());
    }
    return "";
}

/// The terminal's Ctrl-C and a service's SIGTERM reach both processes; the tracer decides.
void leave_signals_to_the_tracer()
{
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
        signal(number, SIG_IGN);
}

/// What was open before is the tracer's alone: a reader of its output waits for the last writer.
void close_all_but(int socket)
{
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int standard : {0, 1, 2})
        ::dup2(null, standard);
    const auto fd = static_cast<unsigned>(socket);
    if (fd > 3)
        ::close_range(3, fd - 1, 0);
    ::close_range(fd + 1, ~0U, 0);
}

} // namespace

Looker::Looker(std::vector<std::uint32_t> wanted)
    : wanted_(wanted), poll_(wanted), settings_(std::move(wanted))
{
}

Looker::~Looker()
{
    socket_ = Fd(); // it ends at this
    if (pid_ > 0)
        ::waitpid(pid_, nullptr, 0);
}

Status Looker::separate(bool enters)
{
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return Error{"cannot make", "a socket pair", errno, ""};
    Fd ours(ends[0]);
    const Fd theirs(ends[1]);
    const int pid = ::fork();
    if (pid < 0)
        return Error{"cannot start", "the process that looks into namespaces", errno, ""};
    if (pid == 0)
        serve(theirs.get(), enters);
    socket_ = std::move(ours);
    pid_ = pid;
    return Nothing{};
}

void Looker::serve(int socket, bool enters)
{
    close_all_but(socket);
    leave_signals_to_the_tracer();
    prctl(PR_SET_NAME, "tcpsaga-look", 0, 0, 0);
    if (!(enters ? keep_only({CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_NET_ADMIN})
                 : keep_only({CAP_SYS_PTRACE})))
        ::_exit(1);
    ListenerPoll poll(wanted_); // the other one's descriptors are closed
    SettingsReader settings(wanted_);
    Conntrack conntrack;
    Request request{};
    while (receive_all(socket, &request, sizeof(request))) {
        const std::string reply = answer(request, wanted_, poll, settings, conntrack);
        const std::uint64_t size = reply.size();
        if (!send_all(socket, &size, sizeof(size)) || !send_all(socket, reply.data(), size))
            break;
    }
    ::_exit(0);
}

/// "" when the other process is gone.
std::string Looker::ask(const void* request, std::size_t size)
{
    std::uint64_t reply_size = 0;
    std::string reply;
    if (!lost_ && send_all(socket_.get(), request, size) &&
        receive_all(socket_.get(), &reply_size, sizeof(reply_size))) {
        reply.resize(reply_size);
        if (receive_all(socket_.get(), reply.data(), reply.size()))
            return reply;
    }
    lost_ = true;
    return "";
}

std::map<std::uint32_t, ProcCounters> Looker::counters()
{
    if (!socket_)
        return read_all_counters(wanted_);
    const Request request{What::counters};
    return counters_of(ask(&request, sizeof(request)));
}

std::vector<PolledListener> Looker::listeners()
{
    if (!socket_)
        return poll_.look();
    const Request request{What::listeners};
    return items_of<PolledListener>(ask(&request, sizeof(request)));
}

std::optional<event::PortUse> Looker::ports(std::uint32_t netns, const Endpoint& destination)
{
    if (!socket_)
        return look_at_ports(netns, destination);
    const Request request{What::ports, netns, destination};
    const auto found = items_of<event::PortUse>(ask(&request, sizeof(request)));
    return found.empty() ? std::nullopt : std::optional(found.front());
}

std::optional<Tuple> Looker::other_end(const Tuple& t, std::uint64_t now_ns)
{
    if (!socket_)
        return conntrack_.other_end(t, now_ns);
    Request request{What::other_end};
    request.tuple = t;
    request.ts_ns = now_ns;
    const auto found = items_of<Tuple>(ask(&request, sizeof(request)));
    return found.empty() ? std::nullopt : std::optional(found.front());
}

void Looker::look_at(std::uint32_t owner, std::uint64_t ts_ns)
{
    if (!socket_)
        return settings_.look_at(owner, ts_ns);
    Request request{What::process};
    request.owner = owner;
    request.ts_ns = ts_ns;
    ask(&request, sizeof(request));
}

Settings Looker::settings()
{
    if (!socket_) {
        settings_.read();
        return settings_.settings();
    }
    const Request request{What::settings};
    const auto found = settings_from_json(ask(&request, sizeof(request)));
    return found ? *found : Settings();
}

} // namespace tcpsaga
