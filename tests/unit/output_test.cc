// SPDX-License-Identifier: BSD-2-Clause
// Lines on their way to files, pipes and full disks.
#include "tcpsaga/output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "rendering.h"

namespace tcpsaga::testing {
namespace {

using ::testing::HasSubstr;
using Health = Output::Health;

void put(Output& out, std::string_view line)
{
    out.buffer().append(line.data(), line.data() + line.size());
    out.buffer().push_back('\n');
    out.line_done();
}

std::unique_ptr<Output> opened(const std::string& path)
{
    auto out = Output::open(path);
    if (!out)
        throw std::runtime_error(out.error().message());
    return std::move(*out);
}

// ---- files
// ----------------------------------------------------------------------------------------

TEST(output, is_written_when_told_to)
{
    const TempDir dir;
    const auto out = opened(dir.file("log"));
    put(*out, "one");
    put(*out, "two");
    EXPECT_EQ(out->lines(), 2U);
    EXPECT_EQ(read_file(dir.file("log")), "");
    out->flush();
    EXPECT_EQ(read_file(dir.file("log")), "one\ntwo\n");
    out->flush();
    EXPECT_EQ(read_file(dir.file("log")), "one\ntwo\n");
    EXPECT_EQ(out->health(), Health::good);
    EXPECT_EQ(out->lines_lost(), 0U);
}

TEST(output, is_written_when_much_has_gathered)
{
    const TempDir dir;
    const auto out = opened(dir.file("log"));
    const std::string line(1023, 'x');
    for (int i = 0; i < 127; i++)
        put(*out, line);
    EXPECT_EQ(read_file(dir.file("log")).size(), 0U);
    put(*out, line);
    EXPECT_EQ(read_file(dir.file("log")).size(), 128U * 1024);
}

TEST(output, is_written_at_the_end)
{
    const TempDir dir;
    put(*opened(dir.file("log")), "last words");
    EXPECT_EQ(read_file(dir.file("log")), "last words\n");
}

TEST(output, is_for_its_owner_only)
{
    const TempDir dir;
    const auto before = umask(0);
    opened(dir.file("log"));
    umask(before);
    struct stat st {};
    ASSERT_EQ(::stat(dir.file("log").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST(output, appends)
{
    const TempDir dir;
    put(*opened(dir.file("log")), "one");
    put(*opened(dir.file("log")), "two");
    EXPECT_EQ(read_file(dir.file("log")), "one\ntwo\n");
}

TEST(output, that_cannot_be_opened_says_why)
{
    const TempDir dir;
    const auto out = Output::open(dir.file("no/such/log"));
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().err, ENOENT);
    EXPECT_EQ(out.error().object, dir.file("no/such/log"));
    EXPECT_FALSE(Output::open(dir.file("")));
}

TEST(output, is_opened_again_after_it_was_moved_away)
{
    const TempDir dir;
    const auto out = opened(dir.file("log"));
    put(*out, "old");
    std::filesystem::rename(dir.file("log"), dir.file("log.1"));
    EXPECT_TRUE(out->reopen());
    put(*out, "new");
    out->flush();
    EXPECT_EQ(read_file(dir.file("log.1")), "old\n");
    EXPECT_EQ(read_file(dir.file("log")), "new\n");
    struct stat st {};
    ASSERT_EQ(::stat(dir.file("log").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST(output, keeps_the_old_file_when_there_can_be_no_new_one)
{
    const TempDir dir;
    std::filesystem::create_directory(dir.file("logs"));
    const auto out = opened(dir.file("logs/log"));
    std::filesystem::rename(dir.file("logs"), dir.file("moved"));
    const auto status = out->reopen();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().err, ENOENT);
    put(*out, "still here");
    out->flush();
    EXPECT_EQ(read_file(dir.file("moved/log")), "still here\n");
    EXPECT_EQ(out->health(), Health::good);
}

TEST(output, does_not_leak_descriptors)
{
    const TempDir dir;
    const int before = ::dup(0);
    ::close(before);
    for (int i = 0; i < 3; i++) {
        const auto out = opened(dir.file("log"));
        EXPECT_TRUE(out->reopen());
    }
    const int after = ::dup(0);
    ::close(after);
    EXPECT_EQ(after, before);
}

TEST(output, to_a_file_is_no_terminal_and_has_a_reader)
{
    const TempDir dir;
    const auto out = opened(dir.file("log"));
    EXPECT_FALSE(out->is_terminal());
    out->check_reader();
    EXPECT_EQ(out->health(), Health::good);
}

// ---- a full disk
// ------------------------------------------------------------------------------------

TEST(output, to_a_full_disk_fails_and_counts)
{
    const auto out = opened("/dev/full");
    put(*out, "one");
    put(*out, "two");
    EXPECT_EQ(out->health(), Health::good);
    out->flush();
    EXPECT_EQ(out->health(), Health::failed);
    EXPECT_EQ(out->lines_lost(), 2U);
    put(*out, "three");
    out->flush();
    EXPECT_EQ(out->lines_lost(), 3U);
    EXPECT_EQ(out->lines(), 3U);
    const Error e = out->error();
    EXPECT_EQ(e.err, ENOSPC);
    EXPECT_EQ(e.message(), "cannot write to /dev/full: No space left on device; free some space; "
                           "3 lines were lost");
}

TEST(output, that_failed_keeps_no_memory)
{
    const auto out = opened("/dev/full");
    for (int i = 0; i < 3; i++) {
        put(*out, std::string(200'000, 'x'));
        EXPECT_EQ(out->buffer().size(), 0U);
    }
    EXPECT_EQ(out->lines_lost(), 3U);
}

// ---- pipes
// ------------------------------------------------------------------------------------------

/// Standard output is a pipe for its life, and SIGPIPE is ignored as live.cc does.
class piped_output : public ::testing::Test {
protected:
    piped_output()
    {
        std::fflush(stdout);
        old_handler_ = std::signal(SIGPIPE, SIG_IGN);
        saved_ = ::dup(STDOUT_FILENO);
        if (::pipe(ends_.data()) != 0)
            throw std::runtime_error("pipe");
        ::dup2(ends_[1], STDOUT_FILENO);
        ::close(ends_[1]);
    }
    ~piped_output() override
    {
        ::dup2(saved_, STDOUT_FILENO);
        ::close(saved_);
        close_reader();
        std::signal(SIGPIPE, old_handler_);
    }
    void close_reader()
    {
        if (ends_[0] >= 0)
            ::close(ends_[0]);
        ends_[0] = -1;
    }
    std::string read_some(std::size_t most) const
    {
        std::string text(most, '\0');
        const ssize_t n = ::read(ends_[0], text.data(), most);
        text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return text;
    }

    std::array<int, 2> ends_{};

private:
    int saved_ = -1;
    void (*old_handler_)(int) = SIG_DFL;
};

// A pipe that does not block takes what it has room for, and then nothing for a while.
TEST_F(piped_output, survives_short_writes_and_a_slow_reader)
{
    ::fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    std::string want;
    std::string got;
    {
        Output out;
        for (int i = 0; i < 20'000; i++) {
            const std::string line = "line " + std::to_string(i);
            want += line + "\n";
            out.buffer().append(line.data(), line.data() + line.size());
            out.buffer().push_back('\n');
        }
        ASSERT_GT(want.size(), 3 * 65'536U);
        std::thread reader([&] {
            while (got.size() < want.size()) {
                const std::string some = read_some(10'007);
                if (some.empty())
                    break;
                got += some;
            }
        });
        out.line_done();
        out.flush();
        reader.join();
        EXPECT_EQ(out.health(), Health::good);
        EXPECT_EQ(out.lines_lost(), 0U);
    }
    EXPECT_TRUE(got == want) << got.size() << " of " << want.size() << " bytes";
}

TEST_F(piped_output, ends_quietly_when_the_reader_leaves)
{
    Output out;
    put(out, "one");
    out.flush();
    EXPECT_EQ(out.health(), Health::good);
    close_reader();
    put(out, "two");
    put(out, "three");
    out.flush();
    EXPECT_EQ(out.health(), Health::closed);
    EXPECT_EQ(out.lines_lost(), 2U);
    EXPECT_EQ(out.lines(), 3U);
}

TEST_F(piped_output, notices_without_writing_that_the_reader_left)
{
    Output out;
    out.check_reader();
    EXPECT_EQ(out.health(), Health::good);
    close_reader();
    out.check_reader();
    EXPECT_EQ(out.health(), Health::closed);
}

TEST_F(piped_output, is_not_closed_at_the_end)
{
    {
        Output out;
        put(out, "one");
    }
    EXPECT_EQ(read_some(100), "one\n");
    EXPECT_GE(::fcntl(STDOUT_FILENO, F_GETFD), 0);
}

TEST_F(piped_output, has_nothing_to_open_again)
{
    Output out;
    put(out, "one");
    EXPECT_TRUE(out.reopen());
    EXPECT_EQ(read_some(100), "one\n");
    put(out, "two");
    out.flush();
    EXPECT_EQ(read_some(100), "two\n");
    EXPECT_THAT(out.error().message(), HasSubstr("standard output"));
}

} // namespace
} // namespace tcpsaga::testing
