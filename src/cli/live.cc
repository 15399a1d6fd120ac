// SPDX-License-Identifier: BSD-2-Clause
#include "live.h"

#include <linux/capability.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <future>
#include <set>

#include "doctor.h"
#include "exporter.h"
#include "fleet/host_text.h"
#include "fleet/place.h"
#include "heap.h"
#include "looker.h"
#include "notify.h"
#include "open_output.h"
#include "origin.h"
#include "player.h"
#include "poll_pace.h"
#include "privileges.h"
#include "progress.h"
#include "say.h"
#include "summary_text.h"
#include "tcpsaga/cgroups.h"
#include "tcpsaga/clock.h"
#include "tcpsaga/kallsyms.h"
#include "tcpsaga/metrics.h"
#include "tcpsaga/process_info.h"
#include "tcpsaga/recording.h"
#include "tcpsaga/settings.h"
#include "tcpsaga/snapshot.h"
#include "tcpsaga/tracer.h"
#include "top.h"

namespace tcpsaga {
namespace {

// A person sees a line within 100 ms: this, and the write. After silence the first record wakes us.
constexpr int poll_ms = 50;
constexpr int idle_poll_ms = 500;
constexpr int asked_poll_ms = 200; // where others than the kernel may ask for something
constexpr int unexplained_code = 4;

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

/// record prints nothing.
class Nobody : public Sink {
    void on_event(const Event&) override {}
};

/// Tells a carrier of lines what host they are of, and how it is set.
class Announcer : public Sink {
public:
    Announcer(std::unique_ptr<Sink> next, Carrier& carrier, const Origin& from)
        : next_(std::move(next)), carrier_(carrier), from_(from)
    {
        carrier_.about_host(fleet::host_text(from_, {}));
    }
    void on_event(const Event& e) override { next_->on_event(e); }
    void on_settings(const Settings& s) override
    {
        carrier_.about_host(fleet::host_text(from_, s));
        next_->on_settings(s);
    }
    [[nodiscard]] const Sink& next() const { return *next_; }

private:
    std::unique_ptr<Sink> next_;
    Carrier& carrier_;
    const Origin& from_;
};

std::unique_ptr<Sink> presenter_for(const Options& o, const Origin& origin, Output& out,
                                    const Whereabouts& whereabouts)
{
    if (o.command == Command::record)
        return std::make_unique<Nobody>();
    auto presenter = make_presenter(o, origin, out, &whereabouts);
    if (out.carrier() != nullptr)
        return std::make_unique<Announcer>(std::move(presenter), *out.carrier(), origin);
    return presenter;
}

/// Judged at the end, here or from the recording.
bool asks_for_settings(const Options& o)
{
    return !o.record.empty() || o.view == Command::doctor || fleet::is_place(o.output);
}

/// Looks at processes whose queue is full, while it is.
class FullQueues : public Sink {
public:
    FullQueues(Sink& next, Looker& looker) : next_(next), looker_(looker) {}
    void on_event(const Event& e) override
    {
        if (std::holds_alternative<event::Overflow>(e.what) && e.actor.known())
            looker_.look_at(e.actor.pid, e.ts_ns);
        next_.on_event(e);
    }
    void on_settings(const Settings& s) override { next_.on_settings(s); }

private:
    Sink& next_;
    Looker& looker_;
};

/// The parts of a running trace, wired.
struct Session {
    const Options& options;
    const Plan& plan;
    Tracer& tracer;
    const Origin& origin;
    Looker& looker;
    Output& out;
    RecordingWriter* tape;        ///< null: not asked for
    Exporter* exporter = nullptr; ///< null: no metrics, or not yet
    Whereabouts whereabouts{};
    std::unique_ptr<Sink> presenter = presenter_for(options, origin, out, whereabouts);
    Top* top = dynamic_cast<Top*>(presenter.get()); ///< null: another view
    FullQueues full_queues{*presenter, looker};
    Sink& uncounted = asks_for_settings(options) ? static_cast<Sink&>(full_queues) : *presenter;
    Metrics metrics{uncounted};
    KernelSymbols symbols{};
    NetnsNames netns_names{};
    Player player{origin,     options.metrics.empty() ? uncounted : metrics,
                  out,        options.count,
                  look_ups(), &whereabouts};
    KernelLosses told{};
    std::uint64_t told_dropped = 0; // lines
    bool told_blind = false;
    PollPace pace{now()};
    std::uint64_t summarized_at = now();
    std::uint64_t looked_for_stuck = now();
    std::uint64_t looked_for_losses = 0;
    std::uint64_t last_record = now();
    std::uint64_t records = 0;
    std::uint64_t taped_at = now();
    Progress progress{};

