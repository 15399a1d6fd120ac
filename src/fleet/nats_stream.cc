// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "intake.h"
#include "message.h"
#include "nats_client.h"

namespace tcpsaga::fleet {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

bool is_so(const jsStreamConfig& have, const jsStreamConfig& want)
{
    return have.Replicas == want.Replicas && have.MaxAge == want.MaxAge &&
           have.MaxBytes == want.MaxBytes && have.Duplicates == want.Duplicates;
}

} // namespace

Result<std::string> make_stream(const Place& place, const StreamWish& wish)
{
    auto options = options_for(place, "tcpsaga fleet init");
    if (!options)
        return options.error();
    auto connection = connect_to(place, options->get());
    if (!connection)
        return connection.error();
    auto js = jetstream(connection->get());
    if (!js)
        return js.error();

    const auto subjects = subjects_of(place.partitions);
    std::vector<const char*> names;
    names.reserve(subjects.size());
    for (const std::string& s : subjects)
        names.push_back(s.c_str());
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = place.stream.c_str();
    config.Description = "tcpsaga: events of TCP connections (docs/events.md, version 1)";
    config.Subjects = names.data();
    config.SubjectsLen = static_cast<int>(names.size());
    config.Replicas = wish.replicas;
    config.MaxAge = static_cast<std::int64_t>(wish.max_age_s) * second_ns;
    config.MaxBytes = wish.max_bytes == 0 ? -1 : static_cast<std::int64_t>(wish.max_bytes);
    config.Duplicates = static_cast<std::int64_t>(wish.duplicates_s) * second_ns;
    config.Storage = js_FileStorage;

    jsStreamInfo* got = nullptr;
    auto code = static_cast<jsErrCode>(0);
    natsStatus s = js_GetStreamInfo(&got, js->get(), place.stream.c_str(), nullptr, &code);
    Nats<jsStreamInfo> there(got);
    if (s != NATS_OK && s != NATS_NOT_FOUND)
        return nats_error("cannot look at", place, s, code);
    if (s == NATS_OK) {
        const auto partitions = check_stream(js->get(), place);
        if (!partitions)
            return partitions.error();
        if (*partitions != place.partitions)
            return Error{"cannot change", place.name, 0,
                         fmt::format("it has {} partitions; with others both ends of a connection "
                                     "would not meet: make another stream",
                                     *partitions)};
        if (is_so(*there->Config, config))
            return fmt::format("{} is as wanted: {} partitions, {} replicas", place.name,
                               place.partitions, wish.replicas);
    }
    got = nullptr;
    s = there ? js_UpdateStream(&got, js->get(), &config, nullptr, &code)
              : js_AddStream(&got, js->get(), &config, nullptr, &code);
    const Nats<jsStreamInfo> made(got);
    if (s != NATS_OK)
        return nats_error(there ? "cannot change" : "cannot make", place, s, code);
    return fmt::format("{} {}: {} partitions, {} replicas", there ? "changed" : "made", place.name,
                       place.partitions, wish.replicas);
}

} // namespace tcpsaga::fleet
