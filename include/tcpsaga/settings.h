// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * How the system is set, as doctor's rules need it: taken beside the stream and handed to them, so
 * that they look up nothing. It goes into a recording as JSON.
 */
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tcpsaga/address.h"
#include "tcpsaga/result.h"

namespace tcpsaga {

/// A listener's accept queue at the end.
struct QueueNow {
    std::uint32_t netns = 0;
    Endpoint local;
    std::uint64_t conn = 0;
    std::uint32_t acceptq = 0, acceptq_max = 0;
};

/// What a listener's processes did when its queue was full, from /proc/PID/stat and wchan.
struct Looks {
    std::uint32_t n = 0;
    std::map<char, std::uint32_t> states;        ///< R, S, D, T…: seen so often
    std::map<std::string, std::uint32_t> asleep; ///< in this kernel function, so often
    std::uint32_t stopped = 0;                   ///< the pid that was seen stopped, 0 = none
};

struct Settings {
    std::uint32_t own_netns = 0;
    std::int64_t utc_offset_ns = 0; ///< as in PresentOptions
    std::int64_t zone_offset_s = 0;
    /// "net.core.somaxconn" to its text, by network namespace; the host's own ones under 0.
    std::map<std::uint32_t, std::map<std::string, std::string>> sysctls;
    std::map<std::uint32_t, std::uint32_t> inhabitants; ///< a process of each namespace
    std::vector<QueueNow> queues;
    std::map<std::uint32_t, Looks> looks; ///< by pid of the listener's owner

    /// "" where it is not known.
    [[nodiscard]] std::string text(std::uint32_t netns, const std::string& name) const;
    [[nodiscard]] std::optional<std::uint64_t> number(std::uint32_t netns,
                                                      const std::string& name) const;
    /// The number of ports in net.ipv4.ip_local_port_range.
    [[nodiscard]] std::optional<std::uint64_t> local_ports(std::uint32_t netns) const;
    /// "14:03:11", local time.
    [[nodiscard]] std::string clock(std::uint64_t ts_ns) const;
    /// What a command must begin with to act in that namespace: "" or "nsenter -t PID -n ".
    [[nodiscard]] std::string enter(std::uint32_t netns) const;
};

std::string to_json(const Settings& s);
Result<Settings> settings_from_json(const std::string& text);

/// Takes them from the running system.
class SettingsReader {
public:
    /// `wanted`: namespaces by inode; empty = every one that a process lives in.
    explicit SettingsReader(std::vector<std::uint32_t> wanted) : wanted_(std::move(wanted)) {}

    /// Now. Of a namespace that is gone at a later reading, the last one stands.
    void read();
    /// The queue of a listener of this process is full: sees what it and its children do. At most
    /// four times a second for each.
    void look_at(std::uint32_t owner, std::uint64_t ts_ns);
    Settings& settings() { return settings_; }

private:
    std::vector<std::uint32_t> wanted_;
    Settings settings_;
    std::map<std::uint32_t, std::uint64_t> looked_ns_;
};

} // namespace tcpsaga
