// SPDX-License-Identifier: BSD-2-Clause
#include "process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <stdexcept>

namespace live {
namespace {

constexpr auto patience = std::chrono::seconds(90);

std::string joined(const std::vector<std::string>& lines)
{
    std::string text;
    for (const auto& line : lines)
        text += line + "\n";
    return text;
}

} // namespace

Process::Process(std::vector<std::string> argv)
{
    std::array<int, 2> out{};
    std::array<int, 2> err{};
    if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0)
        throw std::runtime_error("pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    std::vector<char*> args;
    for (auto& a : argv)
        args.push_back(a.data());
    args.push_back(nullptr);
    const int failed = posix_spawnp(&pid_, args[0], &actions, nullptr, args.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    if (failed != 0)
        throw std::runtime_error("cannot run " + argv[0]);
    out_.reader = std::thread([this, fd = out[0]] { read(fd, out_); });
    err_.reader = std::thread([this, fd = err[0]] { read(fd, err_); });
}

Process::~Process()
{
    if (status_ < 0)
        send(SIGKILL);
    wait();
}

void Process::send(int signal) const
{
    if (status_ < 0)
        kill(pid_, signal);
}

int Process::wait()
{
    if (status_ < 0) {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        out_.reader.join();
        err_.reader.join();
    }
    return status_;
}

void Process::wait_stopped() const
{
    int status = 0;
    waitpid(pid_, &status, WUNTRACED);
}

int Process::stop()
{
    send(SIGINT);
    return wait();
}

void Process::read(int fd, Stream& stream)
{
    std::string rest;
    std::array<char, 65536> chunk{};
    ssize_t n = 0;
    while ((n = ::read(fd, chunk.data(), chunk.size())) > 0) {
        rest.append(chunk.data(), static_cast<std::size_t>(n));
        const std::lock_guard lock(mutex_);
        std::size_t from = 0;
        for (std::size_t end = 0; (end = rest.find('\n', from)) != std::string::npos;
             from = end + 1)
            stream.lines.push_back(rest.substr(from, end - from));
        rest.erase(0, from);
        changed_.notify_all();
    }
    close(fd);
    const std::lock_guard lock(mutex_);
    if (!rest.empty())
        stream.lines.push_back(rest);
    stream.ended = true;
    changed_.notify_all();
}

bool Process::wait_for(Stream& stream, const std::function<bool(const std::string&)>& wanted)
{
    std::unique_lock lock(mutex_);
    std::size_t seen = 0;
    bool found = false;
    const auto look = [&] {
        for (; seen < stream.lines.size() && !found; seen++)
            found = wanted(stream.lines[seen]);
        return found || stream.ended;
    };
    changed_.wait_for(lock, patience, look);
    return found;
}

bool Process::wait_err(const std::function<bool(const std::string&)>& wanted)
{
    return wait_for(err_, wanted);
}

bool Process::wait_out(const std::function<bool(const std::string&)>& wanted)
{
    return wait_for(out_, wanted);
}

std::vector<std::string> Process::out() const
{
    const std::lock_guard lock(mutex_);
    return out_.lines;
}

std::vector<std::string> Process::err() const
{
    const std::lock_guard lock(mutex_);
    return err_.lines;
}

Ran run(std::vector<std::string> argv)
{
    Process p(std::move(argv));
    const int code = p.wait();
    return {code, joined(p.out()), joined(p.err())};
}

} // namespace live
