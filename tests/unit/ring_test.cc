// SPDX-License-Identifier: BSD-2-Clause
// Several rings, as the kernel writes them, read as one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "capture/ring.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint32_t busy = 1U << 31U;
constexpr std::uint32_t discarded = 1U << 30U;

/// What the kernel does (kernel/bpf/ringbuf.c), for records of a time and `more` bytes of it.
class Kernel {
public:
    explicit Kernel(std::size_t size, std::uint64_t begin = 0)
        : consumed(begin), produced_(begin), data_(size / 8)
    {
    }

    RingMemory memory()
    {
        return {&consumed, &produced_, reinterpret_cast<const std::byte*>(data_.data()),
                data_.size() * 8};
    }

    /// Where its head is.
    std::uint64_t write(std::uint64_t ts_ns, std::uint32_t flag = 0, std::size_t more = 0)
    {
        const std::uint64_t at = produced_;
        const auto length = static_cast<std::uint32_t>(8 * (1 + more));
        word(at) = length | flag;
        for (std::size_t i = 1; i < 2 + more; i++)
            word(at + 8 * i) = ts_ns;
        produced_ += 8 + length;
        return at;
    }
    void commit(std::uint64_t at) { word(at) &= ~std::uint64_t{busy}; }
    [[nodiscard]] std::uint64_t produced() const { return produced_; }

    std::uint64_t consumed;

private:
    std::uint64_t& word(std::uint64_t at) { return data_[at / 8 % data_.size()]; }

    std::uint64_t produced_;
    std::vector<std::uint64_t> data_;
};

std::uint64_t time_of(std::span<const std::byte> record)
{
    std::uint64_t t = 0;
    std::memcpy(&t, record.data(), sizeof(t));
    return t;
}

std::vector<std::uint64_t> read(RingReader& reader, std::uint64_t now_ns)
{
    std::vector<std::uint64_t> times;
    reader.read(now_ns, [&](std::span<const std::byte> record) {
        times.push_back(time_of(record));
        return true;
    });
    return times;
}

struct TwoRings : ::testing::Test {
    Kernel a{1024}, b{1024};
    RingReader reader;
    TwoRings()
    {
        reader.add(a.memory());
        reader.add(b.memory());
    }
};

TEST_F(TwoRings, are_read_in_the_order_of_time)
{
    for (const std::uint64_t t : {1, 4, 5, 9})
        a.write(t);
    for (const std::uint64_t t : {2, 3, 7, 8})
        b.write(t);
    EXPECT_THAT(read(reader, 100), ElementsAre(1, 2, 3, 4, 5, 7, 8, 9));
    EXPECT_EQ(a.consumed, a.produced());
    EXPECT_EQ(b.consumed, b.produced());
    EXPECT_THAT(read(reader, 100), IsEmpty());
}

TEST_F(TwoRings, keep_what_came_after_the_clock_was_read)
{
    a.write(10);
    a.write(30);
    b.write(20);
    EXPECT_THAT(read(reader, 20), ElementsAre(10, 20));
    b.write(25);
    EXPECT_THAT(read(reader, 40), ElementsAre(25, 30));
}

TEST_F(TwoRings, wait_for_a_record_that_is_being_written)
{
    b.write(5);
    const std::uint64_t at = b.write(15, busy);
    b.write(40);
    a.write(4);
    a.write(10); // might be before it or after
    EXPECT_THAT(read(reader, 100), ElementsAre(4, 5));
    EXPECT_THAT(read(reader, 100), IsEmpty());
    EXPECT_EQ(b.consumed, at);
    b.commit(at);
    EXPECT_THAT(read(reader, 100), ElementsAre(10, 15, 40));
}

/// Its place was taken before that of a record that has an earlier time.
TEST_F(TwoRings, put_a_program_before_what_interrupted_it)
{
    a.write(10);
    a.write(8);
    a.write(12);
    b.write(7);
    b.write(9);
    EXPECT_THAT(read(reader, 100), ElementsAre(7, 10, 8, 9, 12));
    const std::uint64_t at = a.write(23, busy);
    a.write(21);
    b.write(22);
    EXPECT_THAT(read(reader, 100), IsEmpty());
    a.commit(at);
    EXPECT_THAT(read(reader, 100), ElementsAre(23, 21, 22));
}

