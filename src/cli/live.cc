// SPDX-License-Identifier: BSD-2-Clause
#include "live.h"

#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <functional>

#include "looker.h"
#include "notify.h"
#include "privileges.h"
#include "say.h"
#include "tcpsaga/audit.h"
#include "tcpsaga/correlator.h"
#include "tcpsaga/kallsyms.h"
#include "tcpsaga/present.h"
#include "tcpsaga/snapshot.h"
#include "tcpsaga/tracer.h"

namespace tcpsaga {
namespace {

// A person sees a line within 100 ms: this, and the write. After silence the first record wakes us.
constexpr int poll_ms = 50;
constexpr int idle_poll_ms = 200;
constexpr int unexplained_code = 4;
constexpr std::uint64_t listener_poll_ms = 200;

// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables): all a signal handler reaches
std::atomic<bool> stop_asked;
std::atomic<bool> reopen_asked;
std::atomic<bool> summary_asked;
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)

void on_signal(int number)
{
    (number == SIGHUP ? reopen_asked : number == SIGUSR1 ? summary_asked : stop_asked) = true;
}

void catch_signals()
{
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
        sigaction(number, &action, nullptr);
    signal(SIGPIPE, SIG_IGN); // write() tells
}

std::int64_t now_ns(clockid_t clock)
{
    timespec t{};
    clock_gettime(clock, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

PresentOptions present_options(const Options& o, const Output& out)
{
    PresentOptions p;
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    p.host = host.data();
    p.utc_offset_ns = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    p.zone_offset_s = local.tm_gmtoff;
    p.color = out.is_terminal() && std::getenv("NO_COLOR") == nullptr;
    p.kinds = o.kinds;
    p.states = o.states;
    if (o.command == Command::life)
        p.kinds = {"close"};
    return p;
}

std::unique_ptr<Sink> make_presenter(const Options& o, Output& out)
{
    const auto options = present_options(o, out);
    if (o.json)
        return make_json(out, options);
    return o.command == Command::life ? make_life(out, options) : make_trace(out, options);
}

/// Stops passing events on once --count lines are out.
class Limit : public Sink {
public:
    Limit(Sink& next, const Output& out, std::optional<std::uint64_t> most)
        : next_(next), out_(out), most_(most)
    {
    }
    [[nodiscard]] bool reached() const { return most_ && out_.lines() >= *most_; }
    void on_event(const Event& e) override
    {
        if (!reached())
            next_.on_event(e);
    }

private:
    Sink& next_;
    const Output& out_;
    std::optional<std::uint64_t> most_;
};

/// Adds to connects that found no port what the ports are used for. Looks at most once a second
/// for each destination.
class PortCounter : public Sink {
public:
    PortCounter(Sink& next, Looker& looker) : next_(next), looker_(looker) {}
    void on_event(const Event& e) override
    {
        const auto* error = std::get_if<event::ConnectError>(&e.what);
        if (error == nullptr || error->err != EADDRNOTAVAIL)
            return next_.on_event(e);
        Event more = e;
        more.what = event::ConnectError{error->err, use_of(*e.conn, e.ts_ns)};
        next_.on_event(more);
    }

private:
    struct Look {
        std::uint64_t ts_ns = 0;
        std::optional<event::PortUse> use;
    };
    std::optional<event::PortUse> use_of(const Connection& c, std::uint64_t ts_ns)
    {
        constexpr std::size_t most = 1024;
        constexpr std::uint64_t second = 1'000'000'000;
        if (looks_.size() > most)
            looks_.clear();
        const auto [it, is_new] = looks_.try_emplace({c.tuple.netns, c.tuple.remote});
        if (is_new || ts_ns > it->second.ts_ns + second)
            it->second = {ts_ns, looker_.ports(c.tuple.netns, c.tuple.remote)};
        return it->second.use;
    }

    Sink& next_;
    Looker& looker_;
    std::map<std::pair<std::uint32_t, Endpoint>, Look> looks_;
};

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

std::string millis(const Histogram& h)
{
    const auto ms = [](std::uint64_t us) { return static_cast<double>(us) / 1000; };
    return fmt::format("p50 {:.3f} p90 {:.3f} p99 {:.3f} max {:.3f} ms", ms(h.percentile(50)),
                       ms(h.percentile(90)), ms(h.percentile(99)), ms(h.max()));
}

/// The busiest first, and not more than fit a screen.
void tell_listeners(std::vector<event::ListenerSummary> listeners)
{
    constexpr std::size_t most = 10;
    std::erase_if(listeners, [](const auto& l) { return l.births == 0; });
    std::ranges::sort(listeners, std::greater{}, &event::ListenerSummary::births);
    for (std::size_t i = 0; i < std::min(listeners.size(), most); i++) {
        const event::ListenerSummary& l = listeners[i];
        std::string depth;
        if (l.depth_known())
            depth = fmt::format(", queue up to {} of {}", l.acceptq_high, l.acceptq_max);
        say("listener {}:{}: {} accepted of {}{}; handshake {}; accept wait {}",
            to_string(l.local.addr), l.local.port, l.accepts, l.births, depth,
            millis(l.handshake_us), millis(l.accept_wait_us));
    }
    if (listeners.size() > most)
        say("and {} more listeners", listeners.size() - most);
}

void tell_summary(const event::Summary& s, const Plan& plan)
{
    std::string without;
    for (const Choice& c : plan.choices)
        if (c.taken == nullptr && !c.off)
            without += (without.empty() ? "" : ", ") + std::string(c.fact->name);
    if (!without.empty())
        say("without {}", without);
    say("{} opened, {} accepted, {} closed, {} still open", s.opens, s.accepts, s.closes, s.alive);
    for (const event::TimeWaitGroup& g : s.time_waits)
        say("{} TIME_WAIT {} {}", g.n, g.role == Role::server ? "of port" : "to",
            g.role == Role::server ? std::to_string(g.end.port)
                                   : fmt::format("{}:{}", to_string(g.end.addr), g.end.port));
    tell_listeners(s.listeners);
    std::size_t agree = 0;
    for (const event::AuditRow& row : s.audit) {
        agree += row.kernel == row.seen ? 1 : 0;
        if (row.kernel != row.seen)
            say("audit: netns {}: {}: the kernel counted {}, seen {} ({})", row.netns, row.counter,
                row.kernel, row.seen, row.why.empty() ? "unexplained" : row.why);
    }
    say("audit: {} of {} counters agree with the kernel's", agree, s.audit.size());
    if (s.lost() == 0)
        say("{} events, 0 lost", s.events);
    else
        say("{} events, {} lost (ring {}, table {}, output {}, missed {})", s.events, s.lost(),
            s.lost_ring, s.lost_table, s.lost_output, s.lost_missed);
}

/// The parts of a running trace, wired.
struct Session {
    const Options& options;
    const Plan& plan;
    Tracer& tracer;
    const KernelProber& kernel;
    Looker& looker;
    CounterReading at_start;
    Output& out;
    std::unique_ptr<Sink> presenter = make_presenter(options, out);
    KernelSymbols symbols{};
    Limit limit{*presenter, out, options.count};
    PortCounter port_counter{limit, looker};
    Correlator correlator{correlator_config(), port_counter};
    KernelLosses told{};
    bool told_blind = false;
    bool misses_uncounted = !tracer.counts_misses(); // asked while attached
    std::uint64_t polled_at = now();
    std::uint64_t summarized_at = now();
    std::uint64_t looked_for_stuck = now();
    std::uint64_t looked_for_losses = 0;
    std::uint64_t last_record = now();
    std::uint64_t records = 0;

    static std::uint64_t now() { return static_cast<std::uint64_t>(now_ns(CLOCK_MONOTONIC)); }

    [[nodiscard]] Correlator::Config correlator_config()
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
        c.place_of = [this](std::uint64_t address) { return symbols.place_of(address); };
        return c;
    }

    [[nodiscard]] bool finished() const
    {
        return stop_asked || limit.reached() || out.health() != Output::Health::good;
    }

    Status turn(int timeout_ms)
    {
        const std::uint64_t before = records;
        const Tracer::OnRecord on_record = [this](std::span<const std::byte> bytes) {
            records++;
            correlator.consume(bytes);
            return !limit.reached() && out.health() == Output::Health::good;
        };
        auto status = tracer.poll(timeout_ms, on_record);
        correlator.tell_held_back(now());
        poll_listeners(false);
        tell_stuck();
        if (records != before)
            last_record = now();
        tell_losses(timeout_ms == 0);
        tell_blindness();
        out.flush();
        out.check_reader();
        return status;
    }

    /// Shorter while records may wait that woke nobody (bpf/record.bpf.h).
    [[nodiscard]] int wait_ms() const
    {
        constexpr std::uint64_t quiet_ns = 200'000'000;
        const bool quiet = now() - last_record > quiet_ns;
        return quiet && !options.duration_s && !options.summary_s ? idle_poll_ms : poll_ms;
    }

    void tell_blindness()
    {
        if (looker.lost() && !std::exchange(told_blind, true))
            say("the process that looks into other network namespaces is gone: no audit, no use of "
                "ports and no polled queues from now on");
    }

    /// All connections are looked at, so not too often.
    void tell_stuck()
    {
        const auto longer = static_cast<std::uint64_t>(options.stuck_s * 1e9);
        constexpr std::uint64_t parts = 10;
        const std::uint64_t ts = now();
        if (ts - looked_for_stuck < longer / parts)
            return;
        looked_for_stuck = ts;
        correlator.tell_stuck(longer, ts);
    }

    /// The kernel is asked for each hook, so not too often.
    void tell_losses(bool at_once)
    {
        constexpr std::uint64_t second = 1'000'000'000;
        const std::uint64_t ts = now();
        if (!at_once && ts - looked_for_losses < second)
            return;
        looked_for_losses = ts;
        const KernelLosses lost = tracer.losses();
        correlator.lost(lost.ring - told.ring, event::LostWhere::ring, ts);
        correlator.lost(lost.missed - told.missed, event::LostWhere::missed, ts);
        correlator.tell_evictions(ts);
        told = lost;
    }

    Status run()
    {
        const std::int64_t start = now_ns(CLOCK_MONOTONIC);
        poll_listeners(true);
        const auto over = [&] {
            return options.duration_s && static_cast<double>(now_ns(CLOCK_MONOTONIC) - start) >=
                                             *options.duration_s * 1e9;
        };
        while (!finished() && !over()) {
            if (auto status = turn(wait_ms()); !status)
                return status;
            if (reopen_asked.exchange(false))
                if (const auto status = out.reopen(); !status)
                    say("{}", status.error().message());
            if (summary_asked.exchange(false) || summary_is_due())
                tell_summary(summarize(false), plan);
        }
        return Nothing{};
    }

    /// Sockets of whose start no hook told.
    void adopt_sockets()
    {
        const auto sockets = read_sockets(options.filter.netns, SocketDetail::plain);
        correlator.adopt(sockets, now());
    }

    [[nodiscard]] bool summary_is_due()
    {
        if (!options.summary_s ||
            static_cast<double>(now() - summarized_at) < *options.summary_s * 1e9)
            return false;
        summarized_at = now();
        return true;
    }

    /// Where no hook sees full queues: looks at the listeners' drop counters now and then.
    void poll_listeners(bool at_once)
    {
        if (plan.of(FactId::overflow_syn).hooked() || plan.of(FactId::overflow_ack).hooked())
            return;
        const std::uint64_t ts = now();
        const std::uint64_t waited_ms = (ts - polled_at) / 1'000'000;
        if (!at_once && waited_ms < listener_poll_ms)
            return;
        correlator.on_polled(looker.listeners(), ts, waited_ms);
        polled_at = ts;
    }

    /// All counts so far beside the kernel's, as an event and as the result. At the end the
    /// hooks are taken away between the two readings of the kernel's counters.
    event::Summary summarize(bool final)
    {
        CounterReading end{looker.counters(), {}};
        if (final)
            tracer.detach();
        if (out.health() == Output::Health::good)
            static_cast<void>(turn(0));
        poll_listeners(true);
        correlator.tell_held_back(UINT64_MAX);
        correlator.settle(tracer.listener_totals(), now());
        correlator.settle(tracer.netns_totals());
        correlator.settle(tracer.drop_totals(), now());
        end.after = looker.counters();
        event::Summary s = correlator.summary();
        s.final = final;
        s.audit = audit(at_start, end, correlator.seen(), audit_context(s.lost()));
        s.lost_output = out.lines_lost();
        presenter->on_event({now(), nullptr, {}, s});
        out.flush();
        s.lost_output = out.lines_lost(); // with what that flush lost
        return s;
    }

    [[nodiscard]] AuditContext audit_context(std::uint64_t lost) const
    {
        AuditContext context;
        const Filter& f = options.filter;
        context.lost = lost;
        context.misses_uncounted = misses_uncounted;
        context.filtered = f.family != 0 || !f.ports.empty() || !f.lports.empty() ||
                           !f.rports.empty() || !f.cidrs.empty() || f.cgroup != 0;
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

    /// The last line, and the exit code.
    int finish()
    {
        const event::Summary s = summarize(true);
        if (out.health() == Output::Health::closed)
            return 0;
        tell_summary(s, plan);
        if (out.health() == Output::Health::failed)
            return fail(out.error());
        const bool bad = std::ranges::any_of(s.audit, &event::AuditRow::unexplained);
        return options.strict_audit && bad ? unexplained_code : 0;
    }
};

Result<std::unique_ptr<Output>> open_output(const std::string& path)
{
    return path.empty() ? std::make_unique<Output>() : Output::open(path);
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
                                 options.btf, untold_states(options)},
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

} // namespace

int run_live(const Options& options)
{
    if (const auto status = check_privileges(); !status)
        return fail(status.error());
    auto out = open_output(options.output);
    if (!out)
        return fail(out.error());
    catch_signals();
    Looker looker(options.filter.netns);
    if (wants_other_namespaces(options) && has_capability(CAP_SYS_PTRACE))
        if (const auto status = looker.separate(); !status) // early: it inherits next to nothing
            return fail(status.error());
    KernelProber kernel(options.btf);
    if (const auto status = kernel.can_run(); !status)
        return fail(status.error());
    CounterReading counters{looker.counters(), {}};
    if (options.filter.cgroup != 0 && !kernel.has_member("sock", "sk_cgrp_data"))
        return fail(Error{"cannot filter by", "--cgroup", 0,
                          "this kernel was built without CONFIG_SOCK_CGROUP_DATA"});
    auto tracing = start_tracing(options, kernel);
    if (!tracing)
        return fail(tracing.error());
    counters.after = looker.counters();
    Session session{options, tracing->plan, *tracing->tracer, kernel, looker, std::move(counters),
                    **out};
    if (options.snapshot)
        session.adopt_sockets();
    if (tracing->plan.of(FactId::drop).hooked())
        session.symbols.read(); // the kernel shows addresses to the privileged
    (*out)->flush();            // the header, before anything happens
    tell_what_is_lost(tracing->plan);
    tell_what_is_lost(missing_for(options));
    if (const auto status = give_up_privileges(*tracing->tracer); !status)
        return fail(status.error());
    say("ready ({})", tracing->plan.title());
    notify_service("READY=1");
    if (auto status = session.run(); !status)
        return fail(status.error());
    notify_service("STOPPING=1");
    return session.finish();
}

} // namespace tcpsaga
