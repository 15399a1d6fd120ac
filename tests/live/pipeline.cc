// SPDX-License-Identifier: BSD-2-Clause
#include "pipeline.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace live {

void Pipeline::SetUp()
{
    if (std::getenv("TCPSAGA_VM") != nullptr)
        GTEST_SKIP() << "SKIPPED in a virtual machine: nothing here depends on the kernel";
    Live::SetUp();
    char path[] = "/tmp/tcpsaga-pipeline-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    folder_ = path;
}

void Pipeline::TearDown()
{
    if (!folder_.empty())
        std::filesystem::remove_all(folder_);
}

void Pipeline::write(const std::string& name, const std::string& text) const
{
    std::ofstream(file(name)) << text;
}

std::string read_text(const std::string& path)
{
    std::ifstream file(path);
    return {std::istreambuf_iterator(file), {}};
}

bool eventually(const std::function<bool()>& holds)
{
    for (int i = 0; i < 6000; i++) {
        if (holds())
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

void storm_whole(const Server& server, int count)
{
    ASSERT_EQ(storm(server, count).exit_code, 0);
}

} // namespace live