TEST_F(TwoRings, tell_of_eight_records_before_they_are_read)
{
    std::vector<std::uint64_t> expected;
    for (std::uint64_t t = 1; t <= 20; t++) {
        a.write(t, t == 7 ? discarded : 0);
        if (t != 7)
            expected.push_back(t);
    }
    std::vector<std::uint64_t> soon;
    std::vector<std::uint64_t> times;
    const auto on_record = [&](std::span<const std::byte> record) {
        times.push_back(time_of(record));
        EXPECT_EQ(soon.size(), std::min(times.size() + 7, expected.size()));
        return true;
    };
    const auto on_soon = [&](std::span<const std::byte> record) {
        soon.push_back(time_of(record));
    };
    reader.read(100, on_record, on_soon);
    EXPECT_EQ(times, expected);
    EXPECT_EQ(soon, expected);
}

TEST_F(TwoRings, do_not_tell_of_what_is_being_written)
{
    std::vector<std::uint64_t> soon;
    const auto on_record = [](std::span<const std::byte>) { return true; };
    const auto on_soon = [&](std::span<const std::byte> record) {
        soon.push_back(time_of(record));
    };
    a.write(1);
    const std::uint64_t at = a.write(2, busy);
    a.write(3);
    reader.read(100, on_record, on_soon);
    EXPECT_THAT(soon, ElementsAre(1));
    a.commit(at);
    reader.read(100, on_record, on_soon);
    EXPECT_THAT(soon, ElementsAre(1, 2, 3));
}

TEST_F(TwoRings, leave_out_what_was_discarded)
{
    a.write(1, discarded);
    a.write(2);
    a.write(3, discarded);
    b.write(4, discarded);
    EXPECT_THAT(read(reader, 100), ElementsAre(2));
    EXPECT_EQ(a.consumed, a.produced());
    EXPECT_EQ(b.consumed, b.produced());
}

TEST_F(TwoRings, keep_the_rest_for_one_who_has_enough)
{
    a.write(1);
    b.write(2);
    a.write(3);
    int n = 0;
    reader.read(100, [&](auto) { return ++n < 2; });
    EXPECT_EQ(n, 2);
    EXPECT_THAT(read(reader, 100), ElementsAre(3));
}

TEST_F(TwoRings, say_how_full_the_fuller_one_was)
{
    a.write(1);
    b.write(2);
    b.write(3);
    read(reader, 100);
    a.write(4);
    read(reader, 100);
    EXPECT_EQ(reader.take_most_filled(), 32U);
    EXPECT_EQ(reader.take_most_filled(), 0U);
}

TEST(ring, joins_a_record_that_goes_on_at_the_beginning)
{
    for (const std::uint64_t before : {32, 40, 48, 56}) {
        Kernel k(64, 6400 + before);
        RingReader reader;
        reader.add(k.memory());
        k.write(7, 0, 3);
        std::vector<std::uint64_t> words(4);
        reader.read(100, [&](std::span<const std::byte> record) {
            EXPECT_EQ(record.size(), 32U) << before;
            std::memcpy(words.data(), record.data(), std::min<std::size_t>(record.size(), 32));
            return true;
        });
        EXPECT_THAT(words, ElementsAre(7, 7, 7, 7)) << before;
        EXPECT_EQ(k.consumed, k.produced());
    }
}

/// Not only at the end, for the kernel goes on writing meanwhile.
TEST(ring, makes_room_while_it_is_read)
{
    Kernel k(1024);
    RingReader reader;
    reader.add(k.memory());
    for (std::uint64_t t = 1; t <= 64; t++)
        k.write(t);
    std::uint64_t furthest_behind = 0, n = 0;
    reader.read(100, [&](auto) {
        furthest_behind = std::max(furthest_behind, n++ * 16 - k.consumed);
        return true;
    });
    EXPECT_EQ(n, 64U);
    EXPECT_EQ(furthest_behind, 1024U / 8 - 16);
}

} // namespace
} // namespace tcpsaga::testing
