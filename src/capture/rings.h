// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fd.h"
#include "ring.h"
#include "tcpsaga/result.h"

namespace tcpsaga {

/// How many rings share `bytes`: one per processor that is online, but a power of two, at most
/// TCPSAGA_MAX_RINGS, and none of less than 64 KB.
std::uint32_t rings_for(std::size_t bytes);

/// The rings that the programs write to, in this process's memory.
class Rings {
public:
    using OnRecord = RingReader::OnRecord;
    using OnSoon = RingReader::OnSoon;

    /// Makes rings_for(bytes) rings of together `bytes` and puts them into `array`, a map of maps.
    static Result<std::unique_ptr<Rings>> open(int array, std::size_t bytes);
    ~Rings();
    Rings(const Rings&) = delete;
    Rings& operator=(const Rings&) = delete;

    /// As Tracer::poll().
    Status poll(int timeout_ms, const OnRecord& on_record, const OnSoon& on_soon);
    /// Readable when poll() would not wait.
    [[nodiscard]] int fd() const { return epoll_.get(); }
    /// As Tracer::take_ring_fill().
    double take_fill();

private:
    struct Mapping {
        void* start;
        std::size_t size;
    };
    Rings() = default;
    Status add(int array, std::uint32_t index);
    void* map(int ring, std::size_t size, bool writable, std::size_t from);

    std::size_t each_ = 0; ///< bytes of one
    Fd epoll_;
    std::vector<Fd> rings_;
    std::vector<Mapping> mappings_;
    RingReader reader_;
};

} // namespace tcpsaga
