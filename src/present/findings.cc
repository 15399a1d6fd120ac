// SPDX-License-Identifier: BSD-2-Clause
/* What doctor found, for a person at 3 a.m. and for a pipeline. */
#include <nlohmann/json.hpp>

#include "tcpsaga/present_findings.h"

namespace tcpsaga {
namespace {

using nlohmann::ordered_json;

std::string visible(std::string_view text)
{
    fmt::memory_buffer b;
    append_visible(b, text);
    return fmt::to_string(b);
}

std::string rfc3339(std::uint64_t ts_ns, const PresentOptions& o)
{
    fmt::memory_buffer b;
    append_rfc3339(b, static_cast<std::int64_t>(ts_ns) + o.utc_offset_ns);
    return fmt::to_string(b);
}

std::string clock(std::uint64_t ts_ns, const PresentOptions& o)
{
    const std::int64_t ms = (static_cast<std::int64_t>(ts_ns) + o.utc_offset_ns) / 1'000'000;
    const std::int64_t day = (ms / 1000 + o.zone_offset_s) % 86400;
    return fmt::format("{:02}:{:02}:{:02}.{:03}", day / 3600, day / 60 % 60, day % 60, ms % 1000);
}

class TextPage {
public:
    TextPage(Output& out, const PresentOptions& options) : out_(out), options_(options) {}

    void print(std::size_t number, const Finding& f)
    {
        line(fmt::format("{}. {}", number, visible(f.what)), true);
        row("cause", fmt::format("{} [{}]", visible(f.cause), name_of(f.sure)));
        if (!f.because.empty()) { // the root cause says what to do
            row("", fmt::format("follows from {}: mend that first", f.because));
            return line("", false);
        }
        const bool lasts = f.first_ns != 0 && f.last_ns > f.first_ns;
        if (f.last_ns != 0)
            row("when", lasts ? fmt::format("{} to {}", clock(f.first_ns, options_),
                                            clock(f.last_ns, options_))
                              : clock(f.last_ns, options_));
        for (const std::string& proof : f.proof)
            row("proof", visible(proof));
        for (const Example& e : f.examples)
            row("e.g.", example(e));
        for (const Remedy& r : f.remedies)
            remedy(r);
        line("", false);
    }
    void line(const std::string& text, bool bold)
    {
        const std::string whole = bold && options_.color ? "\x1b[1m" + text + "\x1b[0m" : text;
        out_.buffer().append(whole);
        out_.buffer().push_back('\n');
        out_.line_done();
    }

private:
    void row(std::string_view label, const std::string& text)
    {
        line(fmt::format("   {:<6} {}", label, text), false);
    }
    [[nodiscard]] std::string example(const Example& e) const
    {
        const bool server = e.role == Role::server;
        return fmt::format("{} {} {} {}{}", clock(e.ts_ns, options_), to_string(e.tuple.local),
                           server ? "<-" : "->", to_string(e.tuple.remote),
                           e.process.known()
                               ? fmt::format("  {} ({})", visible(e.process.name()), e.process.pid)
                               : "");
    }
    void remedy(const Remedy& r)
    {
        std::string meaning = visible(r.meaning);
        if (!r.setting.empty() && !r.now.empty())
            meaning = fmt::format("{} is {} now; {}", r.setting, r.now, meaning);
        row("do", r.command.empty() ? meaning : "# " + meaning);
        if (!r.command.empty())
            row("", r.command);
    }

    Output& out_;
    const PresentOptions& options_;
};

void add_place(ordered_json& j, const Finding& f)
{
    if (f.netns != 0)
        j["netns"] = f.netns;
    if (f.at.port != 0) {
        j[f.local ? "laddr" : "raddr"] = to_string(f.at.addr);
        j[f.local ? "lport" : "rport"] = f.at.port;
    }
    if (f.process.known()) {
        j["pid"] = f.process.pid;
        j["comm"] = f.process.name();
    }
}

ordered_json to_json(const Example& e, const PresentOptions& o)
{
    ordered_json j{{"ts", rfc3339(e.ts_ns, o)}};
    if (e.conn != 0)
        j["conn"] = e.conn;
    j["netns"] = e.tuple.netns;
    j["laddr"] = to_string(e.tuple.local.addr);
    if (e.tuple.local.port != 0)
        j["lport"] = e.tuple.local.port;
    j["raddr"] = to_string(e.tuple.remote.addr);
    j["rport"] = e.tuple.remote.port;
    if (!name_of(e.role).empty())
        j["role"] = name_of(e.role);
    if (e.process.known()) {
        j["pid"] = e.process.pid;
        j["comm"] = e.process.name();
    }
    return j;
}

ordered_json to_json(const Remedy& r)
{
    ordered_json j;
    for (const auto& [key, value] : {std::pair{"command", &r.command},
                                     {"setting", &r.setting},
                                     {"now", &r.now},
                                     {"want", &r.want},
                                     {"meaning", &r.meaning}})
        if (!value->empty())
            j[key] = *value;
    return j;
}

ordered_json to_json(const Finding& f, const PresentOptions& o, std::uint64_t ts_ns)
{
    ordered_json j{{"v", 1},
                   {"ts", rfc3339(ts_ns, o)},
                   {"event", "finding"},
                   {"host", o.host},
                   {"finding", f.kind},
                   {"sure", name_of(f.sure)},
                   {"harm", name_of(f.harm)}};
    if (!f.because.empty())
        j["because"] = f.because;
    add_place(j, f);
    j["what"] = f.what;
    j["cause"] = f.cause;
    j["n"] = f.n;
    if (f.first_ns != 0)
        j["first"] = rfc3339(f.first_ns, o);
    if (f.last_ns != 0)
        j["last"] = rfc3339(f.last_ns, o);
    for (const auto& [name, value] : f.counts)
        j["counts"][name] = value;
    for (const Example& e : f.examples)
        j["examples"].push_back(to_json(e, o));
    for (const Remedy& r : f.remedies)
        j["remedies"].push_back(to_json(r));
    return j;
}

} // namespace

void print_findings_text(Output& out, const PresentOptions& options,
                         const std::vector<Finding>& findings, const Evidence& evidence)
{
    TextPage page(out, options);
    const auto seconds = static_cast<double>(evidence.end_ns - evidence.begin_ns) / 1e9;
    page.line(fmt::format("{} in {:.1f} s ({} opened, {} accepted)",
                          findings.empty()       ? "Nothing found"
                          : findings.size() == 1 ? "1 finding"
                                                 : fmt::format("{} findings", findings.size()),
                          seconds, evidence.opens, evidence.accepts),
              true);
    if (!findings.empty())
        page.line("", false);
    for (std::size_t i = 0; i < findings.size(); i++)
        page.print(i + 1, findings[i]);
}

void print_findings_json(Output& out, const PresentOptions& options,
                         const std::vector<Finding>& findings, const Evidence& evidence)
{
    for (const Finding& f : findings) {
        out.buffer().append(to_json(f, options, evidence.end_ns)
                                .dump(-1, ' ', false, ordered_json::error_handler_t::replace));
        out.buffer().push_back('\n');
        out.line_done();
    }
}

} // namespace tcpsaga
