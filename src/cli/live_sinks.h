// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <memory>

#include "looker.h"
#include "options.h"
#include "tcpsaga/event.h"
#include "tcpsaga/input.h"
#include "tcpsaga/output.h"
#include "tcpsaga/whereabouts.h"

namespace tcpsaga {

/// What a live command shows its events with.
std::unique_ptr<Sink> presenter_for(const Options& o, const Origin& origin, Output& out,
                                    const Whereabouts& whereabouts);

/// What prints, within what presenter_for() gave.
const Sink& printer_in(const Sink& presenter);

/// Judged at the end, here or from the recording.
bool asks_for_settings(const Options& o);

/// Looks at processes whose queue is full, while it is.
class FullQueues : public Sink {
public:
    FullQueues(Sink& next, Looker& looker) : next_(next), looker_(looker) {}
    void on_event(const Event& e) override
    {
        if (std::holds_alternative<event::Overflow>(e.what) && e.actor.known())
            looker_.look_at(e.actor.pid, e.ts_ns);
        next_.on_event(e);
    }
    void on_settings(const Settings& s) override { next_.on_settings(s); }

private:
    Sink& next_;
    Looker& looker_;
};

} // namespace tcpsaga
