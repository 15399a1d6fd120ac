// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include "tcpsaga/output.h"

namespace tcpsaga {

/// "": standard output.
inline Result<std::unique_ptr<Output>> open_output(const std::string& path)
{
    return path.empty() ? std::make_unique<Output>() : Output::open(path);
}

} // namespace tcpsaga
