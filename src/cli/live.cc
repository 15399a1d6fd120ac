// SPDX-License-Identifier: BSD-2-Clause
#include "live.h"

#include <linux/capability.h>

#include <algorithm>
#include <future>

#include "exporter.h"
#include "heap.h"
#include "notify.h"
#include "open_output.h"
#include "origin.h"
#include "privileges.h"
#include "say.h"
#include "session.h"
#include "tcpsaga/process_info.h"

namespace tcpsaga {
namespace {

void tell_what_is_lost(const Plan& plan)
{
    for (const Choice& c : plan.choices) {
        if (c.loses().empty())
            continue;
        if (c.taken == nullptr)
            say("without {}{}: lost: {}", c.fact->name, c.disabled ? " (disabled)" : "", c.loses());
        else
            say("{} by {}: {}", c.fact->name, name_of(c.taken->mechanism), c.loses());
    }
}

void tell_what_is_lost(const std::vector<MissingCapability>& missing)
{
    for (const MissingCapability& m : missing)
        say("without {}: lost: {}", m.name, m.loses);
}

/// Null where no metrics are asked for.
Result<std::unique_ptr<Exporter>> open_exporter(const std::string& address)
{
    return address.empty() ? std::unique_ptr<Exporter>() : Exporter::open(address);
}

/// Null: none is asked for.
Result<std::unique_ptr<RecordingWriter>> open_tape(const Options& o)
{
    if (o.record.empty())
        return std::unique_ptr<RecordingWriter>();
    return RecordingWriter::create(o.record, o.force);
}

struct Tracing {
    Plan plan;
    std::unique_ptr<Tracer> tracer;
};

/// Changes that only `state` and `stuck` events show, where neither is asked for. The others name
/// processes, bound times, or hold what a life is made of.
std::uint32_t untold_states(const Options& o)
{
    const auto asks = [&](std::string_view kind) {
        return std::ranges::find(o.kinds, kind) != o.kinds.end();
    };
    if (!o.record.empty())
        return 0; // somebody else may ask for them later
    const bool all = o.kinds.empty() || asks("state") || asks("stuck");
    if (o.command != Command::life && all)
        return 0;
    std::uint32_t bits = 0;
    for (const State s : {State::fin_wait2, State::close_wait, State::closing})
        bits |= 1U << static_cast<unsigned>(s);
    return bits;
}

Result<Tracing> start_with(const Options& options, const KernelProber& kernel,
                           const Prober& can_attach)
{
    auto plan = choose(options.wish, can_attach);
    if (!plan)
        return plan.error();
    const Choice& state = plan->of(FactId::state);
    if (state.taken == nullptr)
        return Error{"no way to see state changes:",
                     state.rejected.empty() ? "disabled" : state.rejected.back().why, 0,
                     "see tcpsaga check"};
    auto tracer = Tracer::start({options.filter, options.ring_bytes, options.overflow_rate,
                                 untold_states(options)},
                                *plan, kernel);
    if (!tracer)
        return tracer.error();
    return Tracing{std::move(*plan), std::move(*tracer)};
}

/// Believes at first; where the kernel then refuses, tries every hook before the next start.
Result<Tracing> start_tracing(const Options& options, KernelProber& kernel)
{
    auto quick =
        start_with(options, kernel, [&](const Hook& h) { return kernel.seems_attachable(h); });
    if (quick)
        return quick;
    return start_with(options, kernel, [&](const Hook& h) { return kernel.can_attach(h); });
}

/// All of them, but on kernels before 5.19, which let nobody read a BPF map without CAP_BPF where
/// kernel.unprivileged_bpf_disabled is set. CAP_SYS_ADMIN does too, where it is all we have.
Status give_up_privileges(const Tracer& tracer)
{
    if (holds_unprivileged([&] { return tracer.can_ask(); }))
        return keep_only({});
    return has_capability(CAP_BPF) ? keep_only({CAP_BPF}) : keep_only({CAP_SYS_ADMIN});
}

/// Early: the other process inherits next to nothing.
Status separate(Looker& looker, const Options& options)
{
    const bool others = wants_other_namespaces(options);
    if ((others || asks_for_settings(options)) && has_capability(CAP_SYS_PTRACE))
        return looker.separate(others);
    return Nothing{};
}

Status can_run(const KernelProber& kernel, const Options& options)
{
    if (auto status = kernel.can_run(); !status)
        return status;
    if (options.filter.cgroup != 0 && !kernel.has_member("sock", "sk_cgrp_data"))
        return Error{"cannot filter by", "--cgroup", 0,
                     "this kernel was built without CONFIG_SOCK_CGROUP_DATA"};
    return Nothing{};
}

} // namespace

int run_live(const Options& options)
{
    if (options.view == Command::top)
        if (const int refused = refuse_top(options); refused != 0)
            return refused;
    if (const auto status = check_privileges(); !status)
        return fail(status.error());
    // Whether anybody reads standard output does not matter to record.
    auto out = open_output(options.command == Command::record ? "/dev/null" : options.output);
    if (!out)
        return fail(out.error());
    (*out)->never_wait();
    auto tape = open_tape(options);
    if (!tape)
        return fail(tape.error());
    catch_signals();
    Looker looker(options.filter.netns);
    if (const auto status = separate(looker, options); !status)
        return fail(status.error());
    use_roomy_heap();
    auto kernel = std::make_unique<KernelProber>(options.btf);
    if (const auto status = can_run(*kernel, options); !status)
        return fail(status.error());
    std::future<std::unique_ptr<SnapshotReader>> snapshot; // beside the hooks' programs
    if (options.snapshot)
        snapshot = std::async(std::launch::async,
                              [&] { return std::make_unique<SnapshotReader>(kernel.get()); });
    CounterReading counters{looker.counters(), {}};
    auto tracing = start_tracing(options, *kernel);
    if (!tracing)
        return fail(tracing.error());
    counters.after = looker.counters();
    const Origin origin =
        origin_of(options, tracing->plan, *kernel, tracing->tracer->counts_misses());
    if (*tape)
        (*tape)->begin(origin);
    Session session{options, tracing->plan, *tracing->tracer, origin, looker, **out, tape->get()};
    session.tell(input::Start{std::move(counters)});
    if (asks_for_settings(options))
        looker.settings(); // of namespaces that may be gone at the end
    if (options.snapshot)
        session.adopt_sockets(*snapshot.get());
    if (tracing->plan.of(FactId::drop).hooked())
        session.symbols.read(); // the kernel shows addresses to the privileged
    const auto missing = missing_for(options);
    if (const auto status = give_up_privileges(*tracing->tracer); !status)
        return fail(status.error());
    const auto exporter = open_exporter(options.metrics); // its threads have no privileges, either
    if (!exporter)
        return fail(exporter.error());
    session.exporter = exporter->get();
    if (Carrier* const carrier = (*out)->carrier())
        carrier->start(); // the same goes for its thread
    (*out)->flush();      // the header, before anything happens
    tell_what_is_lost(tracing->plan);
    tell_what_is_lost(missing);
    if (*exporter)
        say("metrics on {}", (*exporter)->url());
    kernel.reset(); // 9 MB
    trim_heap();
    say("ready ({})", tracing->plan.title());
    notify_service("READY=1");
    if (session.top != nullptr)
        session.top->enter();
    const auto status = session.run();
    if (session.top != nullptr)
        session.top->leave();
    if (!status)
        return fail(status.error());
    notify_service("STOPPING=1");
    return session.finish();
}

} // namespace tcpsaga
