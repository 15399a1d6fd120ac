// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cstddef>
#include <memory>
#include <new>

namespace tcpsaga {

/// From here on, allocations of megabytes come from one heap, in huge pages where the kernel has
/// them. libbpf reads and copies the kernel's types (6 MB) for each object that it loads: with
/// small pages, mapped anew each time, that takes a third of the whole start where page faults are
/// slow (virtual machines). Changes nothing else; without effect where malloc is not glibc's.
inline void use_roomy_heap()
{
#ifdef __GLIBC__
    constexpr std::size_t room = 24 << 20;
    mallopt(M_ARENA_MAX, 1);             // for other threads, too
    mallopt(M_MMAP_THRESHOLD, 32 << 20); // its maximum
    mallopt(M_TRIM_THRESHOLD, 2 * room);
    constexpr std::align_val_t page{4096};
    const auto give_back = [](void* p) { ::operator delete(p, page); };
    const std::unique_ptr<void, decltype(give_back)> all(::operator new(room, page, std::nothrow));
    if (all)
        madvise(all.get(), room, MADV_HUGEPAGE);
#endif
}

/// Gives back to the kernel what was freed since. What grows from here on does so by small pages:
/// all of a huge one would count as ours at its first byte.
inline void trim_heap()
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, 128 * 1024); // malloc(3)'s own
    malloc_trim(0);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
#endif
}

} // namespace tcpsaga
