// SPDX-License-Identifier: BSD-2-Clause
#include "live_sinks.h"

#include "fleet/host_text.h"
#include "fleet/place.h"
#include "origin.h"
#include "player.h"

namespace tcpsaga {
namespace {

/// record prints nothing.
class Nobody : public Sink {
    void on_event(const Event&) override {}
};

/// Tells a carrier of lines what host they are of, and how it is set.
class Announcer : public Sink {
public:
    Announcer(std::unique_ptr<Sink> next, Carrier& carrier, const Origin& from)
        : next_(std::move(next)), carrier_(carrier), from_(from)
    {
        carrier_.about_host(fleet::host_text(from_, {}));
    }
    void on_event(const Event& e) override { next_->on_event(e); }
    void on_settings(const Settings& s) override
    {
        carrier_.about_host(fleet::host_text(from_, s));
        next_->on_settings(s);
    }
    [[nodiscard]] const Sink& next() const { return *next_; }

private:
    std::unique_ptr<Sink> next_;
    Carrier& carrier_;
    const Origin& from_;
};

} // namespace

std::unique_ptr<Sink> presenter_for(const Options& o, const Origin& origin, Output& out,
                                    const Whereabouts& whereabouts)
{
    if (o.command == Command::record)
        return std::make_unique<Nobody>();
    auto presenter = make_presenter(o, origin, out, &whereabouts);
    if (out.carrier() != nullptr)
        return std::make_unique<Announcer>(std::move(presenter), *out.carrier(), origin);
    return presenter;
}

const Sink& printer_in(const Sink& presenter)
{
    const auto* announcer = dynamic_cast<const Announcer*>(&presenter);
    return announcer != nullptr ? announcer->next() : presenter;
}

bool asks_for_settings(const Options& o)
{
    return !o.record.empty() || o.view == Command::doctor || fleet::is_place(o.output);
}

} // namespace tcpsaga
