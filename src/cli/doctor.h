// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "tcpsaga/evidence.h"
#include "tcpsaga/input.h"
#include "tcpsaga/present.h"
#include "tcpsaga/settings.h"

namespace tcpsaga {

/// The exit code when something was found.
inline constexpr int found_code = 5;

/// Gathers events and, with the summary that ends the stream, prints what is wrong.
class Doctor : public Sink {
public:
    Doctor(Output& out, PresentOptions options, bool json, const Origin& from);

    void on_event(const Event& e) override;
    void on_settings(const Settings& s) override { settings_ = s; }
    [[nodiscard]] bool found() const { return found_; }

private:
    Output& out_;
    PresentOptions options_;
    bool json_;
    EvidenceSink evidence_;
    Settings settings_;
    bool found_ = false;
};

/// 0 for what is no doctor.
int exit_code_of(const Sink& presenter);

} // namespace tcpsaga
