// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "block.h"
#include "json.h"
#include "tcpsaga/recording.h"

namespace tcpsaga {

struct RecordingWriter::Impl {
    std::string path;
    int fd;
    bool created; ///< by us, not there before
    Compressor context{ZSTD_createCCtx()};
    std::vector<std::byte> raw;    ///< the entries of the block that is being filled
    std::vector<std::byte> stored; ///< room for a head and the same compressed
    BlockHead head{block_magic, BlockType::inputs, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    std::set<std::uint64_t> places; ///< those named in this block
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    bool begun = false;
    int err = 0;

    Impl(std::string name, int descriptor, bool is_new)
        : path(std::move(name)), fd(descriptor), created(is_new)
    {
        raw.reserve(2 * block_size);
    }
    ~Impl()
    {
        ::close(fd);
        if (created && !begun)
            ::unlink(path.c_str());
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void begin(const Origin& origin);
    void add(EntryType type, std::span<const std::byte> what, std::uint64_t ts_ns);
    void put_block(BlockType type, std::span<const std::byte> what);
    void close_block();
    void put(std::span<const std::byte> what);
};

void RecordingWriter::Impl::begin(const Origin& origin)
{
    begun = true;
    if (::ftruncate(fd, 0) != 0 || ::fchmod(fd, 0600) != 0) {
        err = errno;
        return;
    }
    Preamble p{recording_magic, recording_version, 0};
    p.checksum = checksum_of(p);
    put(std::as_bytes(std::span(&p, 1)));
    const std::string text = to_json_text(origin);
    const auto what = std::as_bytes(std::span(text));
    head.recording = checksum_of(what); // with the time in it
    head.ts_ns = origin.started_ns;
    put_block(BlockType::origin, what); // twice: nothing can be read without it
    put_block(BlockType::origin, what);
}

void RecordingWriter::Impl::add(EntryType type, std::span<const std::byte> what,
                                std::uint64_t ts_ns)
{
    const EntryHead entry{static_cast<std::uint32_t>(what.size()), type, 0};
    const std::size_t at = raw.size();
    raw.resize(at + sizeof(entry) + padded(what.size()));
    std::memcpy(raw.data() + at, &entry, sizeof(entry));
    std::memcpy(raw.data() + at + sizeof(entry), what.data(), what.size());
    head.inputs++;
    head.ts_ns = std::max(head.ts_ns, ts_ns);
    if (raw.size() >= block_size)
        close_block();
}

void RecordingWriter::Impl::close_block()
{
    if (raw.empty())
        return;
    put_block(BlockType::inputs, raw);
    head.before += head.inputs;
    head.inputs = 0;
    raw.clear();
    places.clear();
}

/// The head says what the block is; only one of inputs has any.
void RecordingWriter::Impl::put_block(BlockType type, std::span<const std::byte> what)
{
    head.type = type;
    const auto block = seal(context.get(), head, what, stored);
    if (block.empty()) {
        err = ENOMEM;
        return;
    }
    put(block);
    head.number++;
}

void RecordingWriter::Impl::put(std::span<const std::byte> what)
{
    const std::uint64_t whole = bytes;
    while (!what.empty() && err == 0) {
        const ssize_t n = ::write(fd, what.data(), what.size());
        if (n >= 0) {
            what = what.subspan(static_cast<std::size_t>(n));
            bytes += static_cast<std::size_t>(n);
        } else if (errno != EINTR) {
            err = errno;
        }
    }
    if (err != 0 && bytes != whole && ::ftruncate(fd, static_cast<off_t>(whole)) == 0)
        bytes = whole; // no half a block
}

RecordingWriter::RecordingWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RecordingWriter::~RecordingWriter()
{
    flush();
}

Result<std::unique_ptr<RecordingWriter>> RecordingWriter::create(const std::string& path,
                                                                 bool replace)
{
    constexpr int how = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = ::open(path.c_str(), how | O_EXCL, 0600);
    const bool created = fd >= 0;
    if (!created && errno == EEXIST && !replace)
        return Error{"will not write over", path, 0, "name another file, or add --force"};
    if (!created && errno == EEXIST)
        fd = ::open(path.c_str(), how, 0600);
    if (fd < 0)
        return Error{"cannot record to", path, errno, "name a file that can be written"};
    struct stat st {};
    if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        ::close(fd);
        return Error{"cannot record to", path, 0, "it is no regular file"};
    }
    return std::unique_ptr<RecordingWriter>(new RecordingWriter(std::make_unique<Impl>(path, fd,
                                                                                       created)));
}

void RecordingWriter::begin(const Origin& origin)
{
    impl_->begin(origin);
}

void RecordingWriter::write(const input::Record& r)
{
    std::uint64_t ts_ns = 0; // ts_head::ts_ns
    if (r.bytes.size() >= sizeof(ts_ns))
        std::memcpy(&ts_ns, r.bytes.data(), sizeof(ts_ns));
    impl_->records++;
    impl_->add(EntryType::record, r.bytes, ts_ns);
}

void RecordingWriter::write(const Input& i)
{
    if (const auto* record = std::get_if<input::Record>(&i))
        return write(*record);
    if (const auto* place = std::get_if<input::Place>(&i))
        if (!impl_->places.insert(place->address).second)
            return; // whoever reads this block knows it
    const std::string text = to_json_text(i);
    impl_->add(EntryType::json, std::as_bytes(std::span(text)),
               std::holds_alternative<input::HeldBack>(i) ? 0 : time_of(i).value_or(0));
}

void RecordingWriter::flush()
{
    impl_->close_block();
}

void RecordingWriter::end()
{
    flush();
    impl_->put_block(BlockType::end, {});
}

bool RecordingWriter::failed() const
{
    return impl_->err != 0;
}

Status RecordingWriter::status() const
{
    if (!failed())
        return Nothing{};
    return Error{"cannot record to", impl_->path, impl_->err,
                 impl_->err == ENOSPC ? "free some space; what it holds so far can be replayed"
                                      : "what it holds so far can be replayed"};
}

std::uint64_t RecordingWriter::inputs() const
{
    return impl_->head.before + impl_->head.inputs;
}

std::uint64_t RecordingWriter::records() const
{
    return impl_->records;
}

std::uint64_t RecordingWriter::blocks() const
{
    return impl_->head.number;
}

std::uint64_t RecordingWriter::bytes() const
{
    return impl_->bytes;
}

} // namespace tcpsaga
