// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "exporter.h"
#include "live_sinks.h"
#include "looker.h"
#include "options.h"
#include "player.h"
#include "poll_pace.h"
#include "progress.h"
#include "tcpsaga/cgroups.h"
#include "tcpsaga/clock.h"
#include "tcpsaga/kallsyms.h"
#include "tcpsaga/metrics.h"
#include "tcpsaga/process_info.h"
#include "tcpsaga/recording.h"
#include "tcpsaga/snapshot.h"
#include "tcpsaga/tracer.h"
#include "top.h"

namespace tcpsaga {

/// From here on SIGINT and SIGTERM end a session, SIGHUP has it open its output again, and SIGUSR1
/// asks for a summary.
void catch_signals();

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
    [[nodiscard]] LookUps look_ups();

    [[nodiscard]] bool finished() const;

    [[nodiscard]] bool tape_failed() const { return tape != nullptr && tape->failed(); }

    Status turn(int timeout_ms);

    /// Shorter while records may wait that woke nobody (bpf/record.bpf.h).
    [[nodiscard]] int wait_ms() const;

    void tell_blindness();

    /// No more than a second is lost when this process is.
    void turn_tape();

    void turn_top();

    /// All connections are looked at, so not too often.
    void tell_stuck(bool at_once = false);

    /// The kernel is asked for each hook, so not too often.
    void tell_losses(bool at_once);

    Status run();

    /// Sockets of whose start no hook told.
    void adopt_sockets(const SnapshotReader& reader);

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

    [[nodiscard]] bool summary_is_due();

    /// Where no hook sees full queues: looks at the listeners' drop counters now and then.
    void poll_listeners(bool at_once);

    /// All counts so far beside the kernel's, as an event and to the person. At the end the
    /// hooks are taken away between the two readings of the kernel's counters.
    void summarize(bool final);

    void answer_scrape();

    /// Of the kernel, with all that was seen until then told.
    CounterReading look_at_counters(bool final);

    /// The last lines, and the exit code.
    int finish();
};

} // namespace tcpsaga
