// SPDX-License-Identifier: BSD-2-Clause
#include "session.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <utility>

#include "doctor.h"
#include "say.h"
#include "summary_text.h"

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

} // namespace

void catch_signals()
{
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
        sigaction(number, &action, nullptr);
    signal(SIGPIPE, SIG_IGN); // write() tells
}

LookUps Session::look_ups()
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

bool Session::finished() const
{
    return stop_asked || player.full() || (top != nullptr && top->over()) ||
           out.health() != Output::Health::good || tape_failed();
}

Status Session::turn(int timeout_ms)
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
    auto status = tracer.poll(timeout_ms, on_record, [this](auto bytes) { player.expect(bytes); });
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

int Session::wait_ms() const
{
    constexpr std::uint64_t quiet_ns = 200'000'000;
    const bool quiet = now() - last_record > quiet_ns;
    if (!quiet || options.duration_s || options.summary_s)
        return poll_ms;
    return exporter != nullptr || top != nullptr || pace.moving() ? asked_poll_ms : idle_poll_ms;
}

void Session::tell_blindness()
{
    if (looker.lost() && !std::exchange(told_blind, true))
        say("the process that looks into other network namespaces is gone: no audit, no use of "
            "ports, no polled queues and no settings from now on");
}

void Session::turn_tape()
{
    constexpr std::uint64_t second = 1'000'000'000;
    if (now() - taped_at < second)
        return;
    taped_at = now();
    tape->flush();
    if (options.command == Command::record)
        progress.show(fmt::format("{} records, {} bytes, {} lost", tape->records(), tape->bytes(),
                                  told.ring + told.missed));
}

void Session::turn_top()
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

void Session::tell_stuck(bool at_once)
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

void Session::tell_losses(bool at_once)
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

Status Session::run()
{
    const std::int64_t start = now_ns(CLOCK_MONOTONIC);
    poll_listeners(true);
    const auto over = [&] {
        return options.duration_s &&
               static_cast<double>(now_ns(CLOCK_MONOTONIC) - start) >= *options.duration_s * 1e9;
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

void Session::adopt_sockets(const SnapshotReader& reader)
{
    auto sockets = reader.read(options.filter.netns, SocketDetail::plain);
    keep_of_cgroup(sockets);
    tell(input::Present{std::move(sockets), now()});
}

bool Session::summary_is_due()
{
    if (!options.summary_s || static_cast<double>(now() - summarized_at) < *options.summary_s * 1e9)
        return false;
    summarized_at = now();
    return true;
}

void Session::poll_listeners(bool at_once)
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

void Session::summarize(bool final)
{
    const CounterReading counters = look_at_counters(final);
    if (asks_for_settings(options))
        tell(input::System{looker.settings()});
    tell(input::Summarize{now(), final, counters});
    progress.clear();
    if (out.health() != Output::Health::closed)
        tell_summary(player.summary(), origin);
}

void Session::answer_scrape()
{
    const CounterReading counters = look_at_counters(false);
    exporter->publish(metrics.collect(player.reckon(counters, false), tracer.take_ring_fill()));
}

CounterReading Session::look_at_counters(bool final)
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

int Session::finish()
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
    return options.strict_audit && bad ? unexplained_code : exit_code_of(printer_in(*presenter));
}

} // namespace tcpsaga
