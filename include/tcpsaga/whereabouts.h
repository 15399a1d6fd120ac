// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* Where processes live: what was found out of them, while they were there, beside the records. */
#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "tcpsaga/connection.h"

namespace tcpsaga {

struct Home {
    std::string cgroup;          ///< path from the root that we see, any bytes; "" = not known
    std::string container{};     ///< id, 64 hexadecimal digits; "" = in none
    std::string pod{};           ///< uid of the Kubernetes pod; "" = in none
    std::uint32_t inner_pid = 0; ///< pid in its own pid namespace, where that is another; 0
    std::uint64_t serial = 0;    ///< of what was learnt; another one: another content, perhaps
};

/// What was learnt, for presenters to look at: asking again and again costs next to nothing. A
/// process is known by pid, uid and name.
class Whereabouts {
public:
    /// nullptr: not known. Valid until something is learnt.
    [[nodiscard]] const Home* of(const Process& p) const;
    /// As `ip netns` has it; "": none.
    [[nodiscard]] const std::string& netns_name(std::uint32_t inode) const;

    /// Nothing was learnt of it yet, or that is five minutes ago: its number may be another's.
    [[nodiscard]] bool is_due(const Process& p, std::uint64_t ts_ns) const;
    /// The same for ten seconds.
    [[nodiscard]] bool is_due(std::uint32_t netns, std::uint64_t ts_ns) const;

    void learn(const Process& p, Home home, std::uint64_t ts_ns);
    void learn(std::uint32_t netns, std::string name, std::uint64_t ts_ns);

private:
    struct Key {
        std::uint32_t pid;
        std::uint32_t uid;
        Comm comm;
        bool operator==(const Key& o) const
        {
            return pid == o.pid && uid == o.uid && same(comm, o.comm);
        }
    };
    struct KeyHash {
        std::size_t operator()(const Key& k) const { return k.pid; }
    };
    struct Known {
        Home home;
        std::uint64_t ts_ns = 0;
    };
    struct Seen {
        Key key{};
        const Known* known = nullptr;
    };
    struct Namespace {
        std::string name;
        std::uint64_t ts_ns = 0;
    };
    const Known* find(const Process& p) const;
    const Namespace* find(std::uint32_t netns) const;

    std::unordered_map<Key, Known, KeyHash> processes_;
    std::unordered_map<std::uint32_t, Namespace> namespaces_;
    std::uint64_t serials_ = 0;
    mutable std::array<Seen, 64> seen_{}; ///< the last answers, of those there are
    mutable std::pair<std::uint32_t, const Namespace*> last_netns_{};
};

} // namespace tcpsaga
