// SPDX-License-Identifier: BSD-2-Clause
#include <cstring>
#include <type_traits>

#include "tcpsaga/event.h"

namespace tcpsaga {
namespace {

template <std::size_t N, class Enum>
std::string_view pick(const std::array<std::string_view, N>& names, Enum value)
{
    const auto i = static_cast<std::size_t>(value);
    return i < N ? names[i] : "?";
}

struct KindName {
    std::string_view operator()(const event::Listen&) const { return "listen"; }
    std::string_view operator()(const event::Unlisten&) const { return "unlisten"; }
    std::string_view operator()(const event::BindError& e) const
    {
        return e.listening ? "listen_error" : "bind_error";
    }
    std::string_view operator()(const event::SynackTimeout&) const { return "synack_timeout"; }
    std::string_view operator()(const event::Connect&) const { return "connect"; }
    std::string_view operator()(const event::ConnectError&) const { return "connect_error"; }
    std::string_view operator()(const event::StateChange&) const { return "state"; }
    std::string_view operator()(const event::Accept&) const { return "accept"; }
    std::string_view operator()(const event::AcceptError&) const { return "accept_error"; }
    std::string_view operator()(const event::TimeWait&) const { return "time_wait"; }
    std::string_view operator()(const event::Overflow&) const { return "overflow"; }
    std::string_view operator()(const event::Reset&) const { return "reset"; }
    std::string_view operator()(const event::Retransmit&) const { return "retransmit"; }
    std::string_view operator()(const event::Drop&) const { return "drop"; }
    std::string_view operator()(const event::Close&) const { return "close"; }
    std::string_view operator()(const event::Stuck&) const { return "stuck"; }
    std::string_view operator()(const event::Lost&) const { return "lost"; }
    std::string_view operator()(const event::Summary&) const { return "summary"; }
};

} // namespace

std::string_view name_of(State s)
{
    static constexpr std::array<std::string_view, 13> names{
        "?",     "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",   "TIME_WAIT",
        "CLOSE", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",   "CLOSING",   "NEW_SYN_RECV"};
    return pick(names, s);
}

std::string_view kind_of(const Event& e)
{
    return std::visit(KindName{}, e.what);
}

std::string_view name_of(event::End e)
{
    static constexpr std::array<std::string_view, 9> names{
        "fin",         "rst_sent", "rst_received", "timeout",       "refused",
        "unreachable", "aborted",  "process_exit", "never_accepted"};
    return pick(names, e);
}

std::string_view name_of(event::LostWhere w)
{
    static constexpr std::array<std::string_view, 5> names{"ring", "table", "output", "missed",
                                                           "recording"};
    return pick(names, w);
}

std::string_view name_of(event::Queue q)
{
    return q == event::Queue::syn ? "syn" : "accept";
}

std::string_view name_of(event::Stage s)
{
    return s == event::Stage::syn ? "syn" : "ack";
}

std::string_view name_of(event::Action a)
{
    static constexpr std::array<std::string_view, 3> names{"drop", "cookie", "reset"};
    return pick(names, a);
}

std::string_view name_of(ClosedBy c)
{
    static constexpr std::array<std::string_view, 4> names{"", "local", "remote", "both"};
    return pick(names, c);
}

std::string_view name_of(Role r)
{
    static constexpr std::array<std::string_view, 3> names{"", "client", "server"};
    return pick(names, r);
}

std::string_view name_of(PidFrom p)
{
    static constexpr std::array<std::string_view, 6> names{"",        "task",     "accept",
                                                           "connect", "snapshot", "listener"};
    return pick(names, p);
}

std::string_view name_of(event::TimeWaitEnd w)
{
    static constexpr std::array<std::string_view, 6> names{"",      "expired", "reused",
                                                           "reset", "purged",  "overflow"};
    return pick(names, w);
}

std::string_view name_of(event::UnlistenWhy w)
{
    return w == event::UnlistenWhy::process_exit ? "process_exit" : "closed";
}

std::string_view name_of(event::Retransmitted r)
{
    static constexpr std::array<std::string_view, 4> names{"syn", "synack", "data", "fin"};
    return pick(names, r);
}

std::string errno_name(int err)
{
    const char* name = strerrorname_np(err);
    return name != nullptr ? name : "E" + std::to_string(err);
}

std::string_view Process::name() const
{
    return {comm.data(), strnlen(comm.data(), comm.size())};
}

} // namespace tcpsaga
