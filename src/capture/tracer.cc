// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/tracer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "bpf_object.h"
#include "libbpf_log.h"
#include "rings.h"
#include "tcpsaga/abi.h"
#include "tcpsaga.skel.h" // after abi.h, whose types it names

namespace tcpsaga {
namespace {

using Object = BpfObject<tcpsaga_bpf>;
struct LinkFree {
    void operator()(bpf_link* l) const { bpf_link__destroy(l); }
};

struct Attached {
    const Hook* hook;
    const bpf_program* program;
    std::unique_ptr<bpf_link, LinkFree> link;
};

bool is_probe(const Attached& a)
{
    return a.hook->kind == HookKind::kprobe || a.hook->kind == HookKind::kretprobe;
}

/// Calls that a kprobe was not run for; nullopt before Linux 6.7, which does not tell.
std::optional<std::uint64_t> missed_hits(const Attached& a)
{
    // The head of struct bpf_link_info for a kprobe (include/uapi/linux/bpf.h of 6.7), which
    // the system's header may not have yet.
    struct {
        __u32 type, id, prog_id, pad;
        __u32 event_type, pad2;
        __u64 func_name;
        __u32 name_len, offset;
        __u64 addr, missed;
    } link{};
    __u32 size = sizeof(link);
    if (bpf_obj_get_info_by_fd(bpf_link__fd(a.link.get()), &link, &size) != 0 ||
        size < sizeof(link))
        return std::nullopt;
    return link.missed;
}

/// Calls that the kernel did not run the program for, as far as it tells: since 5.12 for
/// trampolines, 6.1 for tracepoints, 6.7 for kprobes.
std::uint64_t missed_runs(const Attached& a)
{
    bpf_prog_info program{};
    __u32 size = sizeof(program);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(a.program), &program, &size) != 0)
        return 0;
    return program.recursion_misses + (is_probe(a) ? missed_hits(a).value_or(0) : 0);
}

/// Kernels before 5.11 charge BPF maps to RLIMIT_MEMLOCK. Where it cannot be raised, the
/// load tells.
void raise_memlock_limit()
{
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

std::uint32_t shared_facts(const Plan& plan)
{
    std::uint32_t bits = 0;
    const auto add = [&](FactId id, std::uint32_t by_tracepoint, std::uint32_t by_function) {
        const Choice& c = plan.of(id);
        if (c.hooked())
            bits |= c.is(Mechanism::tracepoint) ? by_tracepoint : by_function;
    };
    add(FactId::state, TS_TP_STATE, 0);
    add(FactId::child, TS_TP_BIRTH, TS_FN_BIRTH);
    add(FactId::listen, TS_TP_LISTEN, TS_FN_LISTEN);
    add(FactId::accept, TS_TP_ACCEPT, 0);
    add(FactId::accept_error, TS_TP_ACCEPT_ERROR, 0);
    add(FactId::overflow_ack, 0, TS_FN_REFUSED);
    add(FactId::time_wait_turn, 0, TS_FN_TW_TURN);
    return bits;
}

/// A burst may fill a ring in the time that the consumer sleeps, the sooner the smaller it is:
/// 10 ms for the 8 MB that it has unless told, which more than 800 MB/s would fill.
std::uint64_t wake_interval_ns(std::size_t ring_bytes)
{
    constexpr std::uint64_t longest = 10'000'000;
    return std::min<std::uint64_t>(longest, longest * ring_bytes / (8U << 20U));
}

ts_knobs knobs_for(const Tracer::Options& options, const Plan& plan, const KernelProber& kernel)
{
    ts_knobs k{};
    k.filter = options.filter.for_kernel();
    k.ring_mask = rings_for(options.ring_bytes) - 1;
    k.wake_ns = wake_interval_ns(options.ring_bytes);
    k.untold_states = options.untold_states;
    k.have_cookie = kernel.has_function("bpf_get_socket_ptr_cookie") ? 1 : 0;
    k.shared_facts = shared_facts(plan);
    k.tell_syn_sent = plan.of(FactId::connect).hooked() ? 0 : 1;
    k.args_accept = kernel.arguments_of("inet_csk_accept");
    k.args_listen = kernel.arguments_of("inet_csk_listen_start");
    k.args_syn_recv = kernel.arguments_of("tcp_v4_syn_recv_sock");
    k.args_send_reset = kernel.arguments_of_tracepoint("tcp_send_reset");
    k.args_sys_accept = kernel.arguments_of("__sys_accept4");
    k.args_io_accept = kernel.arguments_of("io_accept");
    k.args_timewait_packet = kernel.arguments_of("tcp_timewait_state_process");
    k.args_retransmit = kernel.arguments_of("tcp_retransmit_skb");
    k.args_tp_retransmit = kernel.arguments_of_tracepoint("tcp_retransmit_skb");
    k.args_twsk_alloc = kernel.arguments_of("inet_twsk_alloc");
    k.args_connect = kernel.arguments_of("tcp_v4_connect");
    k.args_sys_bind = kernel.arguments_of("__sys_bind");
    k.args_sys_listen = kernel.arguments_of("__sys_listen");
    k.overflow_rate = options.overflow_rate;
    k.args_kfree_skb = kernel.arguments_of_tracepoint("kfree_skb");
    std::ranges::copy(no_loss(kernel.enum_names("skb_drop_reason", "SKB_DROP_REASON_")), k.no_loss);
    return k;
}

Error load_error(int err)
{
    std::string remedy;
    if (err == EPERM)
        remedy = "needs CAP_BPF and CAP_PERFMON; before Linux 5.11 also room under ulimit -l";
    else if (err == ENOMEM)
        remedy = "try a smaller --ring";
    const std::string which = last_load_failure();
    return {"cannot load", which.empty() ? "the BPF programs" : "BPF program " + which, err,
            std::move(remedy)};
}

/// The object with its knobs set and the programs of the plan chosen, not loaded.
Result<Object> open_object(const Tracer::Options& options, const Plan& plan,
                           const KernelProber& kernel)
{
    raise_memlock_limit();
    Object skeleton(kernel);
    if (!skeleton)
        return Error{"cannot open", "the BPF object", errno, ""};
    skeleton->rodata->knobs = knobs_for(options, plan, kernel);
    bpf_map__set_max_entries(skeleton->maps.rings, rings_for(options.ring_bytes));
    bpf_map__set_autocreate(skeleton->maps.small_ones, options.filter.cgroup != 0);
    bpf_map__set_autocreate(skeleton->maps.drops, plan.of(FactId::drop).hooked());
    const auto wanted = plan.hooks();
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, skeleton->obj)
    {
        const std::string_view name = bpf_program__name(program);
        bpf_program__set_autoload(program, std::ranges::any_of(wanted, [&](const Hook* h) {
                                      return h->program == name;
                                  }));
    }
    return skeleton;
}

