// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What goes over the engine: lines of docs/events.md in batches, and how they are named there. */
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tcpsaga::fleet {

/// Some lines of one partition, newline behind each.
struct Message {
    std::string id;      ///< MessageId's text; "" = it has none yet
    std::string subject; ///< "tcpsaga.v1.3"
    std::uint32_t lines = 0;
    std::string body;
};

/// One run of tcpsaga on one host: what messages are numbered within.
struct Run {
    std::string host;
    std::string boot;             ///< /proc/sys/kernel/random/boot_id
    std::uint64_t started_ns = 0; ///< CLOCK_MONOTONIC: unique within a boot

    /// "HOST/BOOT/STARTED"; what would not fit in a header or a subject is %XX.
    [[nodiscard]] std::string text() const;
};

/// Names a message among all. `sequence` counts the messages of one run on one subject from 1, so
/// that who reads them sees a gap.
struct MessageId {
    std::string run;  ///< Run::text()
    std::string lane; ///< the last part of the subject: a partition's number, or "host"
    std::uint64_t sequence = 0;

    /// "HOST/BOOT/STARTED/LANE/SEQUENCE": the header Nats-Msg-Id.
    [[nodiscard]] std::string text() const;
    static std::optional<MessageId> parse(std::string_view text);
    /// Of the run, as it is: not %XX any more.
    [[nodiscard]] std::string host() const;
};

/// By FNV-1a (32 bits) of the line's community_id, so that both ends of a connection, told by two
/// hosts, meet; of its host's name where it has none. 0 <= … < `partitions`.
unsigned partition_of(std::string_view line, unsigned partitions);

/// "tcpsaga.v1.3"
std::string subject_of(unsigned partition);
/// Where a host says what it is and how it is set, the last message being valid:
/// "tcpsaga.v1.host.NAME".
std::string host_subject(const std::string& host);
/// All that a stream of so many partitions holds.
std::vector<std::string> subjects_of(unsigned partitions);
/// The reverse; 0: these are no such subjects.
unsigned partitions_of(const std::vector<std::string>& subjects);

/// Letters, digits, '-' and '_' stay; anything else is %XX.
std::string escaped(std::string_view text);
std::string unescaped(std::string_view text);

} // namespace tcpsaga::fleet
