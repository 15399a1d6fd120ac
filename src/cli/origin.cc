// SPDX-License-Identifier: BSD-2-Clause
#include "origin.h"
#include "tcpsaga/clock.h"

#include <sys/utsname.h>

#include <ctime>

namespace tcpsaga {
namespace {

Correlator::Config config_of(const Options& options, const Plan& plan, const KernelProber& kernel)
{
    Correlator::Config c;
    c.capacity = options.max_connections;
    c.time_wait_exit_seen = plan.of(FactId::time_wait_exit).hooked();
    c.connect_error_seen = plan.of(FactId::connect_error).hooked();
    c.accept_seen = plan.of(FactId::accept).hooked();
    c.infer_births = plan.of(FactId::child).is(Mechanism::tracepoint);
    c.filter = options.filter;
    c.reset_reasons = kernel.enum_names("sk_rst_reason", "SK_RST_REASON_");
    c.drop_reasons = kernel.enum_names("skb_drop_reason", "SKB_DROP_REASON_");
    return c;
}

AuditContext audit_context(const Plan& plan, const KernelProber& kernel, bool counts_misses)
{
    AuditContext context;
    context.misses_uncounted = !counts_misses;
    const bool syn = plan.of(FactId::overflow_syn).hooked();
    const bool ack = plan.of(FactId::overflow_ack).hooked();
    if (!syn)
        context.unseen.insert({"TcpExt.TCPReqQFullDoCookies", "TcpExt.TCPReqQFullDrop"});
    if (!syn || !ack)
        context.unseen.insert("TcpExt.ListenOverflows"); // polled: some drop, which is not told
    if (syn != ack)
        context.unseen.insert("TcpExt.ListenDrops");
    if (!plan.of(FactId::child).hooked())
        context.unseen.insert("Tcp.PassiveOpens");
    context.time_wait_counted_at_end = kernel.has_member("inet_timewait_sock", "tw_kill");
    const auto of_time_wait =
        context.time_wait_counted_at_end ? FactId::time_wait_exit : FactId::time_wait;
    if (!plan.of(of_time_wait).hooked())
        context.unseen.insert("TcpExt.TW+TWKilled");
    if (!plan.of(FactId::time_wait).hooked())
        context.unseen.insert("TcpExt.TCPTimeWaitOverflow");
    if (!plan.of(FactId::reset_count).hooked())
        context.unseen.insert("Tcp.OutRsts");
    const Choice& retransmit = plan.of(FactId::retransmit);
    if (!retransmit.loses().empty() || !plan.of(FactId::retransmit_synack).hooked())
        context.unseen.insert({"Tcp.RetransSegs", "TcpExt.TCPSynRetrans"});
    return context;
}

std::vector<SeenFact> facts_of(const Plan& plan)
{
    std::vector<SeenFact> facts;
    for (const Choice& c : plan.choices)
        if (!c.off)
            facts.push_back({std::string(c.fact->name),
                             c.taken == nullptr ? "" : std::string(name_of(c.taken->mechanism)),
                             std::string(c.loses())});
    return facts;
}

} // namespace

Origin origin_of(const Options& options, const Plan& plan, const KernelProber& kernel,
                 bool counts_misses)
{
    Origin o;
    o.program = "tcpsaga " TCPSAGA_VERSION;
    o.command = name_of(options.command);
    utsname system{};
    uname(&system);
    o.host = system.nodename;
    o.kernel = system.release;
    o.machine = system.machine;
    o.title = plan.title();
    o.facts = facts_of(plan);
    const std::int64_t monotonic = now_ns(CLOCK_MONOTONIC);
    o.started_ns = static_cast<std::uint64_t>(monotonic);
    o.utc_offset_ns = now_ns(CLOCK_REALTIME) - monotonic;
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    o.zone_offset_s = local.tm_gmtoff;
    o.config = config_of(options, plan, kernel);
    o.audit = audit_context(plan, kernel, counts_misses);
    return o;
}

} // namespace tcpsaga
