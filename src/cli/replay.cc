// SPDX-License-Identifier: BSD-2-Clause
#include "replay.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ranges>

#include "doctor.h"
#include "hosts.h"
#include "open_output.h"
#include "player.h"
#include "projector.h"
#include "report.h"
#include "say.h"
#include "summary_text.h"
#include "tcpsaga/recording.h"

namespace tcpsaga {
namespace {

/// Where it comes from, with what is asked of it now added to what was asked when it was recorded.
Origin asked_of(Origin from, const Filter& now)
{
    Correlator::Config& c = from.config;
    if (now == Filter{} || now == c.filter)
        return from;
    c.filter.also.push_back(now);
    c.unfiltered = true;
    return from;
}

/// One recording, played from its beginning.
class Reel {
public:
    /// `hosts`: what is known of it and others together; null: it is the only one.
    Reel(std::string path, std::unique_ptr<RecordingReader> reader, const Options& o, Output& out,
         const Company& company, Hosts* hosts)
        : path_(std::move(path)), reader_(std::move(reader)),
          origin_(asked_of(reader_->origin(), o.filter)),
          presenter_(make_presenter(o, origin_, out, &whereabouts_, company)),
          peers_(hosts == nullptr ? nullptr : hosts->with_peers(*presenter_, company.host)),
          player_(origin_, peers_ ? *peers_ : *presenter_, out, o.count, {}, &whereabouts_),
          json_(o.json), looks_again_((o.view == Command::doctor || o.view == Command::report) &&
                                      origin_.command != "doctor")
    {
    }
    ~Reel() = default;
    Reel(const Reel&) = delete;
    Reel& operator=(const Reel&) = delete;

    /// Gets the next input. False: there is none.
    bool advance()
    {
        next_ = reader_->next();
        if (next_ == nullptr)
            return false;
        if (const auto ts_ns = time_of(*next_); ts_ns && *ts_ns != UINT64_MAX)
            ts_ns_ = std::max(ts_ns_, *ts_ns);
        return true;
    }
    void play()
    {
        const auto* wish = std::get_if<input::Summarize>(next_);
        if (wish != nullptr && wish->final)
            look_again(wish->ts_ns);
        player_.play(*next_);
        if (wish != nullptr)
            summarized_ = wish->final || (player_.full() && json_);
    }
    /// Ends a stream that the recorder did not end.
    void end()
    {
        player_.play(input::HeldBack{UINT64_MAX});
        if (summarized_)
            return;
        look_again(ts_ns_);
        player_.play(input::Summarize{ts_ns_, true, {}});
    }
    /// No more lines can come of it: what is behind the last that --count allows is the summary.
    [[nodiscard]] bool done() const { return player_.full() && (summarized_ || !json_); }
    /// UTC nanoseconds of the latest input so far.
    [[nodiscard]] std::int64_t wall() const
    {
        return static_cast<std::int64_t>(ts_ns_) + origin_.utc_offset_ns;
    }
    [[nodiscard]] const RecordingReader& reader() const { return *reader_; }
    [[nodiscard]] const Origin& origin() const { return origin_; }

    /// Of a report, after the end.
    [[nodiscard]] std::string report() const
    {
        return report_of(*presenter_, path_, reader_->damage());
    }
    [[nodiscard]] int exit_code() const { return exit_code_of(*presenter_); }

    /// False: it was broken.
    bool tell_end() const
    {
        say("{}: {} ({} {}, {})", path_, origin_.host, origin_.kernel, origin_.machine,
            origin_.title);
        tell_summary(player_.summary(), origin_);
        for (const std::string& what : reader_->damage())
            say("{}: {}", path_, what);
        return reader_->damage().empty();
    }

private:
    /// Connections that were stuck too shortly for what recorded them.
    void look_again(std::uint64_t ts_ns)
    {
        if (looks_again_)
            player_.play(input::Stuck{static_cast<std::uint64_t>(stuck_s_of(Command::doctor) * 1e9),
                                      ts_ns});
    }

    std::string path_;
    std::unique_ptr<RecordingReader> reader_;
    Origin origin_;
    Whereabouts whereabouts_;
    std::unique_ptr<Sink> presenter_;
    std::unique_ptr<Sink> peers_; ///< before it
    Player player_;
    bool json_;
    bool looks_again_;
    bool summarized_ = false;
    const Input* next_ = nullptr;
    std::uint64_t ts_ns_ = origin_.started_ns;
};

using Reels = std::vector<std::unique_ptr<Reel>>;

/// Ready to be played, in the order of their names on the command line.
Reels thread(std::vector<Recording> recordings, const Options& options, Output& out, Hosts* hosts)
{
    Company company;
    if (hosts != nullptr) {
        company.desk = make_pair_desk(out, options.count);
        for (const Recording& r : recordings)
            company.host_column = std::max(company.host_column, r.reader->origin().host.size());
    }
    Reels reels;
    for (Recording& r : recordings) {
        reels.push_back(std::make_unique<Reel>(std::move(r.path), std::move(r.reader), options, out,
                                               company, hosts));
        company.header = false;
        company.host++;
    }
    return reels;
}

} // namespace

int run_replay(const Options& options)
{
    signal(SIGPIPE, SIG_IGN); // write() tells
    if (const auto status = check_output(options); !status) {
        fail(status.error());
        return 2;
    }
    auto recordings = open_all(options.files);
    bool sound = recordings.size() == options.files.size();
    if (recordings.empty())
        return 1;
    auto out = open_output(options.output);
    if (!out)
        return fail(out.error());
    Meter meter((*out)->is_terminal());
    std::unique_ptr<Hosts> hosts;
    if (recordings.size() > 1)
        hosts = std::make_unique<Hosts>(recordings, options.filter, **out, meter);
    Reels reels = thread(std::move(recordings), options, **out, hosts.get());
    play(reels, **out, meter);
    for (const auto& reel : reels)
        reel->end();
    if (options.view == Command::report) {
        std::vector<std::string> data;
        std::ranges::transform(reels, std::back_inserter(data),
                               [](const auto& reel) { return reel->report(); });
        print_report(**out, options, data);
    }
    (*out)->flush();
    meter.clear();
    if ((*out)->health() == Output::Health::closed)
        return 0;
    for (const auto& reel : reels)
        sound = reel->tell_end() && sound;
    if (hosts)
        hosts->tell();
    if ((*out)->health() == Output::Health::failed)
        return fail((*out)->error());
    if (!sound)
        return 1;
    return std::ranges::max(reels | std::views::transform(&Reel::exit_code));
}

} // namespace tcpsaga
