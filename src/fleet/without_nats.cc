// SPDX-License-Identifier: BSD-2-Clause
// In the place of agent.cc, nats_intake.cc and nats_stream.cc where there is no libnats.
#include "agent.h"
#include "intake.h"

namespace tcpsaga::fleet {
namespace {

Error without(const std::string& operation, const std::string& what)
{
    return {operation, what, 0, "this tcpsaga was built without NATS"};
}

} // namespace

Result<std::unique_ptr<Carrier>> make_agent(const std::string& where)
{
    return without("cannot write to", where);
}

Result<std::unique_ptr<Intake>> Intake::open(const Place& place, const Reading&)
{
    return without("cannot read", place.name);
}

Result<std::string> make_stream(const Place& place, const StreamWish&)
{
    return without("cannot make", place.name);
}

} // namespace tcpsaga::fleet
