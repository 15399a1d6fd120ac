// SPDX-License-Identifier: BSD-2-Clause
/*
 * One stage over COUNT records with LIVE live sockets, for valgrind: replay_once
 * decode|correlate|json|trace|life LIVE COUNT. Prints how many events came out. All that is to be
 * counted is inside of measured().
 */
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string_view>

#include "lives.h"
#include "tcpsaga/present.h"
#include "tcpsaga/record.h"

using namespace tcpsaga;

extern "C" [[gnu::noinline]] void measured(const bench::Stream& stream, Correlator* to)
{
    if (to != nullptr)
        return stream.for_each([&](auto bytes) { to->consume(bytes); });
    std::size_t good = 0;
    stream.for_each([&](auto bytes) { good += decode(bytes) != nullptr ? 1 : 0; });
    if (good != stream.size())
        std::abort();
}

int main(int argc, char** argv)
{
    if (argc != 4) {
        std::fputs("usage: replay_once decode|correlate|json|trace|life LIVE COUNT\n", stderr);
        return 2;
    }
    const std::string_view stage = argv[1];
    bench::Lives lives(std::strtoul(argv[2], nullptr, 10));
    auto out = Output::open("/dev/null");
    if (!out)
        return 1;
    PresentOptions options;
    options.host = "bench";
    bench::Nowhere nowhere;
    std::unique_ptr<Sink> sink;
    if (stage == "json")
        sink = make_json(**out, options);
    else if (stage == "trace")
        sink = make_trace(**out, options);
    else if (stage == "life")
        sink = make_life(**out, options);
    Correlator to(bench::all_hooks(), sink ? *sink : nowhere);
    lives.opening().for_each([&](auto bytes) { to.consume(bytes); });
    const auto before = to.summary().events;
    const bench::Stream stream = lives.next(std::strtoul(argv[3], nullptr, 10));
    measured(stream, stage == "decode" ? nullptr : &to);
    std::printf("%llu\n", static_cast<unsigned long long>(to.summary().events - before));
    return 0;
}
