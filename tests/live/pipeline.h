// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* Tests of what comes behind us in a pipeline: files, and waiting for what others do. */
#include <functional>

#include "saga.h"

namespace live {

/// With a folder of its own. On the host only.
class Pipeline : public Live {
protected:
    void SetUp() override;
    void TearDown() override;
    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] std::string file(const std::string& name) const { return folder_ + "/" + name; }
    void write(const std::string& name, const std::string& text) const;

private:
    std::string folder_;
};

std::string read_text(const std::string& path);
/// Looks every few milliseconds, at most a minute.
bool eventually(const std::function<bool()>& holds);
/// So many connections, one after another, each with a few bytes both ways.
void storm_whole(const Server& server, int count);

} // namespace live