    static std::uint64_t now() { return static_cast<std::uint64_t>(now_ns(CLOCK_MONOTONIC)); }

    /// What the correlator is told is told to the recording, too.
    template <class Input>
    void tell(const Input& i)
    {
        if (player.play(i) && tape != nullptr)
            tape->write(i);
    }

    /// Answers go to the recording before the input that asks.
    [[nodiscard]] LookUps look_ups()
    {
        return {[this](std::uint64_t address) {
                    std::string name = symbols.place_of(address);
                    if (tape != nullptr)
                        tape->write(input::Place{address, name});
                    return name;
                },
                [this](std::uint32_t netns, const Endpoint& destination) {
                    auto use = looker.ports(netns, destination);
                    if (tape != nullptr)
                        tape->write(input::Ports{netns, destination, use});
                    return use;
                },
                [this](const Process& p, std::uint64_t ts_ns) {
                    Home home = find_home(p.pid);
                    if (tape != nullptr)
                        tape->write(input::ProcessHome{p, home, ts_ns});
                    return home;
                },
                [this](std::uint32_t inode, std::uint64_t ts_ns) {
                    std::string name = netns_names.given(inode, ts_ns);
                    if (tape != nullptr)
                        tape->write(input::NetnsName{inode, name, ts_ns});
                    return name;
                },
                [this](const Tuple& own) {
                    const auto other = looker.other_end(own, now());
                    if (tape != nullptr && other)
                        tape->write(input::Translated{own, *other});
                    return other;
                }};
    }

    [[nodiscard]] bool finished() const
    {
        return stop_asked || player.full() || (top != nullptr && top->over()) ||
               out.health() != Output::Health::good || tape_failed();
    }

    [[nodiscard]] bool tape_failed() const { return tape != nullptr && tape->failed(); }

    Status turn(int timeout_ms)
    {
        const bool at_once = timeout_ms == 0;
        const std::uint64_t before = records;
        const Tracer::OnRecord on_record = [this](std::span<const std::byte> bytes) {
            records++;
            tell(input::Record{bytes});
            return !player.full() && out.health() == Output::Health::good && !tape_failed();
        };
        if (timeout_ms > 0 && out.is_behind()) {
            out.catch_up(tracer.ring_fd(), std::chrono::milliseconds(timeout_ms));
            timeout_ms = 0;
        }
        auto status = tracer.poll(timeout_ms, on_record);
        tell(input::HeldBack{now()});
        poll_listeners(false);
        tell_stuck();
        if (records != before)
            last_record = now();
        tell_losses(at_once);
        tell_blindness();
        out.flush();
        out.check_reader();
        if (const std::string news = out.take_news(); !news.empty())
            say("{}", news);
        if (tape != nullptr)
            turn_tape();
        if (top != nullptr)
            turn_top();
        return status;
    }

    /// Shorter while records may wait that woke nobody (bpf/record.bpf.h).
    [[nodiscard]] int wait_ms() const
    {
        constexpr std::uint64_t quiet_ns = 200'000'000;
        const bool quiet = now() - last_record > quiet_ns;
        if (!quiet || options.duration_s || options.summary_s)
            return poll_ms;
        return exporter != nullptr || top != nullptr || pace.moving() ? asked_poll_ms
                                                                      : idle_poll_ms;
    }

    void tell_blindness()
    {
        if (looker.lost() && !std::exchange(told_blind, true))
            say("the process that looks into other network namespaces is gone: no audit, no use of "
                "ports, no polled queues and no settings from now on");
    }

    /// No more than a second is lost when this process is.
    void turn_tape()
    {
        constexpr std::uint64_t second = 1'000'000'000;
        if (now() - taped_at < second)
            return;
        taped_at = now();
        tape->flush();
        if (options.command == Command::record)
            progress.show(fmt::format("{} records, {} bytes, {} lost", tape->records(),
                                      tape->bytes(), told.ring + told.missed));
    }

    void turn_top()
    {
        const auto wants = top->wants(now());
        if (wants == Top::Wants::nothing)
            return;
        if (wants == Top::Wants::summary) // what the rate limit held back
            tell(input::Totals{tracer.listener_totals(), {}, {}, now()});
        player.for_each_connection([this](const Connection& c) { top->see(c); });
        if (wants == Top::Wants::summary)
            tell(input::Summarize{now(), false, {}});
        else
            top->end_look();
    }

