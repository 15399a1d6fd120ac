// SPDX-License-Identifier: BSD-2-Clause
#include "rings.h"

#include <bpf/bpf.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "tcpsaga/abi.h"
#include "tcpsaga/clock.h"

namespace tcpsaga {
namespace {

constexpr std::size_t least = std::size_t{64} << 10U;

std::size_t page_size()
{
    return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

Error cannot_map()
{
    return {"cannot map", "the ring buffers", errno, "try a smaller --ring"};
}

} // namespace

std::uint32_t rings_for(std::size_t bytes)
{
    const auto processors = static_cast<std::size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    const std::size_t most = std::clamp<std::size_t>(bytes / least, 1, TCPSAGA_MAX_RINGS);
    return static_cast<std::uint32_t>(std::bit_floor(std::min(processors, most)));
}

Result<std::unique_ptr<Rings>> Rings::open(int array, std::size_t bytes)
{
    std::unique_ptr<Rings> rings(new Rings);
    const std::uint32_t count = rings_for(bytes);
    rings->each_ = bytes / count;
    rings->epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    if (!rings->epoll_)
        return Error{"cannot wait for", "the ring buffers", errno, ""};
    for (std::uint32_t i = 0; i < count; i++)
        if (auto status = rings->add(array, i); !status)
            return status.error();
    return rings;
}

Rings::~Rings()
{
    for (const Mapping& m : mappings_)
        munmap(m.start, m.size);
}

void* Rings::map(int ring, std::size_t size, bool writable, std::size_t from)
{
    void* start = mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                       ring, static_cast<off_t>(from));
    if (start == MAP_FAILED)
        return nullptr;
    mappings_.push_back({start, size});
    return start;
}

/// The consumer's page, the producer's page and the data follow each other; the data twice, which
/// only one who cannot join two pieces needs.
Status Rings::add(int array, std::uint32_t index)
{
    Fd ring(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, static_cast<__u32>(each_), nullptr));
    if (!ring)
        return Error{"cannot make", "a ring buffer", errno, "try a smaller --ring"};
    const std::size_t page = page_size();
    void* consumed = map(ring.get(), page, true, 0);
    const void* produced =
        consumed == nullptr ? nullptr : map(ring.get(), page + each_, false, page);
    if (produced == nullptr)
        return cannot_map();
    epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, ring.get(), &event) != 0)
        return Error{"cannot wait for", "the ring buffers", errno, ""};
    const int fd = ring.get();
    if (bpf_map_update_elem(array, &index, &fd, BPF_ANY) != 0)
        return Error{"cannot share", "the ring buffers", errno, ""};
    reader_.add({static_cast<std::uint64_t*>(consumed), static_cast<const std::uint64_t*>(produced),
                 static_cast<const std::byte*>(produced) + page, each_});
    rings_.push_back(std::move(ring));
    return Nothing{};
}

Status Rings::poll(int timeout_ms, const OnRecord& on_record, const OnSoon& on_soon)
{
    epoll_event woken{};
    if (epoll_wait(epoll_.get(), &woken, 1, timeout_ms) < 0 && errno != EINTR)
        return Error{"cannot wait for", "the ring buffers", errno, ""};
    // Also when nothing woke us: records that woke nobody are found by looking.
    reader_.read(static_cast<std::uint64_t>(now_ns(CLOCK_MONOTONIC)), on_record, on_soon);
    return Nothing{};
}

double Rings::take_fill()
{
    return static_cast<double>(reader_.take_most_filled()) / static_cast<double>(each_);
}

} // namespace tcpsaga
