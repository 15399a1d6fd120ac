// SPDX-License-Identifier: BSD-2-Clause
#include "block.h"

#include <xxhash.h>

namespace tcpsaga {
namespace {

/// Of zstd's levels the first: the recorder shares the machine with what it records.
constexpr int level = 1;

} // namespace

std::uint64_t checksum_of(std::span<const std::byte> bytes)
{
    return XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t head_checksum_of(const BlockHead& head)
{
    return checksum_of(
        std::as_bytes(std::span(&head, 1)).first(offsetof(BlockHead, head_checksum)));
}

std::uint32_t checksum_of(const Preamble& p)
{
    return static_cast<std::uint32_t>(
        checksum_of(std::as_bytes(std::span(&p, 1)).first(offsetof(Preamble, checksum))));
}

std::span<const std::byte> seal(ZSTD_CCtx* c, BlockHead& head, std::span<const std::byte> what,
                                std::vector<std::byte>& stored)
{
    stored.resize(sizeof(head) + ZSTD_compressBound(what.size()));
    const std::size_t size =
        ZSTD_compressCCtx(c, stored.data() + sizeof(head), stored.size() - sizeof(head),
                          what.data(), what.size(), level);
    if (ZSTD_isError(size) != 0) // only when there is no memory
        return {};
    head.stored = static_cast<std::uint32_t>(size);
    head.raw = static_cast<std::uint32_t>(what.size());
    head.checksum = checksum_of(std::span(stored).subspan(sizeof(head), size));
    head.head_checksum = head_checksum_of(head);
    std::memcpy(stored.data(), &head, sizeof(head));
    return std::span(stored).first(sizeof(head) + size);
}

bool unseal(ZSTD_DCtx* c, const BlockHead& head, std::span<const std::byte> stored,
            std::vector<std::byte>& raw)
{
    if (checksum_of(stored) != head.checksum)
        return false;
    if (raw.size() < head.raw)
        raw.resize(head.raw);
    const std::size_t n =
        ZSTD_decompressDCtx(c, raw.data(), head.raw, stored.data(), stored.size());
    return ZSTD_isError(n) == 0 && n == head.raw;
}

} // namespace tcpsaga
