// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace tcpsaga {
namespace {

constexpr std::size_t write_size = std::size_t{128} << 10;

int open_for_append(const std::string& path)
{
    return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

} // namespace

Output::Output()
{
    buffer_.reserve(2 * write_size);
}

Result<std::unique_ptr<Output>> Output::open(const std::string& path)
{
    const int fd = open_for_append(path);
    if (fd < 0)
        return Error{"cannot open", path, errno, "name a file that can be written with -o"};
    auto out = std::make_unique<Output>();
    out->fd_ = fd;
    out->path_ = path;
    return out;
}

Output::~Output()
{
    flush();
    if (!path_.empty())
        ::close(fd_);
}

void Output::line_done()
{
    lines_++;
    lines_waiting_++;
    if (buffer_.size() >= write_size)
        flush();
}

void Output::flush()
{
    const char* from = buffer_.data();
    std::size_t left = buffer_.size();
    while (left > 0 && health_ == Health::good) {
        const ssize_t n = ::write(fd_, from, left);
        if (n >= 0) {
            from += n;
            left -= static_cast<std::size_t>(n);
        } else if (errno == EPIPE) {
            health_ = Health::closed;
        } else if (errno == EAGAIN) {
            pollfd wait{fd_, POLLOUT, 0};
            ::poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            health_ = Health::failed;
            err_ = errno;
        }
    }
    if (health_ != Health::good)
        lines_lost_ += lines_waiting_;
    lines_waiting_ = 0;
    buffer_.clear();
}

Status Output::reopen()
{
    flush();
    if (path_.empty())
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
    pollfd p{fd_, 0, 0};
    if (health_ == Health::good && ::poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0)
        health_ = Health::closed;
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
