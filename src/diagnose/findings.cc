// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/finding.h"

#include <algorithm>
#include <array>
#include <set>

#include "rules.h"

namespace tcpsaga {
namespace rules {
namespace {

Finding with(std::string kind, const Sighting& seen)
{
    Finding f;
    f.kind = std::move(kind);
    f.n = seen.n;
    f.first_ns = seen.first_ns;
    f.last_ns = seen.last_ns;
    f.examples.assign(seen.examples.begin(),
                      seen.examples.begin() + static_cast<std::ptrdiff_t>(seen.kept));
    return f;
}

} // namespace

Finding about(const ListenerEvidence& l, std::string kind, const Sighting& seen)
{
    Finding f = with(std::move(kind), seen);
    f.netns = l.netns;
    f.at = l.local;
    f.local = true;
    f.process = l.owner;
    return f;
}

Finding about(const DestinationEvidence& d, std::string kind, const Sighting& seen)
{
    Finding f = with(std::move(kind), seen);
    f.netns = d.netns;
    f.at = d.remote;
    f.process = d.client;
    return f;
}

std::string grouped(std::uint64_t n)
{
    std::string text = std::to_string(n);
    for (std::size_t i = text.size(); i > 3; i -= 3)
        text.insert(i - 3, ",");
    return text;
}

std::string counted(std::uint64_t n, std::string_view one)
{
    return grouped(n) + " " + std::string(one) + (n == 1 ? "" : "s");
}

std::string time_of(std::uint64_t us)
{
    const auto value = static_cast<double>(us);
    return us < 10'000      ? fmt::format("{:.3f} ms", value / 1e3)
           : us < 1'000'000 ? fmt::format("{:.0f} ms", value / 1e3)
                            : fmt::format("{:.1f} s", value / 1e6);
}

std::string who(const Process& p)
{
    return p.known() ? fmt::format("{} (pid {})", p.name(), p.pid) : "a process that is not known";
}

Remedy sysctl(const Settings& s, std::uint32_t netns, const std::string& name,
              const std::string& want, std::string meaning)
{
    const bool spaced = want.find(' ') != std::string::npos;
    return {s.enter(netns) + "sysctl -w " + name + (spaced ? "=\"" + want + "\"" : "=" + want),
            name, s.text(netns, name), want, std::move(meaning)};
}

bool is_any(const Address& a)
{
    return std::all_of(a.bytes.begin() + (a.is_v4() ? 12 : 0), a.bytes.end(),
                       [](std::uint8_t b) { return b == 0; });
}

bool may_meet(const ListenerEvidence& l, std::uint32_t netns, const Endpoint& remote)
{
    const bool addressed = l.local.addr == remote.addr || is_any(l.local.addr);
    return l.netns != 0 && l.local.port == remote.port && addressed &&
           (l.netns == netns || !is_loopback(remote.addr));
}

} // namespace rules

namespace {

using rules::Findings;

constexpr std::array all_rules{
    rules::descriptor_limit, rules::accept_queue,       rules::abort_on_overflow,
    rules::syn_queue,        rules::not_accepting,      rules::listener_died,
    rules::refused,          rules::syn_unanswered,     rules::unreachable,
    rules::slow_handshake,   rules::port_exhaustion,    rules::time_wait_pile_up,
    rules::unread_data,      rules::time_wait_overflow, rules::close_wait_leak,
    rules::timeouts,
};

/// What follows from what, at one place. "accept_queue" stands for all that begin so.
struct Effect {
    std::string_view cause, effect;
};
constexpr std::array effects{
    Effect{"descriptor_limit", "not_accepting"},
    Effect{"descriptor_limit", "abort_on_overflow"},
    Effect{"descriptor_limit", "syn_queue"},
    Effect{"descriptor_limit", "syn_unanswered"},
    Effect{"descriptor_limit", "slow_handshake"},
    Effect{"descriptor_limit", "retransmission_timeout"},
    Effect{"accept_queue", "abort_on_overflow"},
    Effect{"accept_queue", "syn_queue"},
    Effect{"accept_queue", "syn_unanswered"},
    Effect{"accept_queue", "slow_handshake"},
    Effect{"accept_queue", "retransmission_timeout"},
    Effect{"accept_queue", "refused"},
    Effect{"not_accepting", "retransmission_timeout"},
    Effect{"listener_died", "refused"},
    Effect{"listener_died", "not_accepting"},
    Effect{"syn_queue", "syn_unanswered"},
    Effect{"syn_queue", "slow_handshake"},
    Effect{"syn_unanswered", "slow_handshake"},
    Effect{"port_exhaustion", "time_wait_pile_up"},
};

bool same_place(const Finding& a, const Finding& b)
{
    return a.at.port != 0 && a.at.port == b.at.port &&
           (a.netns == b.netns || !is_loopback(b.at.addr));
}

bool explains(const Finding& cause, const Finding& effect)
{
    return &cause != &effect && same_place(cause, effect) &&
           rules::may_explain(cause.kind, effect.kind);
}

/// The first of the root causes that explains it; null: it is one itself.
const Finding* root_of(const Findings& all, const Finding& f)
{
    const Finding* root = &f;
    // Three steps are more than the table has in a row.
    for (int step = 0; step < 3; step++)
        for (const Finding& other : all)
            if (explains(other, *root)) {
                root = &other;
                break;
            }
    return root == &f ? nullptr : root;
}

} // namespace

bool rules::may_explain(std::string_view cause, std::string_view effect)
{
    return std::ranges::any_of(effects, [&](const Effect& e) {
        return cause.starts_with(e.cause) && effect.starts_with(e.effect);
    });
}

std::vector<Finding> diagnose(const Evidence& evidence, const Settings& settings)
{
    Findings found;
    for (const auto rule : all_rules)
        rule(evidence, settings, found);
    std::vector<const Finding*> roots;
    for (const Finding& f : found)
        roots.push_back(root_of(found, f));
    for (std::size_t i = 0; i < found.size(); i++)
        found[i].because = roots[i] != nullptr ? roots[i]->kind : "";

    // Behind its root cause, which ranks by harm, then by how sure it is, then by number.
    const auto rank = [](const Finding& f) { return std::tuple(f.harm, f.sure, ~f.n); };
    std::vector<std::size_t> order(found.size());
    for (std::size_t i = 0; i < order.size(); i++)
        order[i] = i;
    const auto place = [&](std::size_t i) {
        const Finding& root = roots[i] != nullptr ? *roots[i] : found[i];
        return std::tuple(rank(root), &root, roots[i] != nullptr, rank(found[i]));
    };
    std::ranges::stable_sort(order,
                             [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
    Findings ranked;
    for (const std::size_t i : order)
        ranked.push_back(found[i]);
    return ranked;
}

std::string_view name_of(Sure s)
{
    static constexpr std::array<std::string_view, 3> names{"certain", "likely", "possible"};
    return names.at(static_cast<std::size_t>(s));
}

std::string_view name_of(Harm h)
{
    static constexpr std::array<std::string_view, 3> names{"fails", "wastes", "delays"};
    return names.at(static_cast<std::size_t>(h));
}

std::string to_string(const Endpoint& e)
{
    const std::string port = e.port == 0 ? "*" : std::to_string(e.port);
    return e.addr.is_v4() ? to_string(e.addr) + ":" + port : "[" + to_string(e.addr) + "]:" + port;
}

} // namespace tcpsaga