    /// All connections are looked at, so not too often.
    void tell_stuck(bool at_once = false)
    {
        const auto longer =
            static_cast<std::uint64_t>(options.stuck_s.value_or(stuck_s_of(options.command)) * 1e9);
        constexpr std::uint64_t parts = 10;
        const std::uint64_t ts = now();
        if (!at_once && ts - looked_for_stuck < longer / parts)
            return;
        looked_for_stuck = ts;
        tell(input::Stuck{longer, ts});
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
        tell(input::Lost{lost.ring - told.ring, event::LostWhere::ring, ts});
        tell(input::Lost{lost.missed - told.missed, event::LostWhere::missed, ts});
        tell(input::Evictions{ts});
        told = lost;
        if (out.health() == Output::Health::good && out.has_room()) {
            const std::uint64_t dropped = out.lines_lost();
            player.play(input::Lost{dropped - told_dropped, event::LostWhere::output,
                                    ts}); // the recording has it all
            told_dropped = dropped;
        }
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
            const bool asked = summary_asked.exchange(false) || summary_is_due();
            if (asked && top == nullptr) // top has no place for it
                summarize(false);
            if (exporter != nullptr && exporter->asked())
                answer_scrape();
        }
        return Nothing{};
    }

    /// Sockets of whose start no hook told.
    void adopt_sockets(const SnapshotReader& reader)
    {
        auto sockets = reader.read(options.filter.netns, SocketDetail::plain);
        keep_of_cgroup(sockets);
        tell(input::Present{std::move(sockets), now()});
    }

    /// What was looked at has not passed the kernel's filter. Small sockets, of which the kernel
    /// does not tell a cgroup, go.
    template <class Row>
    void keep_of_cgroup(std::vector<Row>& rows) const
    {
        if (options.filter.cgroup == 0)
            return;
        const auto wanted = cgroups_below(options.cgroup_folder);
        std::erase_if(rows, [&](const Row& row) { return !wanted.contains(row.cgroup); });
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
        if (!at_once && !pace.is_due(ts, last_record))
            return;
        auto listeners = looker.listeners();
        keep_of_cgroup(listeners);
        const std::uint64_t waited_ms = pace.looked(listeners, ts);
        tell(input::Polled{std::move(listeners), ts, waited_ms});
    }

    /// All counts so far beside the kernel's, as an event and to the person. At the end the
    /// hooks are taken away between the two readings of the kernel's counters.
    void summarize(bool final)
    {
        const CounterReading counters = look_at_counters(final);
        if (asks_for_settings(options))
            tell(input::System{looker.settings()});
        tell(input::Summarize{now(), final, counters});
        progress.clear();
        if (out.health() != Output::Health::closed)
            tell_summary(player.summary(), origin);
    }

    void answer_scrape()
    {
        const CounterReading counters = look_at_counters(false);
        exporter->publish(metrics.collect(player.reckon(counters, false), tracer.take_ring_fill()));
    }

    /// Of the kernel, with all that was seen until then told.
    CounterReading look_at_counters(bool final)
    {
        CounterReading counters{looker.counters(), {}};
        if (final)
            tracer.detach();
        if (out.health() == Output::Health::good)
            static_cast<void>(turn(0));
        tell_stuck(final);
        poll_listeners(true);
        tell(input::HeldBack{UINT64_MAX});
        tell(input::Totals{tracer.listener_totals(), tracer.netns_totals(), tracer.drop_totals(),
                           now()});
        counters.after = looker.counters();
        return counters;
    }

    /// What prints, within what tells the carrier.
    [[nodiscard]] const Sink& shown() const
    {
        const auto* announcer = dynamic_cast<const Announcer*>(presenter.get());
        return announcer != nullptr ? announcer->next() : *presenter;
    }

    /// The last lines, and the exit code.
    int finish()
    {
        summarize(true);
        if (tape != nullptr)
            tape->end();
        if (out.health() == Output::Health::failed)
            return fail(out.error());
        if (tape_failed())
            return fail(tape->status().error());
        if (out.health() == Output::Health::closed)
            return 0;
        if (tape != nullptr)
            say("{} records in {} bytes: {}", tape->records(), tape->bytes(), options.record);
        if (const std::string news = out.take_news(); out.carrier() != nullptr && !news.empty())
            say("{}", news);
        const bool bad = std::ranges::any_of(player.summary().audit, &event::AuditRow::unexplained);
        return options.strict_audit && bad ? unexplained_code : exit_code_of(shown());
    }
};

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
