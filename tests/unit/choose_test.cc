// SPDX-License-Identifier: BSD-2-Clause
// The choice of hooks, for every combination of what a kernel may refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "tcpsaga/attach.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Programs = std::set<std::string_view>;

const std::array<std::optional<Mechanism>, 4> preferences{std::nullopt, Mechanism::trampoline,
                                                          Mechanism::kprobe, Mechanism::tracepoint};

std::string refusal(const Hook& h)
{
    return "no " + std::string(h.program);
}

/// A kernel that refuses these programs.
Prober refusing(const Programs& programs)
{
    return [programs](const Hook& h) -> Status {
        if (programs.contains(h.program))
            return Error{refusal(h), "", 0, ""};
        return Nothing{};
    };
}

const Prober anything_goes = refusing({});

/// A wish for every fact, also for those that are off without their option.
Wish wish_of(std::optional<Mechanism> preferred, std::vector<std::string> disabled = {})
{
    Wish wish{preferred, std::move(disabled), {}};
    for (const Fact& f : facts())
        if (!f.option.empty())
            wish.asked.emplace_back(f.name);
    return wish;
}

Plan chosen(const Wish& wish, const Prober& prober)
{
    auto plan = choose(wish, prober);
    if (!plan)
        throw std::runtime_error(plan.error().message());
    return *plan;
}

std::vector<std::string_view> programs_of(const Fact& fact)
{
    Programs all;
    for (const Alternative& a : fact.alternatives)
        for (const Hook& h : a.hooks)
            all.insert(h.program);
    return {all.begin(), all.end()};
}

std::vector<const Alternative*> in_order(const Fact& fact, std::optional<Mechanism> preferred)
{
    std::vector<const Alternative*> order;
    for (const bool first : {true, false})
        for (const Alternative& a : fact.alternatives)
            if ((preferred && a.mechanism == *preferred) == first)
                order.push_back(&a);
    return order;
}

/// What choose() is to take and reject for one fact.
void expect_choice(const Choice& c, std::optional<Mechanism> preferred, const Programs& refused)
{
    std::vector<std::pair<const Alternative*, std::string>> rejected;
    const Alternative* taken = nullptr;
    for (const Alternative* a : in_order(*c.fact, preferred)) {
        const auto obstacle = std::ranges::find_if(a->hooks, [&](const Hook& h) {
            return refused.contains(h.program);
        });
        if (obstacle == a->hooks.end()) {
            taken = a;
            break;
        }
        rejected.emplace_back(a, refusal(*obstacle));
    }
    ASSERT_EQ(c.taken, taken);
    ASSERT_EQ(c.rejected.size(), rejected.size());
    for (std::size_t i = 0; i < rejected.size(); i++) {
        ASSERT_EQ(c.rejected[i].alternative, rejected[i].first);
        ASSERT_EQ(c.rejected[i].why, rejected[i].second);
    }
    ASSERT_FALSE(c.disabled);
    ASSERT_EQ(c.loses(), taken != nullptr ? taken->loses : c.fact->without);
    ASSERT_EQ(c.hooked(), taken != nullptr && !taken->hooks.empty());
    for (const Mechanism m : {Mechanism::trampoline, Mechanism::kprobe, Mechanism::tracepoint})
        ASSERT_EQ(c.is(m), taken != nullptr && taken->mechanism == m);
}

class choice_of : public ::testing::TestWithParam<const Fact*> {};

TEST_P(choice_of, takes_the_first_that_attaches_of_every_combination)
{
    const Fact& fact = *GetParam();
    const auto programs = programs_of(fact);
    ASSERT_LE(programs.size(), 12U);
    for (unsigned set = 0; set < 1U << programs.size(); set++) {
        Programs refused;
        for (std::size_t i = 0; i < programs.size(); i++)
            if ((set >> i & 1U) != 0)
                refused.insert(programs[i]);
        for (const auto preferred : preferences) {
            const Plan plan = chosen(wish_of(preferred), refusing(refused));
            expect_choice(plan.of(fact.id), preferred, refused);
            ASSERT_FALSE(HasFatalFailure())
                << "preferred " << (preferred ? name_of(*preferred) : "auto") << ", refused "
                << ::testing::PrintToString(refused);
        }
    }
}

