// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/filter.h"

#include <algorithm>
#include <span>

namespace tcpsaga {
namespace {

bool has(const std::vector<std::uint16_t>& list, std::uint16_t port)
{
    return std::ranges::find(list, port) != list.end();
}

std::uint32_t fill(const std::vector<std::uint16_t>& from, std::span<std::uint16_t> to)
{
    std::ranges::copy(from, to.begin());
    return static_cast<std::uint32_t>(from.size());
}

Error contradiction(std::string what)
{
    return {"nothing can pass", std::move(what), 0, "drop one of the two"};
}

Status check_size(std::string_view option, std::size_t have, std::size_t most)
{
    if (have <= most)
        return Nothing{};
    return Error{"too many values for", std::string(option), 0,
                 "at most " + std::to_string(most) + " fit the kernel's filter"};
}

/// --port asks for one end, --lport/--rport name theirs: with both of them given, one
/// must be among the ports.
bool ports_can_meet(const Filter& f)
{
    if (f.ports.empty() || f.lports.empty() || f.rports.empty())
        return true;
    const auto wanted = [&](std::uint16_t p) { return has(f.ports, p); };
    return std::ranges::any_of(f.lports, wanted) || std::ranges::any_of(f.rports, wanted);
}

} // namespace

// NOLINTBEGIN(misc-no-recursion): `also` is one level deep

bool Filter::passes(const Tuple& t, int of_family, bool port_pending) const
{
    if (family != 0 && family != of_family)
        return false;
    if (!port_pending && !ports_pass(t))
        return false;
    if (!netns.empty() && std::ranges::find(netns, t.netns) == netns.end())
        return false;
    const bool inside = cidrs.empty() || std::ranges::any_of(cidrs, [&](const Cidr& c) {
                            return c.contains(t.local.addr) || c.contains(t.remote.addr);
                        });
    return inside && std::ranges::all_of(also, [&](const Filter& f) {
               return f.passes(t, of_family, port_pending);
           });
}

bool Filter::ports_pass(const Tuple& t) const
{
    if (!ports.empty() && !has(ports, t.local.port) && !has(ports, t.remote.port))
        return false;
    if (!lports.empty() && !has(lports, t.local.port))
        return false;
    return rports.empty() || has(rports, t.remote.port);
}

bool Filter::asks_for_process() const
{
    return !pids.empty() || !comms.empty() || std::ranges::any_of(also, &Filter::asks_for_process);
}

bool Filter::asks_for_ends() const
{
    return family != 0 || !ports.empty() || !lports.empty() || !rports.empty() || !cidrs.empty() ||
           std::ranges::any_of(also, &Filter::asks_for_ends);
}

bool Filter::process_matches(std::uint32_t pid, std::string_view comm) const
{
    const bool pid_ok = pids.empty() || std::ranges::find(pids, pid) != pids.end();
    const bool comm_ok = comms.empty() || std::ranges::find(comms, comm) != comms.end();
    return pid_ok && comm_ok &&
           std::ranges::all_of(also, [&](const Filter& f) { return f.process_matches(pid, comm); });
}

// NOLINTEND(misc-no-recursion)

ts_filter Filter::for_kernel() const
{
    ts_filter k{};
    k.family = static_cast<__u8>(family);
    k.n_ports = fill(ports, k.ports);
    k.n_lports = fill(lports, k.lports);
    k.n_rports = fill(rports, k.rports);
    k.cgroup = cgroup;
    k.n_netns = static_cast<__u32>(netns.size());
    std::ranges::copy(netns, k.netns);
    k.n_cidrs = static_cast<__u32>(cidrs.size());
    for (std::size_t i = 0; i < cidrs.size(); i++) {
        std::memcpy(k.cidrs[i].addr, cidrs[i].addr.bytes.data(), 16);
        std::memcpy(k.cidrs[i].mask, cidrs[i].mask.bytes.data(), 16);
    }
    return k;
}

Status check(const Filter& f)
{
    for (auto status : {check_size("--port", f.ports.size(), TCPSAGA_MAX_PORTS),
                        check_size("--lport", f.lports.size(), TCPSAGA_MAX_PORTS),
                        check_size("--rport", f.rports.size(), TCPSAGA_MAX_PORTS),
                        check_size("--addr", f.cidrs.size(), TCPSAGA_MAX_CIDRS),
                        check_size("--netns", f.netns.size(), TCPSAGA_MAX_NETNS)})
        if (!status)
            return status;
    for (const std::string& comm : f.comms)
        if (comm.size() >= TCPSAGA_COMM_LEN)
            return Error{"no process is called", "'" + comm + "'", 0,
                         "the kernel keeps 15 bytes of a name: shorten --comm"};
    if (!ports_can_meet(f))
        return contradiction("--port with these --lport and --rport");
    const auto wrong_family = [&](const Cidr& c) {
        // A short prefix such as ::/0 spans both families.
        const bool v4_inside = c.contains(Cidr(*parse_cidr("0.0.0.0/0")).addr) || c.is_v4();
        return (f.family == 4 && !v4_inside) || (f.family == 6 && c.is_v4());
    };
    if (f.family != 0 && !f.cidrs.empty() && std::ranges::all_of(f.cidrs, wrong_family))
        return contradiction(f.family == 4 ? "-4 with an IPv6 --addr" : "-6 with an IPv4 --addr");
    return Nothing{};
}

} // namespace tcpsaga
