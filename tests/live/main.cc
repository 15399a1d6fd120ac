// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guests are emulated, several on a processor, and what a test waits for has a deadline: one or two
 * tests that fail are tried once more by themselves, and both outcomes are shown. What is broken
 * fails again.
 */
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

constexpr std::size_t most = 2;
constexpr const char* mark = "TCPSAGA_TEST_AGAIN";

class Failed : public testing::EmptyTestEventListener {
public:
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

private:
    /// gtest's JSON has no word on why: scripts/kernel_table.py.
    void OnTestPartResult(const testing::TestPartResult& part) override
    {
        if (part.skipped())
            testing::Test::RecordProperty("skipped_because", part.message());
    }
    void OnTestEnd(const testing::TestInfo& test) override
    {
        if (test.result()->Failed())
            names_.push_back(std::string(test.test_suite_name()) + "." + test.name());
    }
    std::vector<std::string> names_;
};

/// Beside the results of the first try, in a folder of its own: scripts/kernel_table.py. "": none.
std::filesystem::path second_results()
{
    const std::string prefix = "json:";
    const char* const output = std::getenv("GTEST_OUTPUT");
    if (output == nullptr || !std::string(output).starts_with(prefix))
        return {};
    const std::filesystem::path first = std::string(output).substr(prefix.size());
    return first.parent_path() / "again" / first.filename();
}

} // namespace

int main(int argc, char** argv)
{
    testing::InitGoogleTest(&argc, argv);
    auto* const failed = new Failed; // gtest's, once it is appended
    testing::UnitTest::GetInstance()->listeners().Append(failed);
    const auto results = second_results();
    const bool again = std::getenv(mark) != nullptr;
    if (!again && !results.empty())
        std::filesystem::remove(results);
    const int code = RUN_ALL_TESTS();
    if (again || failed->names().empty() || failed->names().size() > most)
        return code;
    std::string filter = "--gtest_filter=";
    for (const std::string& name : failed->names())
        filter += name + ":";
    std::fprintf(stderr, "SECOND TRY: %s\n", filter.c_str());
    std::fflush(nullptr);
    setenv(mark, "1", 1);
    if (!results.empty())
        setenv("GTEST_OUTPUT", ("json:" + results.string()).c_str(), 1);
    execl("/proc/self/exe", argv[0], filter.c_str(), nullptr);
    std::perror("live_test: a second try");
    return code;
}