TEST_P(choice_of, is_nothing_when_disabled)
{
    const Fact& fact = *GetParam();
    const Plan plan = chosen(wish_of({}, {std::string(fact.name)}), anything_goes);
    for (const Choice& c : plan.choices) {
        EXPECT_EQ(c.disabled, c.fact == &fact) << c.fact->name;
        EXPECT_EQ(c.taken == nullptr, c.fact == &fact) << c.fact->name;
        EXPECT_TRUE(c.rejected.empty()) << c.fact->name;
    }
    EXPECT_EQ(plan.of(fact.id).loses(), fact.without);
    EXPECT_FALSE(plan.of(fact.id).hooked());
}

TEST_P(choice_of, a_disabled_fact_is_not_probed)
{
    const Fact& fact = *GetParam();
    Programs asked;
    Programs of_others;
    const Prober probe = [&](const Hook& h) -> Status {
        asked.insert(h.program);
        return Error{"refused", "", 0, ""};
    };
    for (const Fact& other : facts())
        if (&other != &fact)
            for (const Alternative& a : other.alternatives)
                if (!a.hooks.empty())
                    of_others.insert(a.hooks[0].program);
    (void)chosen(wish_of({}, {std::string(fact.name)}), probe);
    for (const std::string_view program : asked)
        EXPECT_TRUE(of_others.contains(program)) << program;
}

std::vector<const Fact*> every_fact()
{
    std::vector<const Fact*> all;
    for (const Fact& f : facts())
        all.push_back(&f);
    return all;
}

INSTANTIATE_TEST_SUITE_P(facts, choice_of, ::testing::ValuesIn(every_fact()),
                         [](const auto& info) { return std::string(info.param->name); });

// ---- the table itself ---------------------------------------------------------------------------

TEST(attach_table, has_every_fact_once_in_order)
{
    std::set<std::string_view> names;
    for (const Fact& f : facts()) {
        EXPECT_EQ(f.id, static_cast<FactId>(names.size())) << f.name;
        EXPECT_FALSE(f.tells.empty()) << f.name;
        EXPECT_FALSE(f.without.empty()) << f.name;
        EXPECT_FALSE(f.alternatives.empty()) << f.name;
        EXPECT_TRUE(names.insert(f.name).second) << f.name;
    }
    for (const char* name : {"state", "child", "listen", "connect", "accept", "time_wait",
                             "time_wait_turn", "time_wait_exit", "reset_sent", "reset_received"})
        EXPECT_TRUE(names.contains(name)) << name;
}

TEST(attach_table, prefers_trampolines_then_kprobes_then_tracepoints)
{
    for (const Fact& f : facts())
        EXPECT_TRUE(std::ranges::is_sorted(f.alternatives, {}, &Alternative::mechanism)) << f.name;
}

TEST(attach_table, needs_hooks_of_the_mechanism_it_names)
{
    using K = HookKind;
    const std::map<Mechanism, std::set<K>> kinds{{Mechanism::trampoline, {K::fentry, K::fexit}},
                                                 {Mechanism::kprobe, {K::kprobe, K::kretprobe}},
                                                 {Mechanism::tracepoint, {K::tp_btf, K::raw_tp}}};
    for (const Fact& f : facts())
        for (const Alternative& a : f.alternatives)
            if (!a.hooks.empty()) {
                EXPECT_TRUE(kinds.at(a.mechanism).contains(a.hooks[0].kind)) << f.name;
            }
}

TEST(attach_table, a_program_has_one_place)
{
    std::map<std::string_view, std::pair<HookKind, std::string_view>> places;
    for (const Fact& f : facts())
        for (const Alternative& a : f.alternatives)
            for (const Hook& h : a.hooks) {
                const auto place = std::make_pair(h.kind, h.symbol);
                EXPECT_EQ(places.emplace(h.program, place).first->second, place) << h.program;
            }
    EXPECT_GE(places.size(), 20U);
}