/// A hash map's entries, each as {key, counts}.
template <class Entry, auto key>
std::vector<Entry> contents(const bpf_map* map)
{
    std::vector<Entry> all;
    const int fd = bpf_map__fd(map);
    Entry e{};
    auto last = e.*key;
    const void* previous = nullptr;
    while (bpf_map_get_next_key(fd, previous, &(e.*key)) == 0) {
        if (bpf_map_lookup_elem(fd, &(e.*key), &e.counts) == 0)
            all.push_back(e);
        last = e.*key;
        previous = &last;
    }
    return all;
}

/// Null, with errno, where the kernel refuses.
bpf_link* attach_to(const Hook& hook, const bpf_program& program)
{
    switch (hook.kind) {
    case HookKind::fentry:
    case HookKind::fexit:
    case HookKind::tp_btf:
        return bpf_program__attach_trace(&program);
    default:
        return bpf_program__attach(&program);
    }
}

} // namespace

struct Tracer::Impl {
    Object::Pointer skeleton;
    std::vector<Attached> attached;
    std::uint64_t missed_before_detach = 0;

    /// State changes, opens, accepts and TIME_WAITs have a relief that sees what was missed
    /// (bpf/state.bpf.h): nothing is lost there.
    [[nodiscard]] bool relieved(const Hook& hook) const
    {
        const bool graft = std::ranges::any_of(attached, [](const Attached& a) {
            return a.hook->symbol == "security_sock_graft";
        });
        // Of the system calls that a preempted sys_exit program misses hardly one is an accept.
        const bool trampoline = hook.kind == HookKind::fentry || hook.kind == HookKind::fexit;
        return hook.symbol == "tcp_set_state" || hook.symbol == "inet_sock_set_state" ||
               hook.symbol == "sys_exit" ||
               (trampoline && (hook.symbol == "tcp_connect" || hook.symbol == "tcp_time_wait" ||
                               hook.symbol == "inet_twsk_alloc")) ||
               (graft &&
                (hook.symbol == "inet_csk_accept" || hook.symbol == "security_sock_graft"));
    }

    [[nodiscard]] std::uint64_t missed() const
    {
        std::uint64_t n = missed_before_detach;
        for (const Attached& a : attached)
            n += relieved(*a.hook) ? 0 : missed_runs(a);
        return n;
    }
    std::unique_ptr<Rings> rings;

    Status load(const Options& options, const Plan& plan, const KernelProber& kernel);
    Status attach(const Plan& plan);
};

