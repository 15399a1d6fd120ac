// SPDX-License-Identifier: BSD-2-Clause
/* A file as a recording, played. What begins with 'F' is the file itself; checksums keep the fuzzer
 * out of that one, so what begins otherwise is what the blocks hold: items of a type, a size (two
 * bytes, little-endian) and so many bytes, which are compressed, summed up and framed as a writer
 * would. */
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "cli/player.h"
#include "present.h"
#include "recording/block.h"
#include "tcpsaga/recording.h"

namespace {

using namespace tcpsaga;

template <class T>
void append(std::string& to, const T& value)
{
    to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

/// A file made of blocks whose sums are right, whatever they hold.
class Framer {
public:
    Framer()
    {
        Preamble p{recording_magic, recording_version, 0};
        p.checksum = checksum_of(p);
        append(file_, p);
    }
    void entry(EntryType type, std::string_view bytes)
    {
        append(open_, EntryHead{static_cast<std::uint32_t>(bytes.size()), type, 0});
        open_ += bytes;
        open_.resize(padded(open_.size()));
        inputs_++;
    }
    /// `lie`: what is added to the counts of the head.
    void close(std::uint8_t lie)
    {
        block(BlockType::inputs, open_, inputs_, lie);
        open_.clear();
        inputs_ = 0;
    }
    void block(BlockType type, const std::string& raw, std::uint32_t inputs, std::uint8_t lie)
    {
        std::string stored(ZSTD_compressBound(raw.size()), '\0');
        stored.resize(ZSTD_compress(stored.data(), stored.size(), raw.data(), raw.size(), 1));
        BlockHead h{block_magic, type, 0, 7, number_++, inputs, before_, number_, 0, 0, 0, 0};
        before_ += inputs;
        h.stored = static_cast<std::uint32_t>(stored.size()) + ((lie & 1U) != 0 ? lie << 24U : 0);
        h.raw = static_cast<std::uint32_t>(raw.size()) + ((lie & 2U) != 0 ? lie : 0);
        h.inputs += (lie & 4U) != 0 ? lie << 8U : 0;
        h.before += (lie & 8U) != 0 ? std::uint64_t{lie} << 56U : 0;
        h.checksum = checksum_of(std::as_bytes(std::span(stored)));
        h.head_checksum = head_checksum_of(h);
        append(file_, h);
        file_ += stored;
    }
    [[nodiscard]] const std::string& file() const { return file_; }

private:
    std::string file_, open_;
    std::uint32_t inputs_ = 0;
    std::uint32_t number_ = 0;
    std::uint64_t before_ = 0;
};

std::string framed(std::string_view items)
{
    Framer framer;
    while (items.size() >= 3) {
        const auto type = static_cast<std::uint8_t>(items[0]);
        std::uint16_t size = 0;
        std::memcpy(&size, items.data() + 1, sizeof(size));
        const std::string_view bytes = items.substr(3, size);
        items.remove_prefix(3 + bytes.size());
        switch (type % 5) {
        case 0:
            framer.block(BlockType::origin, std::string(bytes), 0, 0);
            break;
        case 1:
            framer.entry(EntryType::record, bytes);
            break;
        case 2:
            framer.entry(EntryType::json, bytes);
            break;
        case 3:
            framer.close(bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]));
            break;
        default:
            framer.block(bytes.empty() ? BlockType::end : static_cast<BlockType>(bytes[0]),
                         std::string(bytes), 0, 0);
        }
    }
    framer.close(0);
    framer.block(BlockType::end, "", 0, 0);
    return framer.file();
}

/// A file in memory, opened by a name.
struct File {
    explicit File(std::string_view bytes) : fd(memfd_create("recording", MFD_CLOEXEC))
    {
        fuzz::require(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    }
    ~File() { close(fd); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd); }
    int fd;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view text(reinterpret_cast<const char*>(data), size);
    const bool whole = text.starts_with('F');
    const File file(whole ? text.substr(1) : framed(text));
    const auto reader = RecordingReader::open(file.path());
    if (!reader)
        return 0;
    fuzz::Presenters presenters;
    Output out;
    const Origin& origin = (*reader)->origin();
    Player player(origin, presenters, out, std::nullopt);
    while (const Input* input = (*reader)->next())
        player.play(*input);
    player.play(input::HeldBack{UINT64_MAX});
    player.play(input::Summarize{1, true, {}});
    fuzz::require((*reader)->position() <= (*reader)->size() || !(*reader)->damage().empty());
    return 0;
}