// A kretprobe knows no argument: its kprobe keeps them (bpf/return_probe.bpf.h).
TEST(attach_table, a_return_probe_comes_with_its_entry)
{
    for (const Fact& f : facts())
        for (const Alternative& a : f.alternatives)
            for (const Hook& h : a.hooks) {
                const auto entry = std::ranges::find_if(a.hooks, [&](const Hook& e) {
                    return e.kind == HookKind::kprobe && e.symbol == h.symbol;
                });
                EXPECT_TRUE(h.kind != HookKind::kretprobe || entry != a.hooks.end()) << h.program;
            }
}

TEST(attach_table, loses_nothing_where_everything_attaches)
{
    for (const Choice& c : chosen(wish_of({}), anything_goes).choices) {
        EXPECT_EQ(c.taken, &c.fact->alternatives[0]) << c.fact->name;
        EXPECT_EQ(c.loses(), "") << c.fact->name;
    }
}

// ---- wishes -------------------------------------------------------------------------------------

TEST(wish, prefers_a_mechanism_where_there_is_one)
{
    for (const auto m : {Mechanism::trampoline, Mechanism::kprobe, Mechanism::tracepoint})
        for (const Choice& c : chosen(wish_of(m), anything_goes).choices) {
            const auto& ways = c.fact->alternatives;
            const auto it = std::ranges::find(ways, m, &Alternative::mechanism);
            EXPECT_EQ(c.taken, it != ways.end() ? &*it : &ways[0])
                << c.fact->name << " by " << name_of(m);
        }
}

TEST(wish, to_disable_an_unknown_hook_is_refused_with_the_names)
{
    bool probed = false;
    const auto plan = choose({{}, {"state", "nonsense"}}, [&](const Hook&) -> Status {
        probed = true;
        return Nothing{};
    });
    ASSERT_FALSE(plan);
    EXPECT_FALSE(probed);
    EXPECT_THAT(plan.error().message(),
                ::testing::StartsWith("no such hook 'nonsense'; there are state, child, "));
    for (const Fact& f : facts())
        EXPECT_THAT(plan.error().message(), HasSubstr(" " + std::string(f.name))) << f.name;
}

TEST(wish, to_disable_several)
{
    const Plan plan = chosen(wish_of({}, {"accept", "time_wait_turn"}), anything_goes);
    for (const Choice& c : plan.choices)
        EXPECT_EQ(c.disabled, c.fact->name == "accept" || c.fact->name == "time_wait_turn")
            << c.fact->name;
}

TEST(wish, on_a_kernel_that_gives_nothing)
{
    const Plan plan = chosen(wish_of({}), [](const Hook&) -> Status {
        return Error{"no", "", EPERM, ""};
    });
    for (const Choice& c : plan.choices) {
        const bool needs_none =
            std::ranges::any_of(c.fact->alternatives, [](auto& a) { return a.hooks.empty(); });
        EXPECT_EQ(c.taken != nullptr, needs_none) << c.fact->name;
        EXPECT_FALSE(c.hooked()) << c.fact->name;
        for (const Rejected& r : c.rejected)
            EXPECT_EQ(r.why, "no: Operation not permitted") << c.fact->name;
    }
    EXPECT_TRUE(plan.hooks().empty());
    EXPECT_EQ(plan.title(), "0 hooks");
}

