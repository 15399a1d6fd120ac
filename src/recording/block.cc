// SPDX-License-Identifier: BSD-2-Clause
#include "block.h"

#include <xxhash.h>

namespace tcpsaga {

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

} // namespace tcpsaga
