// SPDX-License-Identifier: BSD-2-Clause
#include "spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "recording/block.h"
#include "recording/json.h"

namespace tcpsaga::fleet {
namespace {

/// There is room for others before the first one.
constexpr std::uint64_t first_number = std::uint64_t{1} << 32;
constexpr std::string_view suffix = ".tsr";

/// What a message's block begins with; subject, id and body follow.
struct MessageHead {
    std::uint32_t lines;
    std::uint16_t subject;
    std::uint16_t id;
};

std::vector<std::byte> pack(const Message& m)
{
    const MessageHead head{m.lines, static_cast<std::uint16_t>(m.subject.size()),
                           static_cast<std::uint16_t>(m.id.size())};
    std::vector<std::byte> bytes(sizeof(head) + m.subject.size() + m.id.size() + m.body.size());
    std::memcpy(bytes.data(), &head, sizeof(head));
    std::size_t at = sizeof(head);
    for (const std::string* part : {&m.subject, &m.id, &m.body}) {
        std::memcpy(bytes.data() + at, part->data(), part->size());
        at += part->size();
    }
    return bytes;
}

std::optional<Message> unpack(std::span<const std::byte> bytes)
{
    MessageHead head{};
    if (bytes.size() < sizeof(head))
        return {};
    std::memcpy(&head, bytes.data(), sizeof(head));
    const auto* text = reinterpret_cast<const char*>(bytes.data()); // NOLINT: it is text
    const std::string_view rest(text + sizeof(head), bytes.size() - sizeof(head));
    const std::size_t names = std::size_t{head.subject} + head.id;
    if (rest.size() < names)
        return {};
    return Message{std::string(rest.substr(head.subject, head.id)),
                   std::string(rest.substr(0, head.subject)), head.lines,
                   std::string(rest.substr(names))};
}

bool is_sound(const BlockHead& h)
{
    return h.magic == block_magic && h.head_checksum == head_checksum_of(h) && h.raw <= block_most;
}

bool get(int fd, void* to, std::size_t size, std::uint64_t from)
{
    return ::pread(fd, to, size, static_cast<off_t>(from)) == static_cast<ssize_t>(size);
}

std::optional<std::uint64_t> number_of(const std::string& name)
{
    std::uint64_t n = 0;
    if (!name.ends_with(suffix))
        return {};
    const std::size_t digits = name.size() - suffix.size();
    const auto [end, err] = std::from_chars(name.data(), name.data() + digits, n, 16);
    return err == std::errc() && end == name.data() + digits ? std::optional(n) : std::nullopt;
}

} // namespace

struct Spool::Codec {
    Compressor compressor{ZSTD_createCCtx()};
    Decompressor decompressor{ZSTD_createDCtx()};
    std::vector<std::byte> stored, raw;
    std::uint64_t recording = 0; ///< of the segment that is written
};

Spool::Spool(std::string folder, int fd, std::uint64_t most, std::string host)
    : folder_(std::move(folder)), lock_(fd), most_(most), host_(std::move(host)),
      codec_(std::make_unique<Codec>()), next_number_(first_number)
{
}

Spool::~Spool()
{
    close_files();
    ::close(lock_);
}

Result<std::unique_ptr<Spool>> Spool::open(const std::string& folder, std::uint64_t most_bytes,
                                           const std::string& host)
{
    std::error_code error;
    const bool made = std::filesystem::create_directories(folder, error);
    if (made)
        std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
    const int fd = ::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return Error{"cannot spool to", folder, errno, "name another folder: ?spool=FOLDER"};
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ::close(fd);
        return Error{"cannot spool to", folder, 0,
                     "another tcpsaga does; name another folder: ?spool=FOLDER"};
    }
    std::unique_ptr<Spool> spool(new Spool(folder, fd, most_bytes, host));
    if (auto status = spool->find_segments(); !status)
        return status.error();
    return spool;
}

std::string Spool::path_of(std::uint64_t number) const
{
    return fmt::format("{}/{:016x}{}", folder_, number, suffix);
}

Status Spool::find_segments()
{
    std::vector<std::uint64_t> numbers;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error))
        if (const auto n = number_of(entry.path().filename()))
            numbers.push_back(*n);
    if (error)
        return Error{"cannot read", folder_, error.value(), "name another folder: ?spool=FOLDER"};
    std::ranges::sort(numbers);
    for (const std::uint64_t number : numbers) {
        if (!take_over(number))
            ::unlink(path_of(number).c_str()); // nothing in it is whole
        next_number_ = std::max(next_number_, number + 1);
    }
    return Nothing{};
}

