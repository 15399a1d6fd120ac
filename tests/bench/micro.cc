// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a record and an event cost the consumer, from memory. An argument is the number of live
 * sockets. items_per_second counts records in decode, correlate and replay, events in the
 * encoders; replay's `lines` counts lines per second.
 */
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "lives.h"
#include "tcpsaga/present.h"
#include "tcpsaga/record.h"

namespace tcpsaga::bench {
namespace {

constexpr std::size_t batch = 1 << 17;

void count_records(benchmark::State& state)
{
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}

void decode_records(benchmark::State& state)
{
    Lives lives(1000);
    lives.opening();
    const Stream stream = lives.next(batch);
    for (auto _ : state)
        stream.for_each([](auto bytes) { benchmark::DoNotOptimize(decode(bytes)); });
    count_records(state);
}
BENCHMARK(decode_records);

/// From malloc and mmap, in use.
double heap_bytes()
{
    const auto m = mallinfo2();
    return static_cast<double>(m.uordblks + m.hblkhd);
}

/// Feeds batches of records to `to` while `state` wants them.
void run(benchmark::State& state, Lives& lives, Correlator& to)
{
    for (auto _ : state) {
        state.PauseTiming();
        const Stream stream = lives.next(batch);
        state.ResumeTiming();
        stream.feed(to);
    }
    count_records(state);
}

void correlate(benchmark::State& state)
{
    Lives lives(static_cast<std::size_t>(state.range(0)));
    Nowhere sink;
    Correlator to(all_hooks(), sink);
    {
        const Stream opening = lives.opening();
        const double before = heap_bytes();
        opening.for_each([&](auto bytes) { to.consume(bytes); });
        state.counters["bytes_per_socket"] =
            (heap_bytes() - before) / static_cast<double>(state.range(0));
    }
    run(state, lives, to);
}
BENCHMARK(correlate)->Arg(1000)->Arg(100'000)->Arg(1'000'000);

PresentOptions options()
{
    PresentOptions o;
    o.host = "bench";
    o.utc_offset_ns = 1'790'000'000'000'000'000;
    return o;
}

std::unique_ptr<Output> null_output()
{
    auto out = Output::open("/dev/null");
    if (!out) {
        std::fputs("micro_bench: cannot write to /dev/null\n", stderr);
        std::exit(1);
    }
    return std::move(*out);
}

using Factory = std::unique_ptr<Sink> (*)(Output&, PresentOptions);

void replay(benchmark::State& state, Factory make)
{
    Lives lives(static_cast<std::size_t>(state.range(0)));
    const auto out = null_output();
    const auto sink = make(*out, options());
    Correlator to(all_hooks(), *sink);
    lives.opening().for_each([&](auto bytes) { to.consume(bytes); });
    const auto before = out->lines();
    run(state, lives, to);
    state.counters["lines"] =
        benchmark::Counter(static_cast<double>(out->lines() - before), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(replay, json, make_json)->Arg(1000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK_CAPTURE(replay, trace, make_trace)->Arg(1000);
BENCHMARK_CAPTURE(replay, life, make_life)->Arg(1000);

/// Events with their connections, so that they outlive the call.
class Keep : public Sink {
public:
    void on_event(const Event& e) override
    {
        connections.push_back(std::make_unique<Connection>(*e.conn));
        events.push_back(e);
        events.back().conn = connections.back().get();
    }
    std::vector<std::unique_ptr<Connection>> connections;
    std::vector<Event> events;
};

void encode(benchmark::State& state, Factory make)
{
    Lives lives(1000);
    Keep kept;
    Correlator from(all_hooks(), kept);
    lives.opening().for_each([&](auto bytes) { from.consume(bytes); });
    kept.events.clear();
    kept.connections.clear();
    lives.next(10'000).for_each([&](auto bytes) { from.consume(bytes); });
    const auto out = null_output();
    const auto sink = make(*out, options());
    for (auto _ : state)
        for (const Event& e : kept.events)
            sink->on_event(e);
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kept.events.size()));
}
BENCHMARK_CAPTURE(encode, json, make_json);
BENCHMARK_CAPTURE(encode, trace, make_trace);
BENCHMARK_CAPTURE(encode, life, make_life);

} // namespace
} // namespace tcpsaga::bench

BENCHMARK_MAIN();
