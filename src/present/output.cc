// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <linux/sockios.h>

#include "remote.h"

namespace tcpsaga {
namespace {

constexpr std::size_t write_size = std::size_t{128} << 10;
constexpr std::size_t behind_size = std::size_t{16} << 10; // less than a pipe or socket takes
constexpr int pipe_size = 1 << 20;                         // what anybody may have
constexpr auto retry_after = std::chrono::seconds(1);
constexpr auto first_patience = std::chrono::seconds(5);

/// Does not wait for who reads a FIFO, neither here nor when it is written to: the file is our own.
int open_for_append(const std::string& path)
{
    return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
}

bool is_kind(int fd, mode_t kind)
{
    struct stat st {};
    return ::fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

std::string lines_text(std::uint64_t n)
{
    return fmt::format("{} line{}", n, n == 1 ? "" : "s");
}

} // namespace

Output::Output() : is_socket_(is_kind(fd_, S_IFSOCK)), flush_at_(write_size)
{
    buffer_.reserve(2 * write_size);
}

Output::Output(std::unique_ptr<Carrier> carrier, std::string where)
    : fd_(-1), path_(std::move(where)), flush_at_(0), carrier_(std::move(carrier))
{
}

Status Output::check(const std::string& where)
{
    const auto remote = Remote::parse(where);
    return remote ? Status(Nothing{}) : remote.error();
}

Result<std::unique_ptr<Output>> Output::open(const std::string& where)
{
    auto remote = Remote::parse(where);
    if (!remote)
        return remote.error();
    auto out = std::make_unique<Output>();
    out->path_ = where;
    if (std::optional<Remote>& there = *remote; there) {
        out->remote_ = std::make_unique<Remote>(std::move(*there));
        if (auto status = out->connect_first(); !status)
            return status.error();
        return out;
    }
    const int fd = open_for_append(where);
    if (fd < 0 && errno == ENXIO)
        return Error{"nobody reads", where, 0, "start its reader first"}; // a FIFO's
    if (fd < 0)
        return Error{"cannot open", where, errno, "name a file that can be written with -o"};
    out->fd_ = fd;
    out->owns_fd_ = true;
    out->is_socket_ = false;
    return out;
}

Output::~Output()
{
    try {
        flush();
    } catch (const std::exception&) {
        health_ = Health::failed; // no memory is left, nor anybody to tell
    }
    if (owns_fd_ && fd_ >= 0)
        ::close(fd_);
    if (connecting_ >= 0)
        ::close(connecting_);
}

void Output::never_wait(std::size_t most)
{
    waits_ = false;
    most_ = most;
    if (carrier_ || !is_kind(fd_, S_IFIFO))
        return;
    ::fcntl(fd_, F_SETPIPE_SZ, pipe_size); // if not, 64 KiB do
    if (owns_fd_)
        return;
    // O_NONBLOCK belongs to the open file, which others may share: this is one of our own.
    const int fd = ::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    fd_ = fd;
    owns_fd_ = true;
}

// ---- lines --------------------------------------------------------------------------

/// The one that was made last: there is no room for it.
void Output::drop_line()
{
    if (!std::exchange(dropping_, true))
        add_news(fmt::format("{} takes no more: {} bytes wait for it, further lines are dropped",
                             name(), line_start_ - sent_));
    buffer_.resize(line_start_);
    lines_lost_++;
}

void Output::flush()
{
    if (carrier_)
        return carry();
    if (health_ == Health::good && (!remote_ || connected()))
        write_some();
    if (health_ != Health::good)
        give_up_waiting();
    compact();
    flush_at_ = waiting() + (is_behind() ? behind_size : write_size);
    if (dropping_ && has_room()) {
        dropping_ = false;
        add_news(fmt::format("{} takes lines again; {} dropped", name(),
                             lines_text(lines_lost_ -
                                        std::exchange(lines_lost_told_, lines_lost_))));
    }
}

void Output::catch_up(int fd, std::chrono::milliseconds most)
{
    const auto until = Clock::now() + most;
    while (is_behind() && health_ == Health::good) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        std::array<pollfd, 2> either{pollfd{fd, POLLIN, 0}, {fd_, POLLOUT, 0}};
        const int n = ::poll(either.data(), either.size(), static_cast<int>(std::max(left, 0L)));
        if (n > 0 && either[1].revents != 0)
            flush();
        if (n <= 0 || either[0].revents != 0)
            return;
    }
}

/// Each line as it is done; without one, time may have passed.
void Output::carry()
{
    if (buffer_.size() == 0)
        return carrier_->flush();
    lines_lost_ += carrier_->take({buffer_.data(), buffer_.size()}) ? 0 : 1;
    buffer_.clear();
    line_start_ = 0;
}

void Output::drain(std::chrono::milliseconds most)
{
    if (carrier_)
        return carrier_->drain();
    const auto until = Clock::now() + most;
    flush();
    while (health_ == Health::good && waiting() > 0 && Clock::now() < until) {
        constexpr int slice_ms = 20;
        pollfd wait{fd_, POLLOUT, 0}; // a negative descriptor just waits
        ::poll(&wait, 1, slice_ms);
        flush();
    }
    give_up_waiting();
}

void Output::write_some()
{
    while (waiting() > 0 && health_ == Health::good && fd_ >= 0) {
        const char* from = buffer_.data() + sent_;
        const int flags = MSG_NOSIGNAL | (waits_ ? 0 : MSG_DONTWAIT);
        const ssize_t n =
            is_socket_ ? ::send(fd_, from, waiting(), flags) : ::write(fd_, from, waiting());
        if (n >= 0)
            sent_ += static_cast<std::size_t>(n);
        else if (errno == EAGAIN && !waits_)
            return;
        else
            on_error(errno);
    }
}

void Output::on_error(int err)
{
    if (err == EINTR)
        return;
    if (err == EAGAIN) {
        pollfd wait{fd_, POLLOUT, 0};
        ::poll(&wait, 1, -1);
    } else if (remote_ && !waits_) {
        disconnect(err);
    } else {
        health_ = err == EPIPE && !remote_ ? Health::closed : Health::failed;
        err_ = err;
    }
}

/// Of the line that the byte there belongs to.
std::size_t Output::line_begin(std::size_t at) const
{
    const auto* const newline = static_cast<const char*>(::memrchr(buffer_.data(), '\n', at));
    return newline == nullptr ? 0 : static_cast<std::size_t>(newline - buffer_.data()) + 1;
}

/// What waits will not be written.
void Output::give_up_waiting()
{
    lines_lost_ += static_cast<std::uint64_t>(std::count(buffer_.data() + sent_,
                                                         buffer_.data() + buffer_.size(), '\n'));
    buffer_.clear();
    sent_ = line_start_ = 0;
}

/// Takes out what is sent, now and then when there is much behind it. A line that is half sent
/// stays: another connection begins with it.
void Output::compact()
{
    if (sent_ < buffer_.size() && sent_ <= buffer_.size() / 2)
        return;
    const std::size_t done = sent_ == buffer_.size() ? sent_ : line_begin(sent_);
    std::memmove(buffer_.data(), buffer_.data() + done, buffer_.size() - done);
    buffer_.resize(buffer_.size() - done);
    sent_ -= done;
    line_start_ -= std::min(done, line_start_);
}

// ---- the other end ------------------------------------------------------------------

Status Output::connect_first()
{
    owns_fd_ = is_socket_ = true;
    fd_ = -1;
    if (auto status = remote_->resolve(); !status)
        return status;
    Error last;
    for (std::size_t i = 0; i < remote_->addresses(); i++) {
        const auto fd = remote_->begin();
        if (!fd) {
            last = fd.error();
            continue;
        }
        const int err = Remote::finished(*fd, first_patience).value_or(ETIMEDOUT);
        if (err == 0) {
            fd_ = *fd;
            return Nothing{};
        }
        ::close(*fd);
        last = remote_->failure(err);
    }
    return last;
}

/// Where it is not: takes the next step to it, without waiting.
bool Output::connected()
{
    if (fd_ >= 0)
        return true;
    if (connecting_ < 0) {
        if (Clock::now() < next_try_)
            return false;
        next_try_ = Clock::now() + retry_after;
        const auto fd = remote_->begin();
        if (!fd)
            return false;
        connecting_ = *fd;
    }
    const auto err = Remote::finished(connecting_, std::chrono::milliseconds(0));
    if (!err)
        return false;
    const int fd = std::exchange(connecting_, -1);
    if (*err != 0) {
        ::close(fd);
        return false;
    }
    fd_ = fd;
    add_news("connected to " + name() + " again");
    return true;
}

void Output::disconnect(int err)
{
    int unacknowledged = 0;
    if (path_.starts_with("unix:") || ::ioctl(fd_, SIOCOUTQ, &unacknowledged) != 0)
        unacknowledged = 0; // of a Unix socket it tells memory, not bytes
    ::close(fd_);
    fd_ = -1;
    next_try_ = Clock::now();
    sent_ = line_begin(sent_);
    std::string lost;
    if (unacknowledged > 0)
        lost = fmt::format(", {} bytes unacknowledged", unacknowledged);
    add_news(fmt::format("lost the connection to {} ({}{}); trying again each second", name(),
                         err == 0 ? "closed" : std::strerror(err), lost));
}

Status Output::reopen()
{
    flush();
    if (path_.empty() || remote_ || carrier_)
        return Nothing{};
    const int fd = open_for_append(path_);
    if (fd < 0)
        return Error{"cannot reopen", path_, errno, "still writing to the old file"};
    ::close(fd_);
    fd_ = fd;
    return Nothing{};
}

void Output::check_reader()
{
    if (health_ != Health::good || fd_ < 0)
        return;
    // A listener for lines that ends its half of a connection has ended it all.
    pollfd p{fd_, static_cast<short>(remote_ ? POLLRDHUP : 0), 0};
    const bool something = ::poll(&p, 1, 0) == 1;
    if (remote_ && something && (p.revents & (POLLRDHUP | POLLERR | POLLHUP)) != 0)
        on_error(Remote::finished(fd_, std::chrono::milliseconds(0)).value_or(0));
    else if (something && (p.revents & POLLERR) != 0)
        health_ = Health::closed;
}

void Output::add_news(std::string text)
{
    news_ += (news_.empty() ? "" : "; ") + std::move(text);
}

std::string Output::take_news()
{
    if (carrier_)
        return carrier_->take_news();
    return std::exchange(news_, {});
}

bool Output::is_terminal() const
{
    return isatty(fd_) != 0;
}

std::string Output::remedy() const
{
    return err_ == ENOSPC ? "free some space; " + std::to_string(lines_lost_) + " lines were lost"
                          : std::to_string(lines_lost_) + " lines were lost";
}

} // namespace tcpsaga
