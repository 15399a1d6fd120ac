// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace tcpsaga::testing {

/// A directory that goes away with its contents.
class TempDir {
public:
    TempDir()
    {
        std::string pattern = ::testing::TempDir() + "/tcpsaga-XXXXXX";
        if (mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error("mkdtemp " + pattern);
        path_ = pattern;
    }
    ~TempDir()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] std::string file(std::string_view name) const
    {
        return path_ + "/" + std::string(name);
    }

private:
    std::string path_;
};

} // namespace tcpsaga::testing
