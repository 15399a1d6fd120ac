// SPDX-License-Identifier: BSD-2-Clause
#include "fleet.h"

#include <atomic>
#include <csignal>
#include <unordered_map>

#include "doctor.h"
#include "fleet/intake.h"
#include "fleet/tally.h"
#include "fleet_view.h"
#include "hosts.h"
#include "notify.h"
#include "open_output.h"
#include "report.h"
#include "say.h"
#include "tcpsaga/clock.h"

namespace tcpsaga {

namespace {

using FleetClock = FleetView::Clock;
constexpr std::chrono::milliseconds busy_turn{50};
constexpr std::chrono::milliseconds idle_turn{200};

std::atomic<bool> fleet_stop_asked; // NOLINT: all a signal handler reaches

void on_fleet_signal(int)
{
    fleet_stop_asked = true;
}

void catch_fleet_signals()
{
    struct sigaction action {};
    action.sa_handler = on_fleet_signal;
    for (const int number : {SIGINT, SIGTERM})
        sigaction(number, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
}

/// One group for each view, unless another is named; what is told at the end wants all of it.
fleet::Reading reading_of(const Options& o)
{
    fleet::Reading r;
    const bool whole = o.view == Command::doctor || o.view == Command::report;
    r.group = whole ? "" : o.fleet.group.empty() ? name_of(o.view) : o.fleet.group;
    constexpr double more_s = 10; // than one end waits for the other
    constexpr int at_once_s = 5;  // nothing waits for anything
    r.ack_wait =
        std::chrono::seconds(whole ? at_once_s : static_cast<int>(o.fleet.wait_s + more_s));
    r.until_now = o.once || (whole && !o.duration_s);
    if (o.fleet.since_s)
        r.since_ns = now_ns(CLOCK_REALTIME) - static_cast<std::int64_t>(*o.fleet.since_s * 1e9);
    return r;
}

class FleetRun {
public:
    FleetRun(const Options& o, fleet::Intake& intake, Output& out)
        : o_(o), intake_(intake), out_(out),
          view_(o, out, [&intake](const std::string& host) { return intake.host_text(host); })
    {
    }

    int run()
    {
        const auto begin = FleetClock::now();
        while (!fleet_stop_asked && !over(begin) && out_.health() == Output::Health::good) {
            for (auto& d : intake_.next(busy_ ? busy_turn : idle_turn))
                take(std::move(d));
            view_.expire(FleetClock::now());
            flush();
            tell(intake_.take_news());
        }
        return finish();
    }

private:
    [[nodiscard]] bool over(FleetClock::time_point begin)
    {
        if (view_.full() ||
            (o_.duration_s &&
             std::chrono::duration<double>(FleetClock::now() - begin).count() >= *o_.duration_s))
            return true;
        return intake_.finished();
    }

    void take(std::shared_ptr<fleet::Delivery> d)
    {
        const auto id = fleet::MessageId::parse(d->id);
        if (view_.full()) {
            unfinished_.push_back(std::move(d));
        } else if (!id) {
            if (foreign_++ == 0)
                say("a foreign message on {} is passed over", d->subject);
        } else if (tally_.is_new(*id, d->coming)) {
            remember(d);
            view_.take(d->body, d, FleetClock::now());
            if (view_.full())
                unfinished_.push_back(std::move(d));
        } else if (const auto first = in_hand_[d->id].lock()) {
            first->also.push_back(std::move(d)); // its lines are not out yet
        }
    }

    void remember(const std::shared_ptr<fleet::Delivery>& d)
    {
        in_hand_[d->id] = d;
        if (in_hand_.size() < sweep_at_)
            return;
        std::erase_if(in_hand_, [](const auto& entry) { return entry.second.expired(); });
        sweep_at_ = 2 * in_hand_.size() + least_swept;
    }

    /// A message is acknowledged when its lines are out.
    void flush()
    {
        out_.flush();
        busy_ = out_.health() == Output::Health::good;
        if (busy_)
            intake_.acknowledge();
        out_.check_reader();
    }

    static void tell(const std::string& news)
    {
        if (!news.empty())
            say("{}", news);
    }

    int finish()
    {
        if (!view_.full())
            view_.end();
        flush();
        const bool good = out_.health() == Output::Health::good;
        intake_.close();
        tell(intake_.take_news());
        if (out_.health() == Output::Health::closed)
            return 0;
        tell_counts();
        if (!good)
            return fail(out_.error());
        return view_.found() ? found_code : 0;
    }

    void tell_counts() const
    {
        say("{} messages of {} hosts, {} came again, {} missing", tally_.messages(), view_.hosts(),
            tally_.again(), tally_.missing());
        for (const auto& [host, n] : tally_.missing_by_host())
            say("{} messages of {} are missing: older than what the stream keeps, or lost", n,
                host);
        if (view_.foreign() + foreign_ != 0)
            say("{} messages and {} lines are not ours, and were passed over{}", foreign_,
                view_.foreign(), view_.first_foreign().empty() ? "" : ": " + view_.first_foreign());
        tell_pairing(view_.pairing(),
                     [this](std::uint32_t host) { return view_.names().at(host); });
    }

    const Options& o_;
    fleet::Intake& intake_;
    Output& out_;
    std::vector<std::shared_ptr<fleet::Delivery>> unfinished_; ///< never acknowledged
    static constexpr std::size_t least_swept = 1024;
    std::unordered_map<std::string, std::weak_ptr<fleet::Delivery>> in_hand_; ///< by id
    std::size_t sweep_at_ = least_swept;
    FleetView view_;
    fleet::Tally tally_;
    std::uint64_t foreign_ = 0; ///< messages
    bool busy_ = false;
};

int make_fleet_stream(const Options& o, const fleet::Place& place)
{
    const auto done = fleet::make_stream(place, {o.fleet.replicas, o.fleet.max_age_s,
                                                 o.fleet.max_bytes, o.fleet.duplicates_s});
    if (!done)
        return fail(done.error());
    say("{}", *done);
    return 0;
}

} // namespace

int run_fleet(const Options& options)
{
    const auto place = fleet::parse_place(options.fleet.place);
    if (!place)
        return fail(place.error());
    if (options.fleet.init)
        return make_fleet_stream(options, *place);
    if (const auto status = check_output(options); !status) {
        fail(status.error());
        return 2;
    }
    catch_fleet_signals();
    auto out = open_output(options.output);
    if (!out)
        return fail(out.error());
    const auto intake = fleet::Intake::open(*place, reading_of(options));
    if (!intake)
        return fail(intake.error());
    say("ready ({})", place->name);
    notify_service("READY=1");
    return FleetRun(options, **intake, **out).run();
}

} // namespace tcpsaga
