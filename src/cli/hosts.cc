// SPDX-License-Identifier: BSD-2-Clause
#include "hosts.h"

#include "player.h"
#include "say.h"

namespace tcpsaga {
namespace {

/// A recording that is read for its ends only.
class Scout {
public:
    Scout(std::unique_ptr<RecordingReader> reader, HostPairing& to, std::uint32_t host, Output& out)
        : reader_(std::move(reader)), ends_(to, host, reader_->origin().utc_offset_ns),
          player_(reader_->origin(), ends_, out, {})
    {
    }
    bool advance()
    {
        next_ = reader_->next();
        if (next_ == nullptr)
            return false;
        advance_to(ts_ns_, *next_);
        return true;
    }
    void play() { player_.play(*next_); }
    /// Those that go on are ends, too.
    void end()
    {
        player_.play(input::HeldBack{UINT64_MAX});
        player_.for_each_connection([&](const Connection& c) { ends_.on_present(c, ts_ns_); });
    }
    [[nodiscard]] static bool done() { return false; }
    [[nodiscard]] std::int64_t wall() const
    {
        return static_cast<std::int64_t>(ts_ns_) + reader_->origin().utc_offset_ns;
    }
    [[nodiscard]] const RecordingReader& reader() const { return *reader_; }

private:
    std::unique_ptr<RecordingReader> reader_;
    HostEnds ends_;
    Player player_;
    const Input* next_ = nullptr;
    std::uint64_t ts_ns_ = 0;
};

double millis(std::int64_t ns)
{
    return static_cast<double>(ns) / 1e6;
}

} // namespace

std::vector<Recording> open_all(const std::vector<std::string>& paths)
{
    std::vector<Recording> open;
    for (const std::string& path : paths) {
        auto reader = RecordingReader::open(path);
        if (reader)
            open.push_back({path, std::move(*reader)});
        else
            fail(reader.error());
    }
    return open;
}

Hosts::Hosts(const std::vector<Recording>& recordings, Filter now, Output& out, Meter& meter)
    : now_(std::move(now))
{
    std::vector<std::unique_ptr<Scout>> scouts;
    for (const Recording& r : recordings) {
        const auto host = static_cast<std::uint32_t>(names_.size());
        names_.push_back(r.reader->origin().host);
        paths_.push_back(r.path);
        if (auto again = RecordingReader::open(r.path); again) // who opened it tells of errors
            scouts.push_back(std::make_unique<Scout>(std::move(*again), pairing_, host, out));
    }
    tcpsaga::play(scouts, out, meter, "looking for both ends: ");
    for (const auto& scout : scouts)
        scout->end();
}

std::unique_ptr<Sink> Hosts::with_peers(Sink& next, std::uint32_t host)
{
    return std::make_unique<HostPeers>(next, pairing_, host, names_,
                                       [this](const HostEnd& e) { return shows(e); });
}

bool Hosts::shows(const HostEnd& e) const
{
    Tuple t = e.tuple;
    t.netns = e.id.netns;
    const Process& p = e.process;
    return now_.passes(t, t.local.addr.is_v4() ? 4 : 6) &&
           (!now_.asks_for_process() || (p.known() && now_.process_matches(p.pid, p.name())));
}

/// Of one that shares its name with another, its file, too.
std::string Hosts::name(std::uint32_t host) const
{
    const std::string& n = names_.at(host);
    return std::ranges::count(names_, n) == 1 ? n : n + " (" + paths_.at(host) + ")";
}

void Hosts::tell() const
{
    tell_pairing(pairing_, [this](std::uint32_t host) { return name(host); });
}

void tell_pairing(const HostPairing& pairing,
                  const std::function<std::string(std::uint32_t host)>& name)
{
    const std::uint64_t n = pairing.pairs();
    say("{} connection{} both ends here", n, n == 1 ? " has" : "s have");
    for (const ClockSkew& s : pairing.skews())
        say("the clock of {} is {:.3f} ms {} that of {}, give or take {:.3f} ms ({} connection{})",
            name(s.of), millis(std::abs(s.ahead_ns)), s.ahead_ns < 0 ? "behind" : "ahead of",
            name(s.than), millis(s.within_ns), s.samples, s.samples == 1 ? "" : "s");
}

} // namespace tcpsaga
