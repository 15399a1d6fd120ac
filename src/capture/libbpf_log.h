// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <string>

namespace tcpsaga {

/// Takes libbpf's messages off standard error: probing makes it warn of refusals that come
/// back as Errors anyway. TCPSAGA_LIBBPF=1 in the environment shows them all.
void quiet_libbpf();

/// The program that libbpf last failed to load in this thread, with the verifier's last word; ""
/// for none.
std::string last_load_failure();

} // namespace tcpsaga
