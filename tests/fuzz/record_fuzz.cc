// SPDX-License-Identifier: BSD-2-Clause
/* Any bytes as one record: the decoder takes it or leaves it, and what it takes is fit for all
 * that follows. */
#include <cstdint>
#include <cstring>
#include <vector>

#include "present.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace tcpsaga;
    std::vector<std::uint64_t> aligned(size / 8 + 1);
    std::memcpy(aligned.data(), data, size);
    const std::span bytes{reinterpret_cast<const std::byte*>(aligned.data()), size};
    if (const ts_head* head = decode(bytes)) {
        static_cast<void>(tuple_of(*head));
        static_cast<void>(task_of(*head));
    }
    fuzz::Presenters presenters;
    Correlator correlator({}, presenters);
    correlator.consume(bytes);
    correlator.consume(bytes);
    // What the decoder takes may still be of a kind of kinds that there is not.
    fuzz::require(correlator.malformed() == 2 || decode(bytes) != nullptr);
    return 0;
}
