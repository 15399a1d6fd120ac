// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What doctor's rules share. Each is a function of its arguments alone. */
#include <fmt/format.h>

#include <string>
#include <vector>

#include "tcpsaga/finding.h"

namespace tcpsaga::rules {

using Findings = std::vector<Finding>;

// Queues of listeners.
void descriptor_limit(const Evidence& e, const Settings& s, Findings& to);
void accept_queue(const Evidence& e, const Settings& s, Findings& to);
void abort_on_overflow(const Evidence& e, const Settings& s, Findings& to);
void syn_queue(const Evidence& e, const Settings& s, Findings& to);
void not_accepting(const Evidence& e, const Settings& s, Findings& to);
// Connections that do not come to be.
void listener_died(const Evidence& e, const Settings& s, Findings& to);
void refused(const Evidence& e, const Settings& s, Findings& to);
void syn_unanswered(const Evidence& e, const Settings& s, Findings& to);
void unreachable(const Evidence& e, const Settings& s, Findings& to);
void slow_handshake(const Evidence& e, const Settings& s, Findings& to);
void port_exhaustion(const Evidence& e, const Settings& s, Findings& to);
// How they end, and what stays.
void time_wait_pile_up(const Evidence& e, const Settings& s, Findings& to);
void time_wait_overflow(const Evidence& e, const Settings& s, Findings& to);
void unread_data(const Evidence& e, const Settings& s, Findings& to);
void close_wait_leak(const Evidence& e, const Settings& s, Findings& to);
void timeouts(const Evidence& e, const Settings& s, Findings& to);

Finding about(const ListenerEvidence& l, std::string kind, const Sighting& seen);
Finding about(const DestinationEvidence& d, std::string kind, const Sighting& seen);

/// "12,345"
std::string grouped(std::uint64_t n);
/// "1 SYN", "2 SYNs"
std::string counted(std::uint64_t n, std::string_view one);
/// "0.950 ms", "12 ms", "3.0 s"
std::string time_of(std::uint64_t us);
/// "nginx (pid 12)"; "a process that is not known"
std::string who(const Process& p);
/// `sysctl -w NAME=VALUE` in that namespace, beside the present value.
Remedy sysctl(const Settings& s, std::uint32_t netns, const std::string& name,
              const std::string& want, std::string meaning);
bool is_any(const Address& a);
/// A connect to `remote` from that namespace may have met this listener.
/// What is found at a place as `cause` may be why `effect` is found there; kinds of findings.
bool may_explain(std::string_view cause, std::string_view effect);
bool may_meet(const ListenerEvidence& l, std::uint32_t netns, const Endpoint& remote);

} // namespace tcpsaga::rules