Status Tracer::Impl::load(const Options& options, const Plan& plan, const KernelProber& kernel)
{
    auto object = open_object(options, plan, kernel);
    if (!object)
        return object.error();
    if (const int err = object->load(); err != 0)
        return load_error(-err);
    skeleton = std::move(*object).take();
    auto opened_rings = Rings::open(bpf_map__fd(skeleton->maps.rings), options.ring_bytes);
    if (!opened_rings)
        return opened_rings.error();
    rings = std::move(*opened_rings);
    return Nothing{};
}

Status Tracer::Impl::attach(const Plan& plan)
{
    for (const Hook* hook : plan.hooks()) {
        const std::string name(hook->program);
        bpf_program* program = bpf_object__find_program_by_name(skeleton->obj, name.c_str());
        bpf_link* link = program != nullptr ? attach_to(*hook, *program) : nullptr;
        if (link == nullptr)
            return Error{"cannot attach", std::string(bpf_program__section_name(program)), errno,
                         "leave it out with --disable-hook"};
        attached.push_back({hook, program, std::unique_ptr<bpf_link, LinkFree>(link)});
    }
    return Nothing{};
}

Tracer::Tracer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tracer::~Tracer() = default;

Result<std::unique_ptr<Tracer>> Tracer::start(const Options& options, const Plan& plan,
                                              const KernelProber& kernel)
{
    auto impl = std::make_unique<Impl>();
    if (auto status = impl->load(options, plan, kernel); !status)
        return status.error();
    if (auto status = impl->attach(plan); !status)
        return status.error();
    return std::unique_ptr<Tracer>(new Tracer(std::move(impl)));
}

Status Tracer::poll(int timeout_ms, const OnRecord& on_record, const OnSoon& on_soon)
{
    return impl_->rings->poll(timeout_ms, on_record, on_soon);
}

int Tracer::ring_fd() const
{
    return impl_->rings->fd();
}

double Tracer::take_ring_fill()
{
    return impl_->rings->take_fill();
}

void Tracer::detach()
{
    impl_->missed_before_detach = impl_->missed();
    impl_->attached.clear();
}

bool Tracer::counts_misses() const
{
    return std::ranges::all_of(impl_->attached, [](const Attached& a) {
        return !is_probe(a) || missed_hits(a).has_value();
    });
}

bool Tracer::can_ask() const
{
    bpf_map_info map{};
    __u32 size = sizeof(map);
    return bpf_obj_get_info_by_fd(bpf_map__fd(impl_->skeleton->maps.rings), &map, &size) == 0;
}

KernelLosses Tracer::losses() const
{
    KernelLosses total;
    for (const auto& slot : impl_->skeleton->bss->counters) {
        for (const auto& n : slot.lost)
            total.ring += __atomic_load_n(&n, __ATOMIC_RELAXED);
        total.missed += __atomic_load_n(&slot.missed, __ATOMIC_RELAXED);
    }
    total.missed += impl_->missed();
    return total;
}

std::vector<ListenerTotals> Tracer::listener_totals() const
{
    return contents<ListenerTotals, &ListenerTotals::key>(impl_->skeleton->maps.listeners);
}

std::vector<NetnsTotals> Tracer::netns_totals() const
{
    return contents<NetnsTotals, &NetnsTotals::netns>(impl_->skeleton->maps.namespaces);
}

std::vector<DropTotals> Tracer::drop_totals() const
{
    return contents<DropTotals, &DropTotals::key>(impl_->skeleton->maps.drops);
}

Result<std::vector<VerifierCost>> verifier_costs(const Tracer::Options& options, const Plan& plan,
                                                 const KernelProber& kernel)
{
    constexpr __u32 log_statistics = 4; // BPF_LOG_STATS, kernel/bpf/verifier.c
    const auto opened = open_object(options, plan, kernel);
    if (!opened)
        return opened.error();
    const Object& skeleton = *opened;
    std::vector<std::pair<bpf_program*, std::string>> logs;
    for (const Hook* hook : plan.hooks())
        logs.emplace_back(bpf_object__find_program_by_name(skeleton->obj,
                                                           std::string(hook->program).c_str()),
                          std::string(4096, '\0'));
    for (auto& [program, log] : logs) {
        bpf_program__set_log_level(program, log_statistics);
        bpf_program__set_log_buf(program, log.data(), log.size());
    }
    if (const int err = skeleton.load(); err != 0)
        return load_error(-err);
    std::vector<VerifierCost> costs;
    for (const auto& [program, log] : logs) {
        const auto at = log.find("processed ");
        costs.push_back(
            {bpf_program__name(program),
             at == std::string::npos ? 0 : std::strtoull(log.c_str() + at + 10, nullptr, 10)});
    }
    return costs;
}

} // namespace tcpsaga
