// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What the page of docs/report.md shows of one recording: the stream, condensed to a JSON object.
 */
#include <string>
#include <vector>

#include "bins.h"
#include "tcpsaga/evidence.h"
#include "tcpsaga/input.h"
#include "tcpsaga/present.h"
#include "worst.h"

namespace tcpsaga {

/// Gathers events up to the final summary. Bounded, whatever the stream.
class Report : public Sink {
public:
    /// `from` outlives it.
    Report(PresentOptions options, const Origin& from);

    void on_event(const Event& e) override;
    void on_settings(const Settings& s) override { settings_ = s; }
    /// The object (docs/report.md), after the final summary. `damage` is of the recording's reader.
    [[nodiscard]] std::string data(const std::string& file,
                                   const std::vector<std::string>& damage) const;

private:
    void count(const Event& e);
    void finish(const event::Summary& summary, std::uint64_t ts_ns);
    [[nodiscard]] std::int64_t utc(std::uint64_t ts_ns) const;

    PresentOptions options_;
    const Origin& from_;
    EvidenceSink evidence_;
    Settings settings_;
    Bins bins_;
    Worst worst_;
    Histogram waits_;
    event::Summary summary_;
    std::uint64_t end_ns_;
};

} // namespace tcpsaga
