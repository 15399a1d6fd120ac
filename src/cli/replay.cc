// SPDX-License-Identifier: BSD-2-Clause
#include "replay.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <limits>
#include <ranges>

#include "doctor.h"
#include "player.h"
#include "progress.h"
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
    Reel(std::string path, std::unique_ptr<RecordingReader> reader, const Options& o, Output& out,
         bool header, std::size_t host_column)
        : path_(std::move(path)), reader_(std::move(reader)),
          origin_(asked_of(reader_->origin(), o.filter)),
          presenter_(make_presenter(o, origin_, out, header, host_column)),
          player_(origin_, *presenter_, out, o.count), json_(o.json),
          looks_again_(o.view == Command::doctor && origin_.command != "doctor")
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
            player_.play(input::Stuck{
                static_cast<std::uint64_t>(stuck_s_of(Command::doctor) * 1e9), ts_ns});
    }

    std::string path_;
    std::unique_ptr<RecordingReader> reader_;
    Origin origin_;
    std::unique_ptr<Sink> presenter_;
    Player player_;
    bool json_;
    bool looks_again_;
    bool summarized_ = false;
    const Input* next_ = nullptr;
    std::uint64_t ts_ns_ = origin_.started_ns;
};

using Reels = std::vector<std::unique_ptr<Reel>>;

/// How much of the files is read, now and then.
class Meter {
public:
    Meter(const Reels& reels, bool quiet) : reels_(reels), progress_(quiet) {}
    void turn()
    {
        constexpr unsigned inputs = 1 << 16;
        if (++turns_ % inputs != 0 || !progress_.on())
            return;
        std::uint64_t read = 0;
        std::uint64_t all = 0;
        for (const auto& reel : reels_) {
            read += reel->reader().position();
            all += reel->reader().size();
        }
        progress_.show(fmt::format("{} of {} MB", read >> 20U, all >> 20U));
    }
    void clear() { progress_.clear(); }

private:
    const Reels& reels_;
    Progress progress_;
    unsigned turns_ = 0;
};

/// All of them, whichever is the earliest next.
void play(const Reels& reels, const Output& out, Meter& meter)
{
    std::vector<Reel*> left;
    for (const auto& reel : reels)
        if (reel->advance())
            left.push_back(reel.get());
    while (!left.empty() && out.health() == Output::Health::good) {
        const auto first = std::ranges::min_element(left, {}, &Reel::wall);
        Reel& reel = **first;
        const std::int64_t until =
            left.size() == 1
                ? std::numeric_limits<std::int64_t>::max()
                : (*std::ranges::min_element(left, {}, [&](const Reel* r) {
                      return r == &reel ? std::numeric_limits<std::int64_t>::max() : r->wall();
                  }))->wall();
        bool more = true;
        while (more && reel.wall() <= until && out.health() == Output::Health::good) {
            reel.play();
            meter.turn();
            more = !reel.done() && reel.advance();
        }
        if (!more)
            left.erase(first);
    }
}

Result<std::unique_ptr<Output>> open_output(const std::string& path)
{
    return path.empty() ? std::make_unique<Output>() : Output::open(path);
}

/// Those that can be opened; an error is said.
std::vector<std::pair<std::string, std::unique_ptr<RecordingReader>>>
open_all(const std::vector<std::string>& paths)
{
    std::vector<std::pair<std::string, std::unique_ptr<RecordingReader>>> open;
    for (const std::string& path : paths) {
        auto reader = RecordingReader::open(path);
        if (reader)
            open.emplace_back(path, std::move(*reader));
        else
            fail(reader.error());
    }
    return open;
}

} // namespace

int run_replay(const Options& options)
{
    signal(SIGPIPE, SIG_IGN); // write() tells
    auto readers = open_all(options.files);
    bool sound = readers.size() == options.files.size();
    if (readers.empty())
        return 1;
    auto out = open_output(options.output);
    if (!out)
        return fail(out.error());
    std::size_t host_column = 0;
    if (readers.size() > 1)
        for (const auto& [path, reader] : readers)
            host_column = std::max(host_column, reader->origin().host.size());
    Reels reels;
    for (auto& [path, reader] : readers)
        reels.push_back(std::make_unique<Reel>(path, std::move(reader), options, **out,
                                               reels.empty(), host_column));
    Meter meter(reels, (*out)->is_terminal());
    play(reels, **out, meter);
    for (const auto& reel : reels)
        reel->end();
    (*out)->flush();
    meter.clear();
    if ((*out)->health() == Output::Health::closed)
        return 0;
    for (const auto& reel : reels)
        sound = reel->tell_end() && sound;
    if ((*out)->health() == Output::Health::failed)
        return fail((*out)->error());
    if (!sound)
        return 1;
    return std::ranges::max(reels | std::views::transform(&Reel::exit_code));
}

} // namespace tcpsaga
