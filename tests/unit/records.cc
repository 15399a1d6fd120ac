// SPDX-License-Identifier: BSD-2-Clause
#include "records.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace tcpsaga::testing {
namespace {

template <class T>
std::string known(std::string_view label, const std::optional<T>& us)
{
    return us ? fmt::format(" {}{}us", label, *us) : "";
}

struct Brief {
    std::string operator()(const event::Listen& e) const
    {
        return fmt::format("listen {}{}", e.backlog,
                           e.asked ? fmt::format(" asked={}", *e.asked) : "");
    }
    std::string operator()(const event::Unlisten& e) const
    {
        return fmt::format("unlisten {}", name_of(e.why));
    }
    std::string operator()(const event::BindError& e) const
    {
        return fmt::format("{}_error {}", e.listening ? "listen" : "bind", e.err);
    }
    std::string operator()(const event::SynackTimeout& e) const
    {
        return fmt::format("synack_timeout {}", e.retransmits);
    }
    std::string operator()(const event::Connect&) const { return "connect"; }
    std::string operator()(const event::ConnectError& e) const
    {
        return fmt::format("connect_error {}", e.err);
    }
    std::string operator()(const event::StateChange& e) const
    {
        return fmt::format("{}>{}{}{}", name_of(e.old_state), name_of(e.new_state), known("", e.us),
                           e.inferred ? " inferred" : "");
    }
    std::string operator()(const event::Accept& e) const
    {
        const auto queue =
            e.acceptq ? fmt::format(" queue={}/{}", *e.acceptq, e.acceptq_max.value()) : "";
        return "accept" + known("wait=", e.accept_wait_us) + known("handshake=", e.handshake_us) +
               queue;
    }
    std::string operator()(const event::AcceptError& e) const
    {
        return fmt::format("accept_error {} n={}", e.err, e.n);
    }
    std::string operator()(const event::Overflow& e) const
    {
        const std::optional<event::Stage> stage = e.stage;
        return fmt::format("overflow {}{}{} {}{} n={}", name_of(e.queue), stage ? " " : "",
                           stage ? name_of(*stage) : "", name_of(e.action),
                           e.max_syn_backlog ? " max_syn_backlog" : "", e.n);
    }
    std::string operator()(const event::TimeWait& e) const
    {
        const auto why = name_of(e.why);
        return fmt::format("time_wait{}{}{}", why.empty() ? "" : " ", why,
                           e.held_ms ? fmt::format(" {}ms", *e.held_ms) : "");
    }
    std::string operator()(const event::Reset& e) const
    {
        return fmt::format("reset {}{}{}", e.sent ? "sent" : "received",
                           e.reason.empty() ? "" : " ", e.reason);
    }
    std::string operator()(const event::Retransmit& e) const
    {
        return fmt::format("retransmit {} {} of {}{}", name_of(e.what), e.nth, e.segments,
                           e.err != 0 ? fmt::format(" err={}", e.err) : "");
    }
    std::string operator()(const event::Drop& e) const
    {
        return fmt::format("drop {} {} n={}", e.reason, e.place, e.n);
    }
    std::string operator()(const event::Close& e) const
    {
        return fmt::format("close {}{}{} tx={} rx={}", name_of(e.end), e.why.empty() ? "" : " ",
                           e.why, e.tx_bytes, e.rx_bytes);
    }
    std::string operator()(const event::Stuck& e) const
    {
        return fmt::format("stuck {} {}us", name_of(e.state), e.us);
    }
    std::string operator()(const event::Lost& e) const
    {
        return fmt::format("lost {} {}", e.n, name_of(e.where));
    }
    std::string operator()(const event::Summary&) const { return "summary"; }
};

} // namespace

std::string brief(const Event& e)
{
    return std::visit(Brief{}, e.what);
}

const Seen& Story::last(std::string_view kind) const
{
    const auto it = std::find_if(events.seen.rbegin(), events.seen.rend(),
                                 [&](const Seen& s) { return s.kind == kind; });
    if (it == events.seen.rend())
        throw std::runtime_error("no event of kind " + std::string(kind));
    return *it;
}

} // namespace tcpsaga::testing
