// SPDX-License-Identifier: BSD-2-Clause
#include "report.h"

namespace tcpsaga {
namespace {

Series series_of(const event::Retransmit& what)
{
    return static_cast<Series>(static_cast<std::size_t>(Series::re_syn) +
                               static_cast<std::size_t>(what.what));
}

/// Counts one event where it belongs.
struct Counter {
    Bins& bins;
    std::int64_t utc;

    void operator()(const event::Connect&) const { bins.add(utc, Series::opened); }
    void operator()(const event::ConnectError&) const { bins.add(utc, Series::connect_error); }
    void operator()(const event::StateChange& e) const
    {
        if (e.old_state == State::listen && e.new_state == State::syn_recv)
            bins.add(utc, Series::arrived);
        if (e.new_state == State::time_wait)
            bins.add(utc, Series::time_wait_in);
        if (e.old_state == State::time_wait)
            bins.add(utc, Series::time_wait_out);
    }
    void operator()(const event::Accept& e) const
    {
        bins.add(utc, Series::accepted);
        if (e.accept_wait_us)
            bins.add_wait(utc, *e.accept_wait_us);
    }
    void operator()(const event::AcceptError& e) const { bins.add(utc, Series::accept_error, e.n); }
    void operator()(const event::Overflow& e) const
    {
        bins.add(utc, e.queue == event::Queue::accept ? Series::accept_queue : Series::syn_queue,
                 e.n);
    }
    void operator()(const event::Retransmit& e) const { bins.add(utc, series_of(e), e.segments); }
    void operator()(const event::Close& e) const
    {
        bins.add(utc, Series::closed);
        bins.add(utc, tcpsaga::series_of(e.end));
    }
    template <class Other>
    void operator()(const Other&) const
    {
    }
};

} // namespace

Report::Report(PresentOptions options, const Origin& from)
    : options_(std::move(options)), from_(from), evidence_(from.started_ns),
      bins_(utc(from.started_ns)), end_ns_(from.started_ns)
{
    if (!from.config.accept_seen)
        evidence_.accepts_unseen();
}

std::int64_t Report::utc(std::uint64_t ts_ns) const
{
    // Whatever a broken file says: unsigned numbers may overflow.
    return static_cast<std::int64_t>(ts_ns + static_cast<std::uint64_t>(options_.utc_offset_ns));
}

void Report::on_event(const Event& e)
{
    evidence_.on_event(e);
    if (e.conn != nullptr)
        count(e);
    const auto* summary = std::get_if<event::Summary>(&e.what);
    if (summary != nullptr && summary->final)
        finish(*summary, e.ts_ns);
}

void Report::count(const Event& e)
{
    std::visit(Counter{bins_, utc(e.ts_ns)}, e.what);
    if (const auto* close = std::get_if<event::Close>(&e.what))
        worst_.add(e, *close);
    const auto* accept = std::get_if<event::Accept>(&e.what);
    if (accept != nullptr && accept->accept_wait_us)
        waits_.add(*accept->accept_wait_us);
}

void Report::finish(const event::Summary& summary, std::uint64_t ts_ns)
{
    summary_ = summary;
    end_ns_ = ts_ns;
    bins_.extend(utc(ts_ns));
    evidence_.adopt(summary, ts_ns);
    evidence_.finish(ts_ns);
    settings_.utc_offset_ns = options_.utc_offset_ns;
    settings_.zone_offset_s = options_.zone_offset_s;
}

} // namespace tcpsaga
