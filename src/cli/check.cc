// SPDX-License-Identifier: BSD-2-Clause
#include "check.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "privileges.h"
#include "say.h"
#include "tcpsaga/owners.h"
#include "tcpsaga/probe.h"
#include "tcpsaga/tracer.h"

namespace tcpsaga {
namespace {

constexpr int degraded_code = 3;
constexpr std::string_view owners_tell = "who holds a socket that was there before us";
constexpr std::string_view lost_by_proc =
    "descriptors of a thread with a table of its own; without CAP_SYS_PTRACE those of others";

std::string hooks_of(const Alternative& a)
{
    std::string text;
    for (const Hook& h : a.hooks)
        text +=
            (text.empty() ? "" : ", ") + std::string(name_of(h.kind)) + "/" + std::string(h.symbol);
    return text.empty() ? "concluded from the other facts" : text;
}

struct Way {
    const Alternative* alternative;
    bool used;
    std::string refused; ///< why; "" = it would attach
};

/// All alternatives of a fact, those not needed tried as well.
std::vector<Way> ways_of(const Choice& choice, const Prober& can_attach)
{
    std::vector<Way> ways;
    for (const Alternative& a : choice.fact->alternatives) {
        Way way{&a, choice.taken == &a, ""};
        for (const Hook& hook : a.hooks)
            if (const auto status = can_attach(hook); !status && way.refused.empty())
                way.refused = status.error().message();
        ways.push_back(std::move(way));
    }
    return ways;
}

struct CheckReport {
    utsname kernel{};
    Plan plan;
    std::vector<std::vector<Way>> ways; ///< parallel to plan.choices
    std::vector<VerifierCost> costs;    ///< with --programs
    Status owners = Nothing{};          ///< why not by the iterator
    std::vector<MissingCapability> missing;

    [[nodiscard]] bool works() const { return plan.of(FactId::state).taken != nullptr; }
    [[nodiscard]] bool complete() const
    {
        return missing.empty() &&
               std::ranges::all_of(plan.choices, [](const Choice& c) { return c.loses().empty(); });
    }
    [[nodiscard]] const char* verdict() const
    {
        return !works() ? "nothing works" : complete() ? "complete" : "degraded";
    }
};

std::string state_of(const Way& way)
{
    return way.used ? "used" : way.refused.empty() ? "not needed" : "refused: " + way.refused;
}

void print_text(const CheckReport& r)
{
    fmt::print("Linux {} {}: {}\n", r.kernel.release, r.kernel.machine, r.verdict());
    for (const MissingCapability& m : r.missing)
        fmt::print("{}without {}: lost: {}\n", &m == r.missing.data() ? "\n" : "", m.name, m.loses);
    for (std::size_t i = 0; i < r.plan.choices.size(); i++) {
        const Choice& c = r.plan.choices[i];
        fmt::print("\n{:<15} {}\n", c.fact->name, c.fact->tells);
        if (c.off)
            fmt::print("  off without {}\n", c.fact->option);
        else if (c.taken != nullptr)
            fmt::print("  {:<12} {}\n", name_of(c.taken->mechanism), hooks_of(*c.taken));
        else
            fmt::print("  {}\n", c.disabled ? "disabled" : "nothing attaches");
        if (!c.loses().empty())
            fmt::print("  lost: {}\n", c.loses());
        for (const Way& way : r.ways[i])
            if (!way.used)
                fmt::print("  ({:<10}) {}\n", name_of(way.alternative->mechanism), state_of(way));
    }
    fmt::print("\n{:<15} {}\n  {:<12} {}\n", "owners", owners_tell, r.owners ? "iterator" : "/proc",
               r.owners ? "iter/task_file" : "links of /proc/PID/fd");
    if (!r.owners)
        fmt::print("  lost: {}\n  ({:<10}) refused: {}\n", lost_by_proc, "iterator",
                   r.owners.error().message());
    for (const VerifierCost& cost : r.costs)
        fmt::print("{}{:<24} {:>6} instructions verified\n", &cost == r.costs.data() ? "\n" : "",
                   cost.program, cost.instructions);
}

void print_json(const CheckReport& r)
{
    nlohmann::ordered_json facts = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < r.plan.choices.size(); i++) {
        const Choice& c = r.plan.choices[i];
        nlohmann::ordered_json fact{{"fact", c.fact->name}, {"tells", c.fact->tells}};
        if (c.taken != nullptr) {
            fact["mechanism"] = name_of(c.taken->mechanism);
            auto& hooks = fact["hooks"] = nlohmann::ordered_json::array();
            for (const Hook& h : c.taken->hooks)
                hooks.push_back({{"kind", name_of(h.kind)}, {"symbol", h.symbol}});
        }
        if (c.off)
            fact["off_without"] = c.fact->option;
        if (!c.loses().empty())
            fact["lost"] = c.loses();
        for (const Way& way : r.ways[i])
            fact["alternatives"].push_back({{"mechanism", name_of(way.alternative->mechanism)},
                                            {"state", state_of(way)}});
        facts.push_back(std::move(fact));
    }
    nlohmann::ordered_json report{{"kernel", r.kernel.release},
                                  {"machine", r.kernel.machine},
                                  {"verdict", r.verdict()},
                                  {"title", r.plan.title()},
                                  {"facts", std::move(facts)}};
    auto& owners =
        report["owners"] = {{"tells", owners_tell}, {"by", r.owners ? "iter/task_file" : "/proc"}};
    if (!r.owners) {
        owners["lost"] = lost_by_proc;
        owners["refused"] = r.owners.error().message();
    }
    for (const MissingCapability& m : r.missing)
        report["missing"].push_back({{"capability", m.name}, {"lost", m.loses}});
    for (const VerifierCost& cost : r.costs)
        report["programs"].push_back({{"program", cost.program}, {"verified", cost.instructions}});
    fmt::print("{}\n", report.dump(2));
}

} // namespace

int run_check(const Options& options)
{
    if (const auto status = check_privileges(); !status)
        return fail(status.error());
    KernelProber kernel(options.btf);
    if (const auto status = kernel.can_run(); !status)
        return fail(status.error());
    const Prober can_attach = [&](const Hook& h) { return kernel.can_attach(h); };
    auto plan = choose(options.wish, can_attach);
    if (!plan)
        return fail(plan.error());
    CheckReport report;
    uname(&report.kernel);
    report.plan = std::move(*plan);
    report.missing = missing_for(options);
    for (const Choice& c : report.plan.choices)
        report.ways.push_back(ways_of(c, can_attach));
    if (options.programs && report.works()) {
        auto costs = verifier_costs({options.filter, options.ring_bytes, options.overflow_rate},
                                    report.plan, kernel);
        if (!costs)
            return fail(costs.error());
        report.costs = std::move(*costs);
    }
    const OwnerReader owners(&kernel);
    report.owners = owners.iterator();
    options.json ? print_json(report) : print_text(report);
    return !report.works() ? 1 : report.complete() ? 0 : degraded_code;
}

} // namespace tcpsaga
