// SPDX-License-Identifier: BSD-2-Clause
#include "doctor.h"

#include "tcpsaga/finding.h"
#include "tcpsaga/present_findings.h"

namespace tcpsaga {

Doctor::Doctor(Output& out, PresentOptions options, bool json, const Origin& from)
    : out_(out), options_(std::move(options)), json_(json), evidence_(from.started_ns)
{
    if (!from.config.accept_seen)
        evidence_.accepts_unseen();
}

void Doctor::on_event(const Event& e)
{
    evidence_.on_event(e);
    const auto* summary = std::get_if<event::Summary>(&e.what);
    if (summary == nullptr || !summary->final)
        return;
    evidence_.adopt(*summary, e.ts_ns);
    const Evidence& evidence = evidence_.finish(e.ts_ns);
    settings_.utc_offset_ns = options_.utc_offset_ns;
    settings_.zone_offset_s = options_.zone_offset_s;
    const auto findings = diagnose(evidence, settings_);
    found_ = !findings.empty();
    (json_ ? print_findings_json : print_findings_text)(out_, options_, findings, evidence);
}

int exit_code_of(const Sink& presenter)
{
    const auto* doctor = dynamic_cast<const Doctor*>(&presenter);
    return doctor != nullptr && doctor->found() ? found_code : 0;
}

} // namespace tcpsaga
