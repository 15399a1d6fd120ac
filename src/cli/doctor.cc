// SPDX-License-Identifier: BSD-2-Clause
#include "doctor.h"

#include "tcpsaga/finding.h"
#include "tcpsaga/present_findings.h"

namespace tcpsaga {

Doctor::Doctor(Output& out, PresentOptions options, Config config)
    : out_(out), options_(std::move(options)), config_(std::move(config)),
      evidence_(config_.begin_ns)
{
    if (!config_.accepts_seen)
        evidence_.accepts_unseen();
}

void Doctor::on_event(const Event& e)
{
    evidence_.on_event(e);
    if (std::holds_alternative<event::Overflow>(e.what) && e.actor.known() && config_.on_full_queue)
        config_.on_full_queue(e.actor, e.ts_ns);
    const auto* summary = std::get_if<event::Summary>(&e.what);
    if (summary == nullptr || !summary->final)
        return;
    evidence_.adopt(*summary, e.ts_ns);
    const Evidence& evidence = evidence_.finish(e.ts_ns);
    Settings settings = config_.settings();
    settings.utc_offset_ns = options_.utc_offset_ns;
    settings.zone_offset_s = options_.zone_offset_s;
    const auto findings = diagnose(evidence, settings);
    found_ = !findings.empty();
    (config_.json ? print_findings_json : print_findings_text)(out_, options_, findings, evidence);
}

} // namespace tcpsaga
