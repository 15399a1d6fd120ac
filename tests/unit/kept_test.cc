// SPDX-License-Identifier: BSD-2-Clause
// Scenarios that were run for real (tests/live/doctor_test.cc, TCPSAGA_TEST_KEEP) are judged again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/doctor.h"
#include "tape.h"

namespace tcpsaga::testing {
namespace {

using ::testing::IsEmpty;

class kept : public ::testing::TestWithParam<std::string> {};

TEST_P(kept, is_judged_as_it_was)
{
    const TempDir dir;
    const Replayed r = replay(as(Command::doctor, true),
                              {std::string(TCPSAGA_RECORDINGS) + "/" + GetParam() + ".tsr"}, dir);
    const auto findings = events_of(r.out);
    if (GetParam().starts_with("healthy")) {
        EXPECT_THAT(r.out, IsEmpty());
        EXPECT_EQ(r.exit_code, 0) << r.err;
        return;
    }
    ASSERT_FALSE(findings.empty()) << r.err;
    EXPECT_EQ(findings[0]["finding"], GetParam());
    EXPECT_EQ(r.exit_code, found_code);
}

std::vector<std::string> all_kept()
{
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(TCPSAGA_RECORDINGS))
        names.push_back(file.path().stem());
    std::ranges::sort(names);
    return names;
}

INSTANTIATE_TEST_SUITE_P(recordings, kept, ::testing::ValuesIn(all_kept()),
                         [](const auto& i) { return i.param; });

/// Of servers that are kept busy by connections that stay, by short ones, and that idle.
TEST(recordings, are_kept_of_healthy_servers)
{
    EXPECT_THAT(all_kept(), ::testing::IsSupersetOf({"healthy_AboutAnIdleServer",
                                                     "healthy_AboutConnectionsThatAreKept",
                                                     "healthy_AboutShortConnections"}));
}

} // namespace
} // namespace tcpsaga::testing
