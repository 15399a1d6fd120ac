// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <future>

#include "block.h"
#include "json.h"
#include "tcpsaga/record.h"
#include "tcpsaga/recording.h"

namespace tcpsaga {
namespace {

std::string place(std::uint64_t at)
{
    return " at byte " + std::to_string(at);
}

std::string missing(std::uint64_t inputs)
{
    return std::to_string(inputs) + (inputs == 1 ? " input is missing" : " inputs are missing");
}

/// Sound, and something that a writer writes.
bool is_sound(const BlockHead& h)
{
    return h.magic == block_magic && h.head_checksum == head_checksum_of(h) && h.raw <= block_most;
}

Error unreadable(const std::string& path, std::string why)
{
    return {"cannot replay", path, 0, std::move(why)};
}

} // namespace

struct RecordingReader::Impl {
    /// Takes a block apart.
    struct Unpacker {
        Decompressor context{ZSTD_createDCtx()};
        std::vector<std::byte> stored, raw;

        bool unpack(const Impl& file, const BlockHead& h, std::uint64_t from);
    };

    std::string path;
    int fd;
    std::uint64_t size;
    std::uint64_t at = 0; ///< of the next block
    Unpacker current, ahead;
    std::future<bool> unpacked_ahead; ///< valid while `ahead` works on the block at ahead_from
    std::uint64_t ahead_from = 0;
    BlockHead head{};           ///< of the block in `current`
    std::size_t offset = 0;     ///< of the next entry in its `raw`
    std::uint32_t entries = 0;  ///< read from there
    std::uint64_t expected = 0; ///< inputs before the next block
    std::uint64_t lost = 0;     ///< inputs that are missing, not told yet
    std::uint64_t ts_ns = 0;    ///< of the latest input in the blocks before this one
    std::uint64_t recording = 0;
    bool ended = false; ///< nothing more is to be read
    Origin origin;
    std::vector<std::string> damage;
    Input input;
    alignas(8) std::array<std::byte, 512> room{}; ///< for a record that has to grow

