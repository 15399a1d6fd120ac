// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "cli/privileges.h"
#include "tcpsaga/probe.h"

namespace tcpsaga::testing {
namespace {

std::string missing(const std::string& effective)
{
    return missing_capabilities("Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n"
                                "CapEff:\t" +
                                effective + "\nCapBnd:\t000001ffffffffff\n");
}

// CAP_SYS_ADMIN is bit 21, CAP_PERFMON 38, CAP_BPF 39 (linux/capability.h).
TEST(privileges, that_are_permitted_but_not_effective_are_missing)
{
    EXPECT_EQ(missing("0000000000000000"), "CAP_BPF and CAP_PERFMON");
    EXPECT_EQ(missing("0000000000003000"), "CAP_BPF and CAP_PERFMON"); // network capabilities
}

TEST(privileges, each_is_named_alone)
{
    EXPECT_EQ(missing("0000004000000000"), "CAP_BPF");
    EXPECT_EQ(missing("0000008000000000"), "CAP_PERFMON");
}

TEST(privileges, both_suffice)
{
    EXPECT_EQ(missing("000000c000000000"), "");
}

TEST(privileges, sys_admin_suffices)
{
    EXPECT_EQ(missing("0000000000200000"), "");
    EXPECT_EQ(missing("000001ffffffffff"), "");
}

TEST(privileges, are_not_guessed_from_a_text_without_them)
{
    EXPECT_EQ(missing_capabilities(""), "");
    EXPECT_EQ(missing_capabilities("Name:\tx\n"), "");
}

TEST(privileges, at_the_end_of_the_text)
{
    EXPECT_EQ(missing_capabilities("CapEff:\t0000000000000000"), "CAP_BPF and CAP_PERFMON");
    EXPECT_EQ(missing_capabilities("CapEff:\t000000c000000000"), "");
}

/// What a process that has given them up is refused, in a number to return.
int try_privileged_work()
{
    if (unshare(CLONE_NEWNET) == 0 || errno != EPERM)
        return 1;
    if (mount("none", "/", nullptr, MS_REMOUNT, nullptr) == 0 || errno != EPERM)
        return 2;
    if (setuid(12345) == 0 || errno != EPERM)
        return 3;
    if (has_capability(0) || has_capability(21))
        return 4;
    // As root, execve() would give them all back.
    execl("/bin/sh", "sh", "-c",
          "grep -q '^CapEff:.0000000000000000$' /proc/self/status && "
          "grep -q '^CapPrm:.0000000000000000$' /proc/self/status",
          nullptr);
    return 5;
}

/// By trying, in a child: also what it executes has none.
TEST(privileges, that_are_given_up_do_not_come_back)
{
    if (geteuid() != 0)
        GTEST_SKIP() << "SKIPPED: only root has any to give up";
    const pid_t child = fork();
    if (child == 0)
        _exit(keep_only({}) ? try_privileged_work() : 6);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/// They are kept per thread: one that runs already would keep its own.
TEST(privileges, are_not_given_up_beside_another_thread)
{
    const pid_t child = fork();
    if (child == 0) {
        std::thread other([] { pause(); });
        const auto status = keep_only({});
        _exit(!status && status.error().message().find("other threads") != std::string::npos &&
                      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0
                  ? 0
                  : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

/// What is tried without them leaves them as they were.
TEST(privileges, are_back_after_a_try_without)
{
    constexpr int sys_admin = 21;
    const bool before = has_capability(sys_admin);
    EXPECT_FALSE(holds_unprivileged([] { return has_capability(sys_admin); }));
    EXPECT_TRUE(holds_unprivileged([] { return !has_capability(sys_admin); }));
    EXPECT_EQ(has_capability(sys_admin), before);
}

} // namespace
} // namespace tcpsaga::testing
