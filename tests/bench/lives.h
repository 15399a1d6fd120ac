// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* A stream of records in memory, as trampolines make it while many connections are alive. */
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tcpsaga/correlator.h"

namespace tcpsaga::bench {

/// Records one behind the other, each at a multiple of 8.
struct Stream {
    struct Place {
        std::uint32_t at, size;
    };
    std::vector<std::uint64_t> words;
    std::vector<Place> places;

    [[nodiscard]] std::size_t size() const { return places.size(); }
    template <class Visitor>
    void for_each(const Visitor& visit) const
    {
        const auto bytes = std::as_bytes(std::span(words));
        for (const Place& p : places)
            visit(bytes.subspan(p.at, p.size));
    }
    /// As a ring is read: each record is told of eight records before it is consumed.
    void feed(Correlator& to) const
    {
        constexpr std::size_t far = 8;
        const auto bytes = std::as_bytes(std::span(words));
        for (std::size_t i = 0; i < places.size(); i++) {
            if (i + far < places.size())
                to.expect(bytes.subspan(places[i + far].at, places[i + far].size));
            to.consume(bytes.subspan(places[i].at, places[i].size));
        }
    }
};

/// `live` sockets, clients and servers in equal parts, that act in an order without pattern. One
/// that has ended is followed by another under a new cookie, address and port.
class Lives {
public:
    explicit Lives(std::size_t live);
    /// Every socket's records up to ESTABLISHED.
    Stream opening();
    /// What happens next.
    Stream next(std::size_t records);

private:
    struct Socket {
        std::uint64_t cookie = 0;
        unsigned step = 0;
    };
    void act(Stream& to, std::size_t which);

    std::vector<Socket> sockets_;
    std::uint64_t next_cookie_ = 1000;
    std::uint64_t now_ns_ = 1'000'000'000;
    std::uint64_t random_ = 88172645463325252; // xorshift64, Marsaglia 2003
};

/// Of a kernel with all hooks.
Correlator::Config all_hooks();

class Nowhere : public Sink {
public:
    void on_event(const Event&) override { events++; }
    std::uint64_t events = 0;
};

} // namespace tcpsaga::bench