    Impl(std::string name, int descriptor, std::uint64_t bytes)
        : path(std::move(name)), fd(descriptor), size(bytes)
    {
    }
    ~Impl()
    {
        if (unpacked_ahead.valid())
            unpacked_ahead.wait();
        ::close(fd);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    bool get(std::uint64_t from, void* to, std::size_t n) const;
    Status read_preamble();
    Status read_origin();
    [[nodiscard]] std::optional<BlockHead> head_at(std::uint64_t from) const;
    bool find_block();
    bool unpack(const BlockHead& h, std::uint64_t from);
    void look_ahead();
    void advance();
    void take(const BlockHead& h, const std::string& broken);
    void tell(std::string what);
    std::span<const std::byte> grown(std::span<const std::byte> record);
    const Input* next();
    const Input* next_entry();
};

bool RecordingReader::Impl::get(std::uint64_t from, void* to, std::size_t n) const
{
    auto* p = static_cast<std::byte*>(to);
    while (n > 0) {
        const ssize_t got = ::pread(fd, p, n, static_cast<off_t>(from));
        if (got <= 0 && (got == 0 || errno != EINTR))
            return false;
        const auto step = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
        p += step;
        from += step;
        n -= step;
    }
    return true;
}

Status RecordingReader::Impl::read_preamble()
{
    Preamble p{};
    if (size == 0)
        return unreadable(path, "the file is empty");
    const bool whole = get(0, &p, sizeof(p));
    at = sizeof(p);
    if (whole && p.checksum == checksum_of(p) && p.magic == recording_magic) {
        if (p.version == recording_version)
            return Nothing{};
        return unreadable(path, "it is a recording of version " + std::to_string(p.version) +
                                    ", this tcpsaga reads version " +
                                    std::to_string(recording_version));
    }
    at = whole ? sizeof(p) : 0;
    if (!whole || !head_at(at))
        return unreadable(path,
                          std::memcmp(&p, &recording_magic, std::min<std::uint64_t>(size, 8)) == 0
                              ? "it was cut off before anything was recorded"
                              : "it is no recording of tcpsaga's");
    tell("the first 16 bytes are damaged");
    return Nothing{};
}

std::optional<BlockHead> RecordingReader::Impl::head_at(std::uint64_t from) const
{
    BlockHead h{};
    if (!get(from, &h, sizeof(h)) || !is_sound(h) || (recording != 0 && h.recording != recording))
        return std::nullopt;
    return h;
}

/// From `at` on, the next place where a block begins. False: there is none.
bool RecordingReader::Impl::find_block()
{
    constexpr std::size_t window = std::size_t{1} << 20;
    std::vector<std::byte> bytes;
    for (std::uint64_t from = at; from + sizeof(BlockHead) <= size;) {
        bytes.resize(std::min<std::uint64_t>(window, size - from));
        if (!get(from, bytes.data(), bytes.size()))
            return false;
        const auto text = std::as_bytes(std::span(&block_magic, 1));
        for (auto hit = bytes.begin();
             (hit = std::search(hit, bytes.end(), text.begin(), text.end())) != bytes.end();
             ++hit) {
            const std::uint64_t where = from + static_cast<std::uint64_t>(hit - bytes.begin());
            if (!head_at(where))
                continue;
            at = where;
            return true;
        }
        if (from + bytes.size() >= size)
            return false;
        from += bytes.size() - (text.size() - 1); // one may begin at the end of this window
    }
    return false;
}

/// The content of the block at `from` into `raw`.
bool RecordingReader::Impl::Unpacker::unpack(const Impl& file, const BlockHead& h,
                                             std::uint64_t from)
{
    if (h.stored >
        file.size - std::min(file.size, from + sizeof(h))) // no room for what is not there
        return false;
    stored.resize(h.stored);
    return file.get(from + sizeof(h), stored.data(), stored.size()) &&
           unseal(context.get(), h, stored, raw);
}

bool RecordingReader::Impl::unpack(const BlockHead& h, std::uint64_t from)
{
    if (!unpacked_ahead.valid())
        return current.unpack(*this, h, from);
    const bool sound = unpacked_ahead.get();
    if (from != ahead_from)
        return current.unpack(*this, h, from);
    std::swap(current, ahead);
    return sound;
}

/// The next block is unpacked while this one is read: that is a seventh of a replay's work.
void RecordingReader::Impl::look_ahead()
{
    constexpr std::size_t worth_a_thread = block_size / 8;
    const auto next = head_at(at);
    if (!next || next->type != BlockType::inputs || next->raw < worth_a_thread)
        return;
    ahead_from = at;
    // Deferred, that is done when it is asked for, where no thread can be had.
    unpacked_ahead = std::async(std::launch::async | std::launch::deferred,
                                [this, h = *next] { return ahead.unpack(*this, h, ahead_from); });
}

void RecordingReader::Impl::tell(std::string what)
{
    constexpr std::size_t most = 100;
    if (damage.size() < most)
        damage.push_back(std::move(what));
    else if (damage.size() == most)
        damage.emplace_back("and more");
}

/// Either of its two copies will do.
Status RecordingReader::Impl::read_origin()
{
    bool broken = false;
    while (true) {
        const auto h = head_at(at);
        if (!h) {
            broken = true;
            if (!find_block())
                return unreadable(path, "it was cut off before anything was recorded");
            continue;
        }
        if (h->type != BlockType::origin)
            return unreadable(path, "what says where it comes from is damaged");
        const bool sound = unpack(*h, at);
        at += sizeof(*h) + h->stored;
        if (!sound) {
            broken = true;
            continue;
        }
        const auto* text = reinterpret_cast<const char*>(current.raw.data()); // NOLINT: JSON
        const auto found = origin_from_json({text, h->raw});
        if (!found)
            return unreadable(path, "what says where it comes from is not understood");
        origin = *found;
        recording = h->recording;
        ts_ns = h->ts_ns;
        if (broken)
            tell("a copy of what says where it comes from is damaged");
        return Nothing{};
    }
}

/// What is at `at`: a block becomes the present one; what is broken is told and passed over.
void RecordingReader::Impl::advance()
{
    head.inputs = entries = 0;
    if (at >= size) {
        tell("it was not closed: the recorder was killed, or still runs");
        ended = true;
        return;
    }
    const std::uint64_t from = at;
    const auto here = head_at(at);
    if (here)
        return take(*here, "");
    if (const auto next = find_block() ? head_at(at) : std::nullopt)
        return take(*next, std::to_string(at - from) + " bytes" + place(from) + " are damaged");
    tell("cut off or damaged" + place(from) + ": " + std::to_string(size - from) +
         " bytes could not be read, and what followed is missing");
    ended = true;
}

/// The block at `at`, behind something that is `broken` ("": behind the last one).
void RecordingReader::Impl::take(const BlockHead& h, const std::string& broken)
{
    const std::string name = "block " + std::to_string(h.number) + place(at);
    const std::uint64_t gap = h.before > expected ? h.before - expected : 0;
    if (!broken.empty() || gap > 0)
        tell((broken.empty() ? "before " + name : broken) + (gap > 0 ? ": " + missing(gap) : ""));
    lost += gap;
    const std::uint64_t begin = at;
    const std::uint64_t whole = sizeof(h) + h.stored;
    at = begin + whole;
    if (at > size) {
        tell("cut off in " + name + ": " + std::to_string(at - size) + " of its " +
             std::to_string(whole) + " bytes and " + missing(h.inputs) + ", and what followed");
        lost += h.inputs;
        at = size;
        ended = true;
    } else if (h.before < expected) {
        tell(name + " is there twice");
    } else if (!unpack(h, begin)) {
        tell(name + " is damaged" + (h.inputs > 0 ? ": " + missing(h.inputs) : ""));
        lost += h.inputs;
        expected = h.before + h.inputs;
    } else if (h.type == BlockType::inputs) {
        expected = h.before + h.inputs;
        head = h;
        offset = 0;
        look_ahead();
    } else if (h.type == BlockType::end) {
        ended = true;
        if (size > at)
            tell(std::to_string(size - at) + " bytes behind the end were not read");
    }
}

const Input* RecordingReader::Impl::next()
{
    while (true) {
        if (lost > 0) {
            input = input::Lost{std::exchange(lost, 0), event::LostWhere::recording, ts_ns};
            return &input;
        }
        if (entries < head.inputs)
            return next_entry();
        if (ended)
            return nullptr;
        ts_ns = std::max(ts_ns, head.ts_ns);
        advance();
    }
}

/// A record of an earlier build, with zeros for what has been added behind it since.
std::span<const std::byte> RecordingReader::Impl::grown(std::span<const std::byte> record)
{
    if (record.size() < sizeof(ts_head))
        return record;
    const std::size_t size =
        record_sizes[std::to_integer<std::uint8_t>(record[offsetof(ts_head, kind)])]; // NOLINT
    if (record.size() >= size || size > sizeof(room))
        return record;
    room.fill(std::byte{0});
    std::ranges::copy(record, room.begin());
    return std::span(room).first(size);
}

/// The next one in `current`, of which there is one at least.
const Input* RecordingReader::Impl::next_entry()
{
    EntryHead e{};
    const std::size_t left = head.raw - offset;
    if (left >= sizeof(e))
        std::memcpy(&e, current.raw.data() + offset, sizeof(e));
    if (left < sizeof(e) || left - sizeof(e) < padded(e.size)) { // checked: a writer wrote it so
        const std::uint64_t rest = head.inputs - entries;
        tell("block " + std::to_string(head.number) + " is not understood: " + missing(rest));
        entries = head.inputs;
        input = input::Lost{rest, event::LostWhere::recording, ts_ns};
        return &input;
    }
    const std::span bytes{current.raw.data() + offset + sizeof(e), e.size};
    offset += sizeof(e) + padded(e.size);
    entries++;
    if (e.type == EntryType::record) {
        if (auto* record = std::get_if<input::Record>(&input)) // as it was the last time
            record->bytes = grown(bytes);
        else
            input = input::Record{grown(bytes)};
        return &input;
    }
    const auto* text = reinterpret_cast<const char*>(bytes.data()); // NOLINT: JSON
    auto parsed = e.type == EntryType::json ? input_from_json({text, bytes.size()}) : std::nullopt;
    if (!parsed) {
        tell("an input of block " + std::to_string(head.number) +
             " is not understood: a later version's");
        parsed = input::Lost{1, event::LostWhere::recording, ts_ns};
    }
    input = std::move(*parsed);
    return &input;
}

RecordingReader::RecordingReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RecordingReader::~RecordingReader() = default;

Result<std::unique_ptr<RecordingReader>> RecordingReader::open(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return Error{
            "cannot open", path, errno,
            errno == EACCES ? "a recording is its maker's (mode 0600): chown it, or use sudo" : ""};
    struct stat st {};
    const bool regular = ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    auto impl = std::make_unique<Impl>(path, fd, static_cast<std::uint64_t>(st.st_size));
    if (!regular)
        return unreadable(path, "it is no regular file");
    if (auto status = impl->read_preamble(); !status)
        return status.error();
    if (auto status = impl->read_origin(); !status)
        return status.error();
    return std::unique_ptr<RecordingReader>(new RecordingReader(std::move(impl)));
}

const Origin& RecordingReader::origin() const
{
    return impl_->origin;
}

const Input* RecordingReader::next()
{
    return impl_->next();
}

const std::vector<std::string>& RecordingReader::damage() const
{
    return impl_->damage;
}

std::uint64_t RecordingReader::position() const
{
    return impl_->at;
}

std::uint64_t RecordingReader::size() const
{
    return impl_->size;
}

} // namespace tcpsaga