// A fact with an option is neither tried nor missed without it, disabled or not.
TEST(wish, not_to_have_what_has_an_option)
{
    Programs asked;
    const Prober probe = [&](const Hook& h) -> Status {
        asked.insert(h.program);
        return Nothing{};
    };
    for (const std::vector<std::string>& disabled : {std::vector<std::string>{}, {"drop"}}) {
        const Plan plan = chosen({{}, disabled, {}}, probe);
        for (const Choice& c : plan.choices) {
            EXPECT_EQ(c.off, c.fact->id == FactId::drop) << c.fact->name;
            EXPECT_EQ(c.taken == nullptr, c.off) << c.fact->name;
            EXPECT_FALSE(c.disabled) << c.fact->name;
            EXPECT_EQ(c.loses(), "") << c.fact->name;
        }
        EXPECT_FALSE(plan.of(FactId::drop).hooked());
    }
    for (const std::string_view program : programs_of(facts().back()))
        EXPECT_FALSE(asked.contains(program)) << program;
    EXPECT_TRUE(chosen(wish_of({}), anything_goes).of(FactId::drop).hooked());
}

// ---- the plan -----------------------------------------------------------------------------------

constexpr Hook a_hook{"a", HookKind::fentry, "f"};
constexpr Hook b_hook{"b", HookKind::fexit, "f"};
constexpr Hook p_hook{"p", HookKind::kprobe, "g"};
constexpr Hook t_hook{"t", HookKind::tp_btf, "h"};
constexpr std::array a_and_b{a_hook, b_hook};
constexpr std::array only_a{a_hook};
constexpr std::array only_p{p_hook};
constexpr std::array only_t{t_hook};
constexpr Alternative by_a_and_b{Mechanism::trampoline, a_and_b, ""};
constexpr Alternative by_a{Mechanism::trampoline, only_a, ""};
constexpr Alternative by_p{Mechanism::kprobe, only_p, ""};
constexpr Alternative by_t{Mechanism::tracepoint, only_t, ""};
constexpr Alternative by_nothing{Mechanism::tracepoint, {}, "much"};
constexpr Fact a_fact{FactId::state, "state", "", "all", {}};

Plan plan_of(std::vector<const Alternative*> taken)
{
    Plan plan;
    for (const Alternative* a : taken)
        plan.choices.push_back({&a_fact, a, {}, false, false});
    return plan;
}

std::vector<std::string_view> hooks_of(const Plan& plan)
{
    std::vector<std::string_view> programs;
    for (const Hook* h : plan.hooks())
        programs.push_back(h->program);
    return programs;
}

TEST(plan, loads_a_shared_program_once)
{
    EXPECT_THAT(hooks_of(plan_of({&by_t, &by_a, nullptr, &by_t, &by_nothing, &by_a_and_b})),
                ElementsAre("t", "a", "b"));
}

TEST(plan, title_of_one_mechanism)
{
    EXPECT_EQ(plan_of({&by_a_and_b}).title(), "trampoline, 2 hooks");
    EXPECT_EQ(plan_of({&by_a_and_b, &by_a, nullptr}).title(), "trampoline, 2 hooks");
    EXPECT_EQ(plan_of({&by_p}).title(), "kprobe, 1 hook");
    EXPECT_EQ(plan_of({&by_t, &by_t, &by_nothing}).title(), "tracepoint, 1 hook");
}

TEST(plan, title_of_several)
{
    EXPECT_EQ(plan_of({&by_p, &by_a_and_b}).title(), "trampoline 2, kprobe 1: 3 hooks");
    EXPECT_EQ(plan_of({&by_t, &by_a, &by_p}).title(),
              "trampoline 1, kprobe 1, tracepoint 1: 3 hooks");
}

TEST(plan, title_counts_what_is_loaded)
{
    for (const auto preferred : preferences) {
        const Plan plan = chosen(wish_of(preferred), anything_goes);
        EXPECT_THAT(plan.title(), HasSubstr(std::to_string(plan.hooks().size()) + " hooks"));
    }
}

TEST(plan, title_names_what_is_used)
{
    EXPECT_THAT(chosen(wish_of({}), anything_goes).title(), ::testing::StartsWith("trampoline"));
    EXPECT_THAT(chosen(wish_of(Mechanism::kprobe), anything_goes).title(),
                ::testing::StartsWith("kprobe"));
    EXPECT_THAT(chosen(wish_of(Mechanism::tracepoint), anything_goes).title(),
                HasSubstr("tracepoint"));
}

} // namespace
} // namespace tcpsaga::testing
