// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "place.h"
#include "tally.h"
#include "tcpsaga/result.h"

namespace tcpsaga::fleet {

/// A message as it was sent. It is acknowledged once nobody has it any more and
/// Intake::acknowledge() was called; until then, whatever becomes of us, somebody gets it again.
struct Delivery {
    virtual ~Delivery() = default;
    std::string id; ///< "" = a foreign one
    std::string subject;
    std::string body;
    Coming coming;
    std::vector<std::shared_ptr<Delivery>> also; ///< the same again: acknowledged with this one
};

/// How a stream is read.
struct Reading {
    std::string group; ///< that shares the partitions; "" = it reads all, for itself
    std::chrono::seconds ack_wait{15};    ///< somebody else gets it then; a new group's only
    bool until_now = false;               ///< it ends when everything that is there has come
    std::optional<std::int64_t> since_ns; ///< UTC: older messages are left out; a new group's only
};

/// The partitions of a stream, shared with the other readers of the group: each partition has one
/// reader at a time, so that the two ends of a connection meet. Who goes gives them back; who is
/// killed loses them after `lease`.
class Intake {
public:
    static constexpr std::chrono::seconds lease{6};

    static Result<std::unique_ptr<Intake>> open(const Place& place, const Reading& reading);
    virtual ~Intake() = default;

    /// Those that have come; waits as long for one.
    virtual std::vector<std::shared_ptr<Delivery>> next(std::chrono::milliseconds most) = 0;
    /// Those that nobody has any more since the last call.
    virtual void acknowledge() = 0;
    /// With Reading::until_now: nothing more comes.
    virtual bool finished() = 0;
    /// What a host has said last about itself; "" = nothing.
    virtual std::string host_text(const std::string& host) = 0;
    /// For a person, since the last call; "" = nothing.
    virtual std::string take_news() = 0;
    /// Gives everything back. The last call.
    virtual void close() = 0;
};

/// How a stream is made.
struct StreamWish {
    unsigned replicas = 1;
    std::uint64_t max_age_s = 86'400; ///< of a message; 0 = for ever
    std::uint64_t max_bytes = 0;      ///< of all; 0 = as much as the servers let it
    std::uint64_t duplicates_s = 120; ///< ids of messages are remembered for as long
};

/// Makes the stream, or sees to it that the one that is there is so. What was done, for a person.
Result<std::string> make_stream(const Place& place, const StreamWish& wish);

} // namespace tcpsaga::fleet
