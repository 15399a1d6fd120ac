// SPDX-License-Identifier: BSD-2-Clause
/*
 * One stage over COUNT records with LIVE live sockets, for valgrind: replay_once
 * decode|correlate|json|trace|life LIVE COUNT. Prints how many events came out, and on standard
 * error the CPU time. All that is to be counted is inside of measured(). replay_once record LIVE
 * COUNT FILE keeps the records in a new recording, for tcpsaga replay.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string_view>

#include "lives.h"
#include "tcpsaga/present.h"
#include "tcpsaga/record.h"
#include "tcpsaga/recording.h"

using namespace tcpsaga;

extern "C" [[gnu::noinline]] void measured(const bench::Stream& stream, Correlator* to)
{
    if (to != nullptr)
        return stream.feed(*to);
    std::size_t good = 0;
    stream.for_each([&](auto bytes) { good += decode(bytes) != nullptr ? 1 : 0; });
    if (good != stream.size())
        std::abort();
}

namespace {

double cpu_seconds()
{
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

/// 1 when it cannot be written.
int record(bench::Lives& lives, std::size_t count, const char* path)
{
    auto tape = RecordingWriter::create(path, true);
    if (!tape) {
        std::fprintf(stderr, "replay_once: %s\n", tape.error().message().c_str());
        return 1;
    }
    Origin origin;
    origin.host = "bench";
    origin.utc_offset_ns = 1'790'000'000'000'000'000;
    origin.config = bench::all_hooks();
    RecordingWriter& to = **tape;
    to.begin(origin);
    lives.opening().for_each([&](auto bytes) { to.write(input::Record{bytes}); });
    for (constexpr std::size_t most = 1 << 17; count > 0; count -= std::min(count, most))
        lives.next(std::min(count, most)).for_each([&](auto bytes) {
            to.write(input::Record{bytes});
        });
    to.end();
    return to.failed() ? 1 : 0;
}

} // namespace

int main(int argc, char** argv)
{
    const bool records = argc == 5 && std::string_view(argv[1]) == "record";
    if (argc != 4 && !records) {
        std::fputs("usage: replay_once decode|correlate|json|trace|life LIVE COUNT\n"
                   "       replay_once record LIVE COUNT FILE\n",
                   stderr);
        return 2;
    }
    const std::string_view stage = argv[1];
    bench::Lives lives(std::strtoul(argv[2], nullptr, 10));
    if (records)
        return record(lives, std::strtoul(argv[3], nullptr, 10), argv[4]);
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
    const double before_s = cpu_seconds();
    measured(stream, stage == "decode" ? nullptr : &to);
    std::fprintf(stderr, "%.3f s of CPU time\n", cpu_seconds() - before_s);
    std::printf("%llu\n", static_cast<unsigned long long>(to.summary().events - before));
    return 0;
}
