// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <functional>

#include "tcpsaga/evidence.h"
#include "tcpsaga/present.h"
#include "tcpsaga/settings.h"

namespace tcpsaga {

/// The exit code when something was found.
inline constexpr int found_code = 5;

/// Gathers events and, with the summary that ends the stream, prints what is wrong.
class Doctor : public Sink {
public:
    struct Config {
        bool json = false;
        std::uint64_t begin_ns = 0;
        bool accepts_seen = true; ///< a hook tells of accept()
        /// The system as it is set, asked for once, at the end: live or from a recording.
        std::function<Settings()> settings;
        /// A full queue's owner; may be none.
        std::function<void(const Process& owner, std::uint64_t ts_ns)> on_full_queue;
    };
    Doctor(Output& out, PresentOptions options, Config config);

    void on_event(const Event& e) override;
    [[nodiscard]] int exit_code() const { return found_ ? found_code : 0; }

private:
    Output& out_;
    PresentOptions options_;
    Config config_;
    EvidenceSink evidence_;
    bool found_ = false;
};

} // namespace tcpsaga
