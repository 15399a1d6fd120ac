// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/process_info.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <fstream>

namespace tcpsaga {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t second = 1'000'000'000;

TEST(ProcStatus, Parsed)
{
    const auto status =
        parse_proc_status("Name:\tngin\\nUid:\nTgid:\t812\nPid:\t812\n"
                          "Uid:\t33\t0\t0\t0\nNStgid:\t812\t9\t7\nNSpid:\t812\t9\t7\n"
                          "NSpgid:\t812\t9\t7\n");
    EXPECT_EQ(status.uid, 33U);
    EXPECT_EQ(status.inner_pid, 7U);
    EXPECT_EQ(parse_proc_status("NSpid:\t812\n").inner_pid, 812U);
    EXPECT_EQ(parse_proc_status("").inner_pid, 0U);
}

TEST(ProcStat, StartTime)
{
    EXPECT_EQ(parse_start_time("7 (a) (b c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 10 "
                               "11\n"),
              98765U);
    EXPECT_EQ(parse_start_time("7 (a) S 1"), 0U);
    EXPECT_EQ(parse_start_time(""), 0U);
}

/// A /proc of the test's own.
class Proc : public testing::Test {
protected:
    void SetUp() override
    {
        std::string name = testing::TempDir() + "proc.XXXXXX";
        proc = ::mkdtemp(name.data());
    }
    void TearDown() override { fs::remove_all(proc); }

    void write(const fs::path& path, const std::string& text) const
    {
        fs::create_directories((proc / path).parent_path());
        std::ofstream(proc / path) << text;
    }
    [[nodiscard]] std::uint32_t inode_of(const fs::path& path) const
    {
        struct stat st {};
        ::stat((proc / path).c_str(), &st);
        return static_cast<std::uint32_t>(st.st_ino);
    }

    fs::path proc;
};

TEST_F(Proc, WhatAProcessIs)
{
    write("7/status", "NSpid:\t7\t1\n");
    write("7/cmdline", std::string("nginx:\0worker", 13) + std::string(3, '\0'));
    write("7/cgroup", "0::/docker/" + std::string(64, 'a') + "\n");
    write("7/ns/net", "");
    ProcessInfos infos(proc);
    const ProcessInfo* info = infos.of(7, 0);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->command, "nginx: worker");
    EXPECT_EQ(info->cgroup, "/docker/" + std::string(64, 'a'));
    EXPECT_EQ(info->container.id, std::string(64, 'a'));
    EXPECT_EQ(info->inner_pid, 1U);
    EXPECT_EQ(info->netns, inode_of("7/ns/net"));
}

TEST_F(Proc, IsLookedAtAgainAfterASecondAndKeptOnceItIsGone)
{
    write("7/status", "NSpid:\t7\n");
    write("7/cmdline", "sh");
    ProcessInfos infos(proc);
    EXPECT_EQ(infos.of(7, second)->command, "sh");
    write("7/cmdline", "cat");
    EXPECT_EQ(infos.of(7, 2 * second)->command, "sh");
    EXPECT_EQ(infos.of(7, 2 * second + 1)->command, "cat");
    fs::remove_all(proc / "7");
    EXPECT_EQ(infos.of(7, 9 * second)->command, "cat");
    EXPECT_EQ(infos.of(8, 9 * second), nullptr);
    write("8/status", "NSpid:\t8\n");
    EXPECT_EQ(infos.of(8, 9 * second), nullptr);
    EXPECT_NE(infos.of(8, 11 * second), nullptr);
}

TEST_F(Proc, NamesOfNetworkNamespaces)
{
    write("names/blue", "");
    write("12/ns/net", "");
    write("12/comm", "nginx\n");
    fs::create_directories(proc / "9/ns");
    fs::create_hard_link(proc / "12/ns/net", proc / "9/ns/net"); // the same namespace
    write("9/comm", "init\n");
    fs::create_directories(proc / "10/ns");
    fs::create_hard_link(proc / "names/blue", proc / "10/ns/net");
    fs::create_directories(proc / "11");
    NetnsNames names(proc / "names", proc);
    EXPECT_EQ(names.of(inode_of("names/blue"), 0), "blue");
    const std::string first = names.of(inode_of("12/ns/net"), 0);
    EXPECT_TRUE(first == "pid 9 (init)" || first == "pid 12 (nginx)") << first;
    EXPECT_EQ(names.of(0, 0), "");

    write("names/green", "");
    EXPECT_EQ(names.of(inode_of("names/green"), second), "");
    EXPECT_EQ(names.of(inode_of("names/green"), second + 1), "green");
    fs::rename(proc / "names/green", proc / "names/red");
    EXPECT_EQ(names.of(inode_of("names/red"), 11 * second), "green");
    EXPECT_EQ(names.of(inode_of("names/red"), 11 * second + 2), "red");
}

} // namespace
} // namespace tcpsaga
