// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <functional>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "options.h"

namespace tcpsaga {

/// An error names the capabilities that this process lacks for loading BPF programs.
Status check_privileges();

struct MissingCapability {
    std::string_view name;
    std::string_view loses;
};
/// The capabilities that are not in effect and without which the command tells less.
std::vector<MissingCapability> missing_for(const Options& options);

bool has_capability(int capability);

/// Gives up every capability but those to keep (where it has them), in every set, and every way to
/// gain one by execve(): for good. The kernel keeps all this per thread (capabilities(7)), and
/// those started later inherit it: an error when there is a second one already.
Status keep_only(std::initializer_list<int> capabilities);

/// What `work` returns with no capability in effect.
bool holds_unprivileged(const std::function<bool()>& work);

/// Some network namespace other than our own is to be traced.
bool wants_other_namespaces(const Options& options);

} // namespace tcpsaga
