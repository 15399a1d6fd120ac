// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <array>

#include "tcpsaga/attach.h"

namespace tcpsaga {
namespace {

constexpr std::array mechanisms{Mechanism::trampoline, Mechanism::kprobe, Mechanism::tracepoint};

std::vector<const Alternative*> in_order(const Fact& fact, std::optional<Mechanism> preferred)
{
    std::vector<const Alternative*> order;
    for (const Alternative& a : fact.alternatives)
        order.push_back(&a);
    if (preferred)
        std::ranges::stable_partition(order, [&](const Alternative* a) {
            return a->mechanism == *preferred;
        });
    return order;
}

/// Why not, or "" when all hooks attach.
std::string obstacle(const Alternative& a, const Prober& can_attach)
{
    for (const Hook& hook : a.hooks)
        if (const Status status = can_attach(hook); !status)
            return status.error().message();
    return "";
}

Choice choose_for(const Fact& fact, const Wish& wish, const Prober& can_attach)
{
    Choice choice{&fact, nullptr, {}, false, false};
    choice.off =
        !fact.option.empty() && std::ranges::find(wish.asked, fact.name) == wish.asked.end();
    if (choice.off)
        return choice;
    choice.disabled = std::ranges::find(wish.disabled, fact.name) != wish.disabled.end();
    if (choice.disabled)
        return choice;
    for (const Alternative* a : in_order(fact, wish.preferred)) {
        std::string why = obstacle(*a, can_attach);
        if (why.empty()) {
            choice.taken = a;
            break;
        }
        choice.rejected.push_back({a, std::move(why)});
    }
    return choice;
}

} // namespace

std::string_view name_of(Mechanism m)
{
    static constexpr std::array<std::string_view, 3> names{"trampoline", "kprobe", "tracepoint"};
    return names.at(static_cast<std::size_t>(m));
}

std::string_view name_of(HookKind k)
{
    static constexpr std::array<std::string_view, 6> names{"fentry",    "fexit",  "kprobe",
                                                           "kretprobe", "tp_btf", "raw_tp"};
    return names.at(static_cast<std::size_t>(k));
}

std::string_view Choice::loses() const
{
    if (off)
        return "";
    return taken != nullptr ? taken->loses : fact->without;
}

const Choice& Plan::of(FactId id) const
{
    return *std::ranges::find_if(choices, [&](const Choice& c) { return c.fact->id == id; });
}

std::vector<const Hook*> Plan::hooks() const
{
    std::vector<const Hook*> found;
    for (const Choice& c : choices)
        if (c.taken != nullptr)
            for (const Hook& hook : c.taken->hooks)
                if (std::ranges::none_of(found,
                                         [&](auto* h) { return h->program == hook.program; }))
                    found.push_back(&hook);
    return found;
}

std::string Plan::title() const
{
    std::array<std::size_t, mechanisms.size()> count{};
    for (const Hook* hook : hooks())
        for (const Choice& c : choices)
            if (c.taken != nullptr && std::ranges::find(c.taken->hooks, hook->program,
                                                        &Hook::program) != c.taken->hooks.end()) {
                count.at(static_cast<std::size_t>(c.taken->mechanism))++;
                break;
            }
    const auto used = std::ranges::count_if(count, [](std::size_t n) { return n > 0; });
    std::string text;
    std::size_t total = 0;
    for (std::size_t i = 0; i < count.size(); i++) {
        if (count[i] == 0)
            continue;
        total += count[i];
        text += (text.empty() ? "" : ", ") + std::string(name_of(mechanisms[i]));
        if (used > 1)
            text += " " + std::to_string(count[i]);
    }
    text += (used > 1    ? ": "
             : used == 1 ? ", "
                         : "") +
            std::to_string(total) + (total == 1 ? " hook" : " hooks");
    return text;
}

Result<Plan> choose(const Wish& wish, const Prober& can_attach)
{
    for (const std::string& name : wish.disabled)
        if (std::ranges::none_of(facts(), [&](const Fact& f) { return f.name == name; })) {
            std::string known;
            for (const Fact& f : facts())
                known += (known.empty() ? "" : ", ") + std::string(f.name);
            return Error{"no such hook", "'" + name + "'", 0, "there are " + known};
        }
    Plan plan;
    for (const Fact& fact : facts())
        plan.choices.push_back(choose_for(fact, wish, can_attach));
    return plan;
}

} // namespace tcpsaga
