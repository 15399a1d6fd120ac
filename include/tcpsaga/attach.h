// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * Attachment is data: for each fact its alternatives in order, and what is lost with
 * each. `choose` picks from what a prober says of the running kernel; the live tracer
 * loads what was chosen; `check` prints the same table.
 */
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tcpsaga/result.h"

namespace tcpsaga {

enum class Mechanism { trampoline, kprobe, tracepoint };
std::string_view name_of(Mechanism m);

enum class HookKind { fentry, fexit, kprobe, kretprobe, tp_btf, raw_tp };
std::string_view name_of(HookKind k);

/// One BPF program and the place in the kernel that it needs.
struct Hook {
    std::string_view program; ///< its name in bpf/tcpsaga.bpf.c
    HookKind kind;
    std::string_view symbol; ///< kernel function, or tracepoint without its group
};

struct Alternative {
    Mechanism mechanism;
    std::span<const Hook> hooks; ///< none: concluded from other facts
    std::string_view loses;      ///< "" = nothing
};

enum class FactId {
    state,
    child,
    listen,
    bind_error,
    connect,
    connect_error,
    accept,
    time_wait,
    time_wait_turn,
    time_wait_exit,
    retransmit,
    retransmit_synack,
    synack_timeout,
    reset_sent,
    reset_received,
    reset_count,
    overflow_syn,
    overflow_ack,
    accept_error,
    drop,
};

struct Fact {
    FactId id;
    std::string_view name; ///< for --disable-hook and messages
    std::string_view tells;
    std::string_view without; ///< what is lost when nothing attaches
    std::span<const Alternative> alternatives;
    std::string_view option{}; ///< off without it; "" = always on
};

std::span<const Fact> facts();

struct Rejected {
    const Alternative* alternative;
    std::string why;
};

struct Choice {
    const Fact* fact;
    const Alternative* taken = nullptr; ///< null: the fact is lost
    std::vector<Rejected> rejected;     ///< tried before it, in order
    bool disabled = false;              ///< by --disable-hook
    bool off = false;                   ///< not asked for: nothing is lost

    [[nodiscard]] bool is(Mechanism m) const { return taken != nullptr && taken->mechanism == m; }
    [[nodiscard]] bool hooked() const { return taken != nullptr && !taken->hooks.empty(); }
    /// What the user misses: "" = nothing.
    [[nodiscard]] std::string_view loses() const;
};

struct Plan {
    std::vector<Choice> choices; ///< one per fact, in the table's order

    [[nodiscard]] const Choice& of(FactId id) const;
    /// The programs to load: each once, however many facts share it.
    [[nodiscard]] std::vector<const Hook*> hooks() const;
    /// "trampoline, 10 hooks"; "trampoline 9, kprobe 2 hooks" when mixed.
    [[nodiscard]] std::string title() const;
};

struct Wish {
    std::optional<Mechanism> preferred; ///< nullopt = auto, the table's order
    std::vector<std::string> disabled;  ///< fact names
    std::vector<std::string> asked{};   ///< the names of facts that have an option
};

/// Tells whether a hook can be attached here and now.
using Prober = std::function<Status(const Hook&)>;

/// Takes for each fact the first alternative all of whose hooks attach: of the preferred
/// mechanism first, then in the table's order. Errors: an unknown name in `disabled`.
Result<Plan> choose(const Wish& wish, const Prober& can_attach);

} // namespace tcpsaga
