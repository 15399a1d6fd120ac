// SPDX-License-Identifier: BSD-2-Clause
#include "nats_client.h"

#include <fmt/format.h>

#include "message.h"
#include "tcpsaga/signals.h"

namespace tcpsaga::fleet {
namespace {

// A network that is cut without a word is noticed after so long.
constexpr std::int64_t ping_ms = 3000;
constexpr int pings_unanswered = 2;
constexpr std::int64_t connect_ms = 2000;
constexpr std::int64_t reconnect_wait_ms = 500;
constexpr std::int64_t write_deadline_ms = 2000;

const char* remedy_for(natsStatus status, const Place& place)
{
    switch (status) {
    case NATS_NO_SERVER:
    case NATS_TIMEOUT:
    case NATS_IO_ERROR:
        return "start nats-server there, or name another";
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
        return place.credentials.empty() ? "want ?creds=FILE" : "renew the credentials";
    case NATS_SSL_ERROR:
        return "want tls:// and perhaps ?ca=FILE";
    case NATS_NO_RESPONDERS:
        return "it has no JetStream, or no leader yet";
    default:
        return "";
    }
}

/// What libnats says begins with where in its sources: "(conn.c:2088): ".
std::string_view without_place(std::string_view detail)
{
    const std::size_t end = detail.find("): ");
    return detail.starts_with('(') && end != std::string_view::npos ? detail.substr(end + 3)
                                                                    : detail;
}

} // namespace

Error nats_error(const std::string& operation, const Place& place, natsStatus status,
                 jsErrCode code)
{
    natsStatus last = NATS_OK;
    const char* detail = nats_GetLastError(&last);
    std::string text = natsStatus_GetText(status);
    if (detail != nullptr && last == status)
        if (const std::string_view more = without_place(detail); !more.empty() && more != text)
            text += fmt::format(" ({})", more);
    if (code != 0)
        text += " [" + std::to_string(code) + "]";
    return {operation, place.name + ": " + text, 0, remedy_for(status, place)};
}

Result<Nats<natsOptions>> options_for(const Place& place, const std::string& client_name)
{
    natsOptions* made = nullptr;
    if (const natsStatus s = natsOptions_Create(&made); s != NATS_OK)
        return nats_error("cannot connect to", place, s);
    Nats<natsOptions> o(made);
    std::vector<const char*> servers;
    servers.reserve(place.servers.size());
    for (const std::string& server : place.servers)
        servers.push_back(server.c_str());
    natsStatus s =
        natsOptions_SetServers(o.get(), servers.data(), static_cast<int>(servers.size()));
    const auto then = [&s](natsStatus next) { s = s == NATS_OK ? next : s; };
    then(natsOptions_SetName(o.get(), client_name.c_str()));
    then(natsOptions_SetTimeout(o.get(), connect_ms));
    then(natsOptions_SetPingInterval(o.get(), ping_ms));
    then(natsOptions_SetMaxPingsOut(o.get(), pings_unanswered));
    then(natsOptions_SetMaxReconnect(o.get(), -1));
    then(natsOptions_SetReconnectWait(o.get(), reconnect_wait_ms));
    then(natsOptions_SetWriteDeadline(o.get(), write_deadline_ms));
    then(natsOptions_SetFailRequestsOnDisconnect(o.get(), true));
    if (!place.credentials.empty())
        then(natsOptions_SetUserCredentialsFromFiles(o.get(), place.credentials.c_str(), nullptr));
    if (place.tls)
        then(natsOptions_SetSecure(o.get(), true));
    if (!place.ca.empty())
        then(natsOptions_LoadCATrustedCertificates(o.get(), place.ca.c_str()));
    if (!place.certificate.empty())
        then(natsOptions_LoadCertificatesChain(o.get(), place.certificate.c_str(),
                                               place.key.c_str()));
    if (s != NATS_OK)
        return nats_error("cannot connect to", place, s);
    return o;
}

Result<Nats<natsConnection>> connect_to(const Place& place, natsOptions* options)
{
    const SignalsBlocked quiet;
    natsConnection* made = nullptr;
    const natsStatus s = natsConnection_Connect(&made, options);
    if (s != NATS_OK)
        return nats_error("cannot connect to", place, s);
    return Nats<natsConnection>(made);
}

Result<Nats<jsCtx>> jetstream(natsConnection* connection, const jsOptions* options)
{
    jsOptions o;
    jsOptions_Init(&o);
    if (options != nullptr)
        o = *options;
    jsCtx* made = nullptr;
    if (const natsStatus s = natsConnection_JetStream(&made, connection, &o); s != NATS_OK)
        return Error{"cannot use", "JetStream", 0, natsStatus_GetText(s)};
    return Nats<jsCtx>(made);
}

Result<unsigned> check_stream(jsCtx* js, const Place& place)
{
    jsStreamInfo* got = nullptr;
    auto code = static_cast<jsErrCode>(0);
    const natsStatus s = js_GetStreamInfo(&got, js, place.stream.c_str(), nullptr, &code);
    if (s == NATS_NOT_FOUND)
        return Error{"no stream at", place.name, 0, "make it: tcpsaga fleet init"};
    if (s != NATS_OK)
        return nats_error("cannot look at", place, s, code);
    const Nats<jsStreamInfo> info(got);
    std::vector<std::string> subjects;
    subjects.assign(info->Config->Subjects, info->Config->Subjects + info->Config->SubjectsLen);
    const unsigned partitions = partitions_of(subjects);
    if (partitions == 0)
        return Error{"not a stream of tcpsaga's:", place.name, 0,
                     "name another, or make one: tcpsaga fleet init"};
    return partitions;
}

} // namespace tcpsaga::fleet
