// SPDX-License-Identifier: BSD-2-Clause
#include "agent.h"

#include <sys/utsname.h>

#include <ctime>
#include <fstream>

#include "nats_engine.h"
#include "place.h"
#include "shipper.h"

namespace tcpsaga::fleet {
namespace {

Run this_run()
{
    utsname system{};
    uname(&system);
    std::string boot;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    constexpr std::uint64_t second = 1'000'000'000;
    return {system.nodename, boot.empty() ? "unknown" : boot,
            static_cast<std::uint64_t>(now.tv_sec) * second +
                static_cast<std::uint64_t>(now.tv_nsec)};
}

} // namespace

Result<std::unique_ptr<Carrier>> make_agent(const std::string& where)
{
    auto place = parse_place(where);
    if (!place)
        return place.error();
    const Run run = this_run();
    auto spool = Spool::open(place->spool, place->spool_most, run.host);
    if (!spool)
        return spool.error();
    auto engine = make_nats_engine(*place, "tcpsaga " + run.host);
    return std::unique_ptr<Carrier>(std::make_unique<Shipper>(run, place->partitions,
                                                              std::move(engine), std::move(*spool),
                                                              Shipper::Limits{}));
}

} // namespace tcpsaga::fleet
