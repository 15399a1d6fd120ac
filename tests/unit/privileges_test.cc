// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

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

} // namespace
} // namespace tcpsaga::testing
