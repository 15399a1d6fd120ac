// SPDX-License-Identifier: BSD-2-Clause
#include "nats_lessee.h"

#include <unistd.h>

#include <charconv>
#include <random>

#include "message.h"

namespace tcpsaga::fleet {
namespace {

/// Longer than an answer takes; what is not answered is asked again, if there is time.
constexpr std::int64_t answer_ms = 1000;

/// Not where the group is used, but who uses it: unique among all.
std::string make_name()
{
    std::random_device random;
    return std::to_string(::getpid()) + "-" + std::to_string(random()) + std::to_string(random());
}

} // namespace

Lessee::Lessee(Nats<jsCtx> js, Nats<kvStore> store, std::string group, std::chrono::seconds lease)
    : js_(std::move(js)), store_(std::move(store)), group_(std::move(group)), me_(make_name()),
      lease_(lease)
{
}

Result<std::unique_ptr<Lessee>> Lessee::open(const Place& place, natsConnection* connection,
                                             std::string group, std::chrono::seconds lease,
                                             int replicas)
{
    jsOptions options;
    jsOptions_Init(&options);
    options.Wait = answer_ms;
    auto context = jetstream(connection, &options);
    if (!context)
        return context.error();
    jsCtx* const js = context->get();
    const std::string bucket = "tcpsaga_" + place.stream;
    kvStore* made = nullptr;
    natsStatus s = js_KeyValue(&made, js, bucket.c_str());
    if (s == NATS_NOT_FOUND) {
        kvConfig config;
        kvConfig_Init(&config);
        config.Bucket = bucket.c_str();
        config.Description = "tcpsaga: who reads which partition";
        config.TTL = std::chrono::nanoseconds(lease).count();
        config.StorageType = js_MemoryStorage;
        config.Replicas = replicas;
        s = js_CreateKeyValue(&made, js, &config);
        if (s != NATS_OK) // another was quicker
            s = js_KeyValue(&made, js, bucket.c_str());
    }
    if (s != NATS_OK)
        return nats_error("cannot share the partitions of", place, s);
    return std::unique_ptr<Lessee>(new Lessee(std::move(*context), Nats<kvStore>(made),
                                              std::move(group), lease));
}

std::string Lessee::lease_key(unsigned partition) const
{
    return group_ + ".lease." + std::to_string(partition);
}

std::set<unsigned> Lessee::renew()
{
    std::set<unsigned> gone;
    const std::string reader = group_ + ".reader." + me_;
    bool answers = kvStore_PutString(nullptr, store_.get(), reader.c_str(), me_.c_str()) == NATS_OK;
    for (auto& [partition, l] : leases_) {
        const auto until = Clock::now() + lease_;
        const natsStatus s =
            answers ? kvStore_UpdateString(&l.revision, store_.get(), lease_key(partition).c_str(),
                                           me_.c_str(), l.revision)
                    : NATS_TIMEOUT;
        answers = answers && s != NATS_TIMEOUT;
        if (s == NATS_OK)
            l.until = until;
        else if (Clock::now() >= l.until - std::chrono::seconds(1))
            gone.insert(partition); // it may have been another's since
    }
    for (const unsigned partition : gone)
        leases_.erase(partition);
    return gone;
}

std::optional<Standing> Lessee::look(unsigned partitions)
{
    kvKeysList keys{};
    kvWatchOptions how;
    kvWatchOptions_Init(&how);
    how.Timeout = answer_ms;
    const natsStatus s = kvStore_Keys(&keys, store_.get(), &how);
    if (s != NATS_OK && s != NATS_NOT_FOUND)
        return {};
    Standing standing;
    standing.partitions = partitions;
    standing.readers = 0;
    const std::string readers = group_ + ".reader.";
    const std::string leases = group_ + ".lease.";
    for (int i = 0; i < keys.Count; i++) {
        const std::string key = keys.Keys[i];
        unsigned n = 0;
        if (key.starts_with(readers))
            standing.readers++;
        else if (key.starts_with(leases) &&
                 std::from_chars(&key[leases.size()], &key[key.size()], n).ec == std::errc())
            standing.others.insert(n);
    }
    kvKeysList_Destroy(&keys);
    for (const auto& [partition, lease] : leases_) {
        standing.ours.insert(partition);
        standing.others.erase(partition);
    }
    return standing;
}

bool Lessee::take(unsigned partition)
{
    Lease l;
    l.until = Clock::now() + lease_;
    if (kvStore_CreateString(&l.revision, store_.get(), lease_key(partition).c_str(),
                             me_.c_str()) != NATS_OK)
        return false;
    leases_[partition] = l;
    return true;
}

bool Lessee::give(unsigned partition)
{
    return leases_.erase(partition) == 0 ||
           kvStore_Delete(store_.get(), lease_key(partition).c_str()) == NATS_OK;
}

void Lessee::leave()
{
    bool answers = true; // else they go by themselves
    while (answers && !leases_.empty())
        answers = give(leases_.begin()->first);
    if (answers)
        kvStore_Delete(store_.get(), (group_ + ".reader." + me_).c_str());
}

} // namespace tcpsaga::fleet
