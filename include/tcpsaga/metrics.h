// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * Metrics for Prometheus: the summary's counts, and what a summary does not break down. Every
 * label comes from a bounded set: endings, errno names, reasons of ours, counters of the audit,
 * and listeners, of which the first `most_listeners` have a name. No remote end is a label.
 */
#include <prometheus/metric_family.h>

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tcpsaga/event.h"

namespace tcpsaga {

class Metrics : public Sink {
public:
    /// Listeners past these, in the order of their appearance, share one series: listener="other".
    static constexpr std::size_t most_listeners = 100;

    /// Counts events on their way to `next`.
    explicit Metrics(Sink& next) : next_(next) {}
    void on_event(const Event& e) override;
    void on_settings(const Settings& s) override { next_.on_settings(s); }

    /// All there is to tell now. `ring_fill`: 0 to 1, the fullest that the ring has been since the
    /// last call.
    std::vector<prometheus::MetricFamily> collect(const event::Summary& s, double ring_fill);

private:
    using Labels = std::pair<std::string, std::string>;    // netns, listener
    using Turned = std::pair<event::Queue, event::Action>; // turned away: by what, how
    using PerListener = std::map<Turned, std::uint64_t>;
    struct Listener;

    PerListener& overflows_of(std::uint64_t listener);
    Labels labels_of(const event::ListenerSummary& s);
    std::map<Labels, Listener> gather(const event::Summary& s);

    Sink& next_;
    std::array<std::uint64_t, 4> retransmits_{};     // by event::Retransmitted
    std::map<std::uint64_t, PerListener> overflows_; // by the listener's id
    std::map<std::uint64_t, Labels> labels_;         // by the same; once given they stay
    std::set<Labels> named_;
};

} // namespace tcpsaga
