// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "tcpsaga/address.h"

namespace tcpsaga {

/// What the kernel's connection tracking knows of addresses that are translated on their way.
class Conntrack {
public:
    Conntrack();
    ~Conntrack();
    Conntrack(const Conntrack&) = delete;
    Conntrack& operator=(const Conntrack&) = delete;

    /// The ends of a TCP connection as its other end has them (netns 0), where they are not just
    /// those of this one mirrored. Asks in our network namespace and in that of the connection;
    /// nullopt too where nothing is tracked or CAP_NET_ADMIN is missing, and when it has been asked
    /// 64 times in the second before `now_ns`.
    std::optional<Tuple> other_end(const Tuple& t, std::uint64_t now_ns);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace tcpsaga
