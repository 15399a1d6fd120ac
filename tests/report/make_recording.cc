// SPDX-License-Identifier: BSD-2-Clause
/*
 * make_recording FILE COUNT SECONDS: about COUNT connections, evenly over so many seconds, and
 * before them some that go wrong, of a process with a hostile name.
 */
#include <cstdio>
#include <cstdlib>

#include "../bench/lives.h"
#include "../unit/lives.h"
#include "tcpsaga/recording.h"

using namespace tcpsaga;
using namespace tcpsaga::testing;

namespace {

constexpr Task evil{303, "</script><b>\"&"};

Origin origin()
{
    Origin o;
    o.program = "tcpsaga test";
    o.command = "record";
    o.host = "<!--<script>";
    o.kernel = "6.12.41";
    o.machine = "x86_64";
    o.title = "trampoline, 36 hooks";
    o.started_ns = 500'000'000;
    o.utc_offset_ns = 1'700'000'000'000'000'000;
    o.zone_offset_s = 3600;
    return o;
}

template <class R>
void put(RecordingWriter& to, Nanos t, Record<R> r)
{
    to.write(input::Record{r.at(t).bytes()});
}

void faults(RecordingWriter& to)
{
    const Socket packet = Socket().id(3).local("10.0.0.2", 80).remote("10.0.0.9", 40009);
    put(to, 500ms, listener().listen(128).by(evil));
    for (std::uint16_t n = 0; n < 30; n++) {
        const Nanos t = 510ms + n * 10ms;
        const Socket c =
            client().id(100U + n).local("10.0.0.1", static_cast<std::uint16_t>(50000 + n));
        put(to, t, c.connect().by(evil));
        put(to, t + 1ms, c.retransmit(TS_RE_SYN, 1, State::syn_sent));
        put(to, t + 2ms, c.state(State::syn_sent, State::close).error(ECONNREFUSED).retransmits(1));
        put(to, t + 3ms, packet.overflow(TS_ACK_DROP, n + 1U));
    }
}

/// Lives go on for a microsecond each step; they are stretched.
class Stretched {
public:
    Stretched(RecordingWriter& to, std::uint64_t times) : to_(to), times_(times) {}
    void write(std::span<const std::byte> bytes)
    {
        std::memcpy(buffer_.data(), bytes.data(), bytes.size());
        ts_head head;
        std::memcpy(&head, buffer_.data(), sizeof(head));
        head.ts_ns = last = begin + (head.ts_ns - begin) * times_;
        std::memcpy(buffer_.data(), &head, sizeof(head));
        if (head.kind == TS_BIRTH) {
            const __u64 synack_ns = head.ts_ns - 50'000;
            std::memcpy(reinterpret_cast<std::byte*>(buffer_.data()) +
                            offsetof(ts_birth, synack_ns),
                        &synack_ns, sizeof(synack_ns));
        }
        to_.write(input::Record{std::as_bytes(std::span(buffer_)).first(bytes.size())});
    }
    std::uint64_t last = 0;

private:
    static constexpr std::uint64_t begin = 1'000'000'000; // of Lives
    RecordingWriter& to_;
    std::uint64_t times_;
    std::array<std::uint64_t, 64> buffer_{};
};

} // namespace

int main(int argc, char** argv)
{
    if (argc != 4) {
        std::fputs("usage: make_recording FILE COUNT SECONDS\n", stderr);
        return 2;
    }
    auto tape = RecordingWriter::create(argv[1], true);
    if (!tape)
        return 1;
    (*tape)->begin(origin());
    faults(**tape);
    constexpr std::size_t steps = 13; // of a client and a server
    std::size_t left = std::strtoul(argv[2], nullptr, 10) * steps / 2;
    const std::uint64_t us = std::strtoul(argv[3], nullptr, 10) * 1'000'000;
    Stretched to(**tape, std::max<std::uint64_t>(us / left, 1));
    bench::Lives lives(400);
    const auto write = [&](auto bytes) { to.write(bytes); };
    lives.opening().for_each(write);
    for (; left > 0; left -= std::min<std::size_t>(left, 100'000))
        lives.next(std::min<std::size_t>(left, 100'000)).for_each(write);
    (*tape)->write(input::Summarize{to.last, true, {}});
    (*tape)->end();
    return (*tape)->failed() ? 1 : 0;
}
