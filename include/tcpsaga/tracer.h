// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tcpsaga/attach.h"
#include "tcpsaga/correlator.h"
#include "tcpsaga/filter.h"
#include "tcpsaga/probe.h"
#include "tcpsaga/result.h"

namespace tcpsaga {

/// Records that the kernel side could not deliver, since the start.
struct KernelLosses {
    std::uint64_t ring = 0;   ///< no room in the ring
    std::uint64_t missed = 0; ///< calls that the kernel did not run our program for
};

/// Attached programs and their rings. Detaches and frees everything when it goes.
class Tracer {
public:
    struct Options {
        Filter filter;
        std::size_t ring_bytes = std::size_t{8}
                                 << 20; ///< of all rings; a power of two, whole pages
        std::uint32_t overflow_rate =
            100;                         ///< overflow records per listener, kind and second; drops
        std::uint32_t untold_states = 0; ///< a bit per State: changes to it are not recorded
    };
    using OnRecord = std::function<bool(std::span<const std::byte>)>; ///< false: no more for now
    using OnSoon = std::function<void(std::span<const std::byte>)>;   ///< some records before that

    static Result<std::unique_ptr<Tracer>> start(const Options& options, const Plan& plan,
                                                 const KernelProber& kernel);
    ~Tracer();
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    /// Waits up to `timeout_ms` for records, or a signal, and passes on all there were then, in the
    /// order of their time. The callback's `false` leaves the rest where it is.
    Status poll(int timeout_ms, const OnRecord& on_record, const OnSoon& on_soon = {});
    /// Readable when poll() would not wait.
    [[nodiscard]] int ring_fd() const;
    /// The fullest that a ring was when poll() came to it, 0 to 1, since the last call.
    double take_ring_fill();
    /// Stops recording; what is in the rings stays there for poll().
    void detach();
    /// False where the kernel refuses, at the caller's privileges, what losses() and the totals
    /// ask.
    [[nodiscard]] bool can_ask() const;
    [[nodiscard]] KernelLosses losses() const;
    /// False where the kernel may skip an attached program without telling.
    [[nodiscard]] bool counts_misses() const;
    /// What every listener's queues turned away, counted in the kernel.
    [[nodiscard]] std::vector<ListenerTotals> listener_totals() const;
    [[nodiscard]] std::vector<NetnsTotals> netns_totals() const;
    [[nodiscard]] std::vector<DropTotals> drop_totals() const;

private:
    struct Impl;
    explicit Tracer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// How many instructions this kernel's verifier walks to accept a program.
struct VerifierCost {
    std::string program;
    std::uint64_t instructions;
};
/// Loads what `plan` takes, attaches nothing.
Result<std::vector<VerifierCost>> verifier_costs(const Tracer::Options& options, const Plan& plan,
                                                 const KernelProber& kernel);

} // namespace tcpsaga
