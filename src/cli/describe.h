// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace CLI {
class App;
}

namespace tcpsaga {

/// Prints commands and options as JSON: what the manual page and the completions are made from
/// (scripts/package/docs.py).
void print_description(const CLI::App& app);

} // namespace tcpsaga