/// Of an earlier run: as far as its blocks are whole.
bool Spool::take_over(std::uint64_t number)
{
    const int fd = ::open(path_of(number).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct stat st {};
    ::fstat(fd, &st);
    Segment s{number, static_cast<std::uint64_t>(st.st_size), 0, 0, 0, sizeof(Preamble)};
    BlockHead head{};
    for (std::uint64_t at = s.at; get(fd, &head, sizeof(head), at) && is_sound(head);) {
        at += sizeof(head) + head.stored;
        if (at > s.size)
            break;
        s.held += head.type == BlockType::message ? 1 : 0;
    }
    ::close(fd);
    if (s.held == 0)
        return false;
    waiting_ += s.held;
    bytes_ += s.size;
    segments_.push_back(s);
    return true;
}

bool Spool::write(Segment& s, const void* bytes, std::size_t size)
{
    const auto* from = static_cast<const char*>(bytes);
    std::size_t done = 0;
    while (done < size) {
        const ssize_t n = ::write(write_fd_, from + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail("write to", errno);
            if (::ftruncate(write_fd_, static_cast<off_t>(s.size)) != 0)
                close_files(); // another segment, behind half a block
            return false;
        }
        done += static_cast<std::size_t>(n);
    }
    s.size += size;
    bytes_ += size;
    return true;
}

/// A segment with its preamble and origin, open for writing.
std::optional<Spool::Segment> Spool::create(std::uint64_t number)
{
    if (write_fd_ >= 0)
        ::close(write_fd_);
    write_fd_ =
        ::open(path_of(number).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (write_fd_ < 0) {
        fail("write to", errno);
        return {};
    }
    Segment s{number, 0, 0, 0, 0, sizeof(Preamble)};
    Preamble p{recording_magic, recording_version, 0};
    p.checksum = checksum_of(p);
    Origin origin;
    origin.host = host_;
    const std::string text = to_json_text(origin);
    BlockHead head{block_magic, BlockType::origin, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    codec_->recording = head.recording = checksum_of(std::as_bytes(std::span(text)));
    const auto block =
        seal(codec_->compressor.get(), head, std::as_bytes(std::span(text)), codec_->stored);
    if (!write(s, &p, sizeof(p)) || !write(s, block.data(), block.size())) {
        bytes_ -= s.size;
        ::unlink(path_of(number).c_str());
        close_files();
        return {};
    }
    return s;
}

bool Spool::write(Segment& s, const Message& m)
{
    BlockHead head{block_magic, BlockType::message, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    head.recording = codec_->recording;
    head.number = static_cast<std::uint32_t>(s.held + 1);
    const auto block = seal(codec_->compressor.get(), head, pack(m), codec_->stored);
    if (block.empty() || !write(s, block.data(), block.size()))
        return false;
    s.held++;
    waiting_++;
    return true;
}

bool Spool::append(const Message& m)
{
    constexpr std::uint64_t parts = 16; // as they are sent, the disk is given back in so many
    if (bytes_ + m.body.size() / 4 > most_)
        return false; // that it compresses so well is a guess; the bound is kept to a message
    const bool fits = !segments_.empty() && segments_.back().size < most_ / parts;
    if (write_fd_ < 0 || !fits) {
        auto s = create(next_number_);
        if (!s)
            return false;
        next_number_++;
        segments_.push_back(*s);
    }
    return write(segments_.back(), m);
}

bool Spool::put_back(const std::vector<Message>& messages)
{
    if (messages.empty())
        return true;
    auto s = create((segments_.empty() ? next_number_ : segments_.front().number) - 1);
    const bool all =
        s && std::ranges::all_of(messages, [&](const Message& m) { return write(*s, m); });
    if (write_fd_ >= 0)
        ::close(write_fd_);
    write_fd_ = -1; // it is not the last one
    if (s)
        segments_.push_front(*s);
    return all;
}

bool Spool::read_from(const Segment& s)
{
    if (read_fd_ >= 0 && read_number_ == s.number)
        return true;
    if (read_fd_ >= 0)
        ::close(read_fd_);
    read_fd_ = ::open(path_of(s.number).c_str(), O_RDONLY | O_CLOEXEC);
    read_number_ = s.number;
    return read_fd_ >= 0;
}

/// Into codec_->raw. False: nothing behind it can be read, either.
bool Spool::read_block(Segment& s, BlockHead& head, bool& whole)
{
    if (!read_from(s)) {
        fail("read", errno);
        return false;
    }
    if (!get(read_fd_, &head, sizeof(head), s.at) || !is_sound(head)) {
        fail("read", EIO);
        return false;
    }
    codec_->stored.resize(head.stored);
    whole = get(read_fd_, codec_->stored.data(), head.stored, s.at + sizeof(head)) &&
            unseal(codec_->decompressor.get(), head, codec_->stored, codec_->raw);
    s.at += sizeof(head) + head.stored;
    return true;
}

std::optional<Message> Spool::next_of(Segment& s)
{
    while (s.read < s.held) {
        BlockHead head{};
        bool whole = false;
        if (!read_block(s, head, whole)) {
            waiting_ -= s.held - s.read;
            s.settled += s.held - s.read;
            s.read = s.held;
            break;
        }
        if (head.type != BlockType::message)
            continue;
        s.read++;
        waiting_--;
        if (whole)
            if (auto message = unpack(std::span(codec_->raw).first(head.raw)))
                return message;
        fail("read", EIO);
        s.settled++;
    }
    return {};
}

std::optional<Spool::Item> Spool::next()
{
    for (Segment& s : segments_)
        if (auto message = next_of(s))
            return Item{std::move(*message), s.number};
    drop_done();
    return {};
}

void Spool::settle(std::uint64_t segment)
{
    const auto s = std::ranges::find(segments_, segment, &Segment::number);
    if (s != segments_.end())
        s->settled++;
    drop_done();
}

/// Those of which nothing is wanted any more.
void Spool::drop_done()
{
    for (auto s = segments_.begin(); s != segments_.end();) {
        if (s->settled < s->held) {
            ++s;
            continue;
        }
        if (std::next(s) == segments_.end() && write_fd_ >= 0)
            ::close(std::exchange(write_fd_, -1));
        if (read_number_ == s->number && read_fd_ >= 0)
            ::close(std::exchange(read_fd_, -1)); // or its blocks stay on the disk
        ::unlink(path_of(s->number).c_str());
        bytes_ -= s->size;
        s = segments_.erase(s);
    }
}

void Spool::close_files()
{
    for (int* fd : {&write_fd_, &read_fd_})
        if (*fd >= 0)
            ::close(std::exchange(*fd, -1));
}

void Spool::fail(const std::string& operation, int err)
{
    failure_ = Error{"cannot " + operation, folder_, err, ""}.message();
}

std::string Spool::take_failure()
{
    return std::exchange(failure_, {});
}

} // namespace tcpsaga::fleet
