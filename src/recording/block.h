// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* What a recording is made of (docs/recording.md). Little-endian, as the records inside are. */
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <zstd.h>

namespace tcpsaga {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t recording_version = 1;
/// As PNG's: no text begins so, and a transfer that drops bit 7 is noticed.
constexpr std::uint64_t recording_magic = 0x41474153'50435489; // "\x89TCPSAGA"
constexpr std::uint32_t block_magic = 0x4b425354;              // "TSBK"
/// Raw bytes after which a block is closed.
constexpr std::size_t block_size = std::size_t{512} << 10;
/// No block is larger: what says so is damaged, or meant to hurt.
constexpr std::size_t block_most = std::size_t{256} << 20;

/// What the file begins with.
struct Preamble {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t checksum; ///< of the two, the lower half of XXH3-64
};
static_assert(sizeof(Preamble) == 16);

enum class BlockType : std::uint16_t {
    origin = 1,  ///< JSON; written twice at the start
    inputs = 2,  ///< entries
    end = 3,     ///< nothing; the recording is complete
    message = 4, ///< of a spool: one message (src/fleet/spool.h)
};

struct BlockHead {
    std::uint32_t magic;
    BlockType type;
    std::uint16_t reserved;
    std::uint64_t recording;     ///< the same in every block of a file
    std::uint32_t number;        ///< from 0
    std::uint32_t inputs;        ///< in this block
    std::uint64_t before;        ///< inputs in all blocks before this one
    std::uint64_t ts_ns;         ///< CLOCK_MONOTONIC of its latest input
    std::uint32_t stored;        ///< bytes that follow, compressed
    std::uint32_t raw;           ///< the same as they were
    std::uint64_t checksum;      ///< XXH3-64 of what follows
    std::uint64_t head_checksum; ///< XXH3-64 of this head up to here
};
static_assert(sizeof(BlockHead) == 64);
static_assert(offsetof(BlockHead, head_checksum) == 56);

enum class EntryType : std::uint16_t {
    record = 1, ///< of the ring (abi.h)
    json = 2,   ///< any other input
};

/// An input in a block; its bytes follow, padded to 8.
struct EntryHead {
    std::uint32_t size; ///< without padding
    EntryType type;
    std::uint16_t reserved;
};
static_assert(sizeof(EntryHead) == 8);

constexpr std::size_t padded(std::size_t size)
{
    return (size + 7) & ~std::size_t{7};
}

struct FreeZstd {
    void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
    void operator()(ZSTD_DCtx* c) const { ZSTD_freeDCtx(c); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, FreeZstd>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, FreeZstd>;

std::uint64_t checksum_of(std::span<const std::byte> bytes);
std::uint64_t head_checksum_of(const BlockHead& head);
std::uint32_t checksum_of(const Preamble& p);

/// The block in `stored`: its head, whose sizes and checksums are set here, and `what` compressed.
/// Empty: there is no memory for it.
std::span<const std::byte> seal(ZSTD_CCtx* c, BlockHead& head, std::span<const std::byte> what,
                                std::vector<std::byte>& stored);
/// What follows a head, as it was, into the beginning of `raw`. False: it is damaged.
bool unseal(ZSTD_DCtx* c, const BlockHead& head, std::span<const std::byte> stored,
            std::vector<std::byte>& raw);

} // namespace tcpsaga
