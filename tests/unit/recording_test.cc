// SPDX-License-Identifier: BSD-2-Clause
// Inputs in a file, and what is left of them when the file is damaged.
#include "tcpsaga/recording.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <numeric>

#include "recording/block.h"
#include "recording/json.h"
#include "rendering.h"
#include "tape.h"

namespace tcpsaga::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

void write_file(const std::string& path, const std::string& bytes)
{
    std::ofstream(path, std::ios::binary) << bytes;
}

/// What can be read of a file.
struct Found {
    std::string error; ///< of open()
    std::vector<std::string> inputs;
    std::uint64_t lost = 0;
    std::vector<std::string> damage;
};

Found found_in(const std::string& path)
{
    Found f;
    const auto reader = RecordingReader::open(path);
    if (!reader) {
        f.error = reader.error().message();
        return f;
    }
    while (const Input* i = (*reader)->next()) {
        const auto* lost = std::get_if<input::Lost>(i);
        if (lost != nullptr && lost->where == event::LostWhere::recording)
            f.lost += lost->n;
        else
            f.inputs.push_back(text_of(*i));
    }
    f.damage = (*reader)->damage();
    return f;
}

/// Blocks of 3, 1 and 4 inputs.
std::string three_blocks(const std::string& path)
{
    auto tape = begun(path);
    const Socket s = client();
    for (const int n : {3, 1, 4}) {
        for (int i = 0; i < n; i++)
            put(*tape, 1ms * i, s.connect().by(curl));
        tape->flush();
    }
    tape->end();
    return read_file(path);
}

/// Where the blocks begin, the origin's and the end's included, and where the last one ends.
std::vector<std::size_t> borders(const std::string& bytes)
{
    std::vector<std::size_t> at{sizeof(Preamble)};
    while (at.back() < bytes.size()) {
        BlockHead h{};
        std::memcpy(&h, bytes.data() + at.back(), sizeof(h));
        at.push_back(at.back() + sizeof(h) + h.stored);
    }
    return at;
}

// ---- what is written is read --------------------------------------------------------------------

TEST(recording, keeps_every_kind_of_input)
{
    const TempDir dir;
    auto tape = begun(dir.file("r"));
    std::vector<std::string> written;
    for (const Input& i : every_input()) {
        tape->write(i);
        written.push_back(text_of(i));
    }
    EXPECT_EQ(tape->inputs(), written.size());
    EXPECT_EQ(tape->records(), 1U);
    tape->end();
    EXPECT_TRUE(tape->status());
    const Found f = found_in(dir.file("r"));
    EXPECT_EQ(f.inputs, written);
    EXPECT_THAT(f.damage, IsEmpty());
}

TEST(recording, keeps_every_field)
{
    const auto again = [](const Input& i) { return *input_from_json(to_json_text(i)); };
    for (const Input& i : every_input()) {
        if (std::holds_alternative<input::Record>(i))
            continue;
        const Input j = again(i);
        ASSERT_EQ(i.index(), j.index());
        EXPECT_EQ(time_of(i), time_of(j));
    }
    const auto present = std::get<input::Present>(again(a_present_socket()));
    ASSERT_EQ(present.sockets.size(), 1U);
    const SocketRow& l = present.sockets[0];
    EXPECT_EQ(l.tuple, listener().tuple());
    EXPECT_EQ(l.family, 6);
    EXPECT_EQ(l.state, State::listen);
    EXPECT_EQ(l.cookie, 0xfedcba9876543210U);
    EXPECT_EQ(l.inode, 1U);
    EXPECT_EQ(l.uid, 2U);
    EXPECT_EQ(l.holders[0].fd, 3);
    EXPECT_EQ(l.holders[0].process.pid, 5U);
    EXPECT_EQ(l.holders[0].process.uid, 6U);
    EXPECT_EQ(l.holders[0].process.name(), "\x1b\xff\"caf\xc3\xa9");
    EXPECT_EQ(l.holders[0].process.from, PidFrom::snapshot);
    EXPECT_EQ(l.rx_queue, 4U);
    EXPECT_EQ(l.tx_queue, 5U);
    EXPECT_EQ(l.timer, SocketTimer::persist);
    EXPECT_EQ(l.timer_ms, 6U);
    EXPECT_EQ(l.retries, 7U);
    EXPECT_EQ(l.tx_bytes, 8U);
    EXPECT_EQ(l.rx_bytes, 9U);
    EXPECT_EQ(l.rtt_us, 10U);
    EXPECT_EQ(l.retransmits, 11U);
    const auto totals = std::get<input::Totals>(again(some_totals()));
    EXPECT_EQ(totals.listeners[0].key.id, address_a);
    EXPECT_EQ(totals.listeners[0].counts.total[TS_ACCEPT_FAILED], 7U);
    EXPECT_EQ(totals.listeners[0].counts.other_drops, 8U);
    EXPECT_EQ(totals.listeners[0].counts.cookies_wanted, 9U);
    EXPECT_EQ(totals.namespaces[0].counts.rsts_sent, 10U);
    EXPECT_EQ(totals.drops[0].key.location, place_a);
    EXPECT_EQ(totals.drops[0].key.reason, TS_NO_REASON);
    EXPECT_EQ(totals.drops[0].counts.total, 11U);
    const auto ports = std::get<input::Ports>(again(some_ports()));
    EXPECT_EQ(ports.destination, client().tuple().remote);
    EXPECT_EQ(ports.use->low, 40000);
    EXPECT_EQ(ports.use->live, 4U);
    const auto translated =
        std::get<input::Translated>(again(input::Translated{client().tuple(), server().tuple()}));
    EXPECT_EQ(translated.own, client().tuple());
    EXPECT_EQ(translated.other, server().tuple());
    const auto home = std::get<input::ProcessHome>(again(a_home()));
    EXPECT_EQ(home.process, std::get<input::ProcessHome>(a_home()).process);
    EXPECT_EQ(home.home.cgroup, "/a\xff");
    EXPECT_EQ(home.home.container, std::string(64, 'c'));
    EXPECT_EQ(home.home.pod, "pod-uid");
    EXPECT_EQ(home.home.inner_pid, 7U);
    const auto name =
        std::get<input::NetnsName>(again(input::NetnsName{init_netns, "bl\xffue", 70}));
    EXPECT_EQ(name.netns, init_netns);
    EXPECT_EQ(name.name, "bl\xffue");
    const auto wish = std::get<input::Summarize>(again(a_summary()));
    EXPECT_TRUE(wish.final);
    EXPECT_EQ(wish.counters.before.at(init_netns).at("Tcp.ActiveOpens"), 1U);
    EXPECT_EQ(wish.counters.after.at(init_netns).at("Tcp.ActiveOpens"), UINT64_MAX);
}

TEST(recording, takes_whole_numbers_only)
{
    EXPECT_TRUE(input_from_json(R"({"input":"lost","n":18446744073709551615,"where":"ring"})"));
    EXPECT_FALSE(input_from_json(R"({"input":"lost","n":18446744073709551616,"where":"ring"})"));
    EXPECT_FALSE(input_from_json(R"({"input":"lost","n":1.5,"where":"ring"})"));
    EXPECT_FALSE(origin_from_json(R"({"utc_offset_ns":1e300})"));
}

TEST(recording, keeps_where_it_comes_from)
{
    const TempDir dir;
    begun(dir.file("r"))->end();
    const auto reader = RecordingReader::open(dir.file("r"));
    ASSERT_TRUE(reader);
    const Origin& o = (*reader)->origin();
    const Origin wrote = an_origin();
    EXPECT_EQ(o.program, wrote.program);
    EXPECT_EQ(o.host, wrote.host);
    EXPECT_EQ(o.kernel, wrote.kernel);
    EXPECT_EQ(o.machine, wrote.machine);
    EXPECT_EQ(o.title, wrote.title);
    ASSERT_EQ(o.facts.size(), 2U);
    EXPECT_EQ(o.facts[1].name, "accept");
    EXPECT_EQ(o.facts[1].by, "");
    EXPECT_EQ(o.facts[1].loses, "accept()");
    EXPECT_EQ(o.started_ns, wrote.started_ns);
    EXPECT_EQ(o.utc_offset_ns, wrote.utc_offset_ns);
    EXPECT_EQ(o.zone_offset_s, wrote.zone_offset_s);
    EXPECT_EQ(o.config.capacity, 77U);
    EXPECT_FALSE(o.config.time_wait_exit_seen);
    EXPECT_FALSE(o.config.connect_error_seen);
    EXPECT_FALSE(o.config.accept_seen);
    EXPECT_TRUE(o.config.infer_births);
    EXPECT_EQ(o.config.filter, wrote.config.filter);
    EXPECT_EQ(o.config.reset_reasons, wrote.config.reset_reasons);
    EXPECT_EQ(o.config.drop_reasons, wrote.config.drop_reasons);
    EXPECT_EQ(o.audit.unseen, wrote.audit.unseen);
    EXPECT_TRUE(o.audit.misses_uncounted);
    EXPECT_TRUE(o.audit.time_wait_counted_at_end);
}

TEST(recording, of_many_records_has_many_blocks)
{
    constexpr int count = 20'000; // of 96 bytes each
    const TempDir dir;
    auto tape = begun(dir.file("r"));
    for (int i = 0; i < count; i++)
        put(*tape, 1us * i, client().id(1U + static_cast<unsigned>(i)).connect().by(curl));
    tape->end();
    EXPECT_EQ(tape->blocks(), 2U + 4U + 1U); // of 512 KB; and the origin's, and the end
    EXPECT_EQ(tape->bytes(), read_file(dir.file("r")).size());
    const Found f = found_in(dir.file("r"));
    ASSERT_EQ(f.inputs.size(), std::size_t{count});
    EXPECT_EQ(f.inputs[0], text_of(input::Record{client().connect().by(curl).at(0us).bytes()}));
    EXPECT_THAT(f.damage, IsEmpty());
}

TEST(recording, names_a_place_once_in_each_block)
{
    const TempDir dir;
    auto tape = begun(dir.file("r"));
    const Input place = input::Place{place_a, "tcp_v4_rcv+0x1a0"};
    tape->write(place);
    tape->write(place);
    tape->flush();
    tape->write(place);
    tape->end();
    EXPECT_THAT(found_in(dir.file("r")).inputs, ElementsAre(text_of(place), text_of(place)));
}

TEST(recording, is_readable_while_it_grows)
{
    const TempDir dir;
    auto tape = begun(dir.file("r"));
    put(*tape, 1ms, client().connect());
    EXPECT_EQ(found_in(dir.file("r")).inputs.size(), 0U);
    tape->flush();
    const Found f = found_in(dir.file("r"));
    EXPECT_EQ(f.inputs.size(), 1U);
    EXPECT_THAT(f.damage, ElementsAre("it was not closed: the recorder was killed, or still runs"));
}

// ---- the file itself ----------------------------------------------------------------------------

TEST(recording, is_for_its_owner_only)
{
    const TempDir dir;
    begun(dir.file("r"))->end();
    struct stat st {};
    ASSERT_EQ(stat(dir.file("r").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST(recording, does_not_write_over_a_file)
{
    const TempDir dir;
    write_file(dir.file("r"), "precious");
    const auto tape = RecordingWriter::create(dir.file("r"), false);
    ASSERT_FALSE(tape);
    EXPECT_EQ(tape.error().message(),
              "will not write over " + dir.file("r") + "; name another file, or add --force");
    EXPECT_EQ(read_file(dir.file("r")), "precious");
}

TEST(recording, replaces_a_file_when_told_to)
{
    const TempDir dir;
    write_file(dir.file("r"), std::string(100'000, 'x'));
    ::chmod(dir.file("r").c_str(), 0644);
    {
        // Not before there is something to record.
        const auto unused = RecordingWriter::create(dir.file("r"), true);
        ASSERT_TRUE(unused);
    }
    EXPECT_EQ(read_file(dir.file("r")).size(), 100'000U);
    auto tape = RecordingWriter::create(dir.file("r"), true);
    (*tape)->begin(an_origin());
    (*tape)->end();
    EXPECT_THAT(found_in(dir.file("r")).damage, IsEmpty());
    struct stat st {};
    ASSERT_EQ(stat(dir.file("r").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST(recording, that_never_began_leaves_no_file)
{
    const TempDir dir;
    ASSERT_TRUE(RecordingWriter::create(dir.file("r"), false));
    EXPECT_NE(::access(dir.file("r").c_str(), F_OK), 0);
}

TEST(recording, needs_a_regular_file)
{
    const TempDir dir;
    EXPECT_THAT(RecordingWriter::create("/dev/full", true).error().message(),
                HasSubstr("/dev/full; it is no regular file"));
    EXPECT_THAT(RecordingWriter::create(dir.file("no/such"), true).error().message(),
                HasSubstr("No such file"));
}

/// As a full disk: a write that does not fit is done in part, the next one fails.
TEST(recording, that_finds_no_room_keeps_its_whole_blocks)
{
    const TempDir dir;
    auto tape = begun(dir.file("r"));
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    const rlimit little{tape->bytes() + 150, old.rlim_max};
    put(*tape, 1ms, client().connect());
    tape->flush();
    const std::uint64_t whole = tape->bytes();
    setrlimit(RLIMIT_FSIZE, &little);
    put(*tape, 2ms, server().birth().queue(3, 0, 128).by(nginx));
    tape->flush();
    put(*tape, 3ms, client().connect());
    tape->end();
    setrlimit(RLIMIT_FSIZE, &old);
    EXPECT_TRUE(tape->failed());
    EXPECT_EQ(tape->status().error().message(),
              "cannot record to " + dir.file("r") +
                  ": File too large; what it holds so far can be replayed");
    EXPECT_EQ(read_file(dir.file("r")).size(), whole);
    const Found f = found_in(dir.file("r"));
    EXPECT_EQ(f.inputs.size(), 1U);
    EXPECT_THAT(f.damage, ElementsAre(StartsWith("it was not closed")));
}

// ---- what is broken -----------------------------------------------------------------------------

TEST(broken_recording, gives_all_whole_blocks_wherever_it_is_cut)
{
    const TempDir dir;
    const std::string bytes = three_blocks(dir.file("r"));
    const Found all = found_in(dir.file("r"));
    ASSERT_EQ(all.inputs.size(), 8U);
    const auto at = borders(bytes); // origin, origin, 3, 1, 4, end
    ASSERT_EQ(at.size(), 7U);
    for (std::size_t size = 0; size < bytes.size(); size++) {
        write_file(dir.file("cut"), bytes.substr(0, size));
        const Found f = found_in(dir.file("cut"));
        if (size < at[1]) {
            EXPECT_THAT(f.error, StartsWith("cannot replay " + dir.file("cut"))) << size;
            continue;
        }
        ASSERT_EQ(f.error, "") << size;
        const std::size_t whole = size < at[3] ? 0 : size < at[4] ? 3 : size < at[5] ? 4 : 8;
        EXPECT_EQ(f.inputs, std::vector(all.inputs.begin(), all.inputs.begin() + whole)) << size;
        EXPECT_EQ(f.damage.size(), 1U) << size;
        EXPECT_LE(f.lost, 8 - whole) << size;
    }
}

TEST(broken_recording, tells_how_much_is_missing_of_a_block_that_is_cut)
{
    const TempDir dir;
    const std::string bytes = three_blocks(dir.file("r"));
    const auto at = borders(bytes);
    write_file(dir.file("r"), bytes.substr(0, at[5] - 1));
    const Found f = found_in(dir.file("r"));
    EXPECT_EQ(f.lost, 4U);
    EXPECT_THAT(f.damage, ElementsAre("cut off in block 4 at byte " + std::to_string(at[4]) +
                                      ": 1 of its " + std::to_string(at[5] - at[4]) +
                                      " bytes and 4 inputs are missing, and what followed"));
}

/// Every seventh: one or two of each byte, and each place in a byte.
TEST(broken_recording, is_noticed_by_each_bit_and_loses_one_block_at_most)
{
    const TempDir dir;
    std::string bytes = three_blocks(dir.file("r"));
    const auto at = borders(bytes);
    for (std::size_t bit = 0; bit < bytes.size() * 8; bit += 7) {
        const char was = bytes[bit / 8];
        bytes[bit / 8] = static_cast<char>(was ^ (1 << bit % 8));
        write_file(dir.file("flipped"), bytes);
        bytes[bit / 8] = was;
        const Found f = found_in(dir.file("flipped"));
        ASSERT_EQ(f.error, "") << bit / 8;
        EXPECT_THAT(f.damage, Not(IsEmpty())) << bit / 8;
        const auto block = std::upper_bound(at.begin(), at.end(), bit / 8) - at.begin() - 1;
        const std::uint64_t hit = block == 2 ? 3 : block == 3 ? 1 : block == 4 ? 4 : 0;
        EXPECT_EQ(f.lost, hit) << bit / 8;
        EXPECT_EQ(f.inputs.size(), 8 - hit) << bit / 8;
    }
}

TEST(broken_recording, tells_what_is_missing_where_a_piece_is_cut_out)
{
    const TempDir dir;
    const std::string bytes = three_blocks(dir.file("r"));
    const auto at = borders(bytes);
    write_file(dir.file("r"), bytes.substr(0, at[3]) + bytes.substr(at[4]));
    Found f = found_in(dir.file("r"));
    EXPECT_EQ(f.lost, 1U);
    EXPECT_EQ(f.inputs.size(), 7U);
    EXPECT_THAT(f.damage, ElementsAre("before block 4 at byte " + std::to_string(at[3]) +
                                      ": 1 input is missing"));
    write_file(dir.file("r"), bytes.substr(0, at[3] + 5) + bytes.substr(at[4]));
    f = found_in(dir.file("r"));
    EXPECT_EQ(f.lost, 1U);
    EXPECT_THAT(f.damage, ElementsAre("5 bytes at byte " + std::to_string(at[3]) +
                                      " are damaged: 1 input is missing"));
}

TEST(broken_recording, may_have_something_behind_its_end_or_twice)
{
    const TempDir dir;
    const std::string bytes = three_blocks(dir.file("r"));
    const auto at = borders(bytes);
    write_file(dir.file("r"), bytes + "tail");
    Found f = found_in(dir.file("r"));
    EXPECT_EQ(f.inputs.size(), 8U);
    EXPECT_THAT(f.damage, ElementsAre("4 bytes behind the end were not read"));
    write_file(dir.file("r"), bytes.substr(0, at[4]) + bytes.substr(at[3]));
    f = found_in(dir.file("r"));
    EXPECT_EQ(f.inputs.size(), 8U);
    EXPECT_THAT(f.damage,
                ElementsAre("block 3 at byte " + std::to_string(at[4]) + " is there twice"));
}

TEST(broken_recording, does_not_take_blocks_of_another)
{
    const TempDir dir;
    const std::string bytes = three_blocks(dir.file("r"));
    const auto at = borders(bytes);
    auto tape = RecordingWriter::create(dir.file("other"), false);
    Origin elsewhere = an_origin();
    elsewhere.host = "elsewhere";
    (*tape)->begin(elsewhere);
    (*tape)->end();
    write_file(dir.file("r"), read_file(dir.file("other")) + bytes.substr(at[2]));
    EXPECT_EQ(found_in(dir.file("r")).inputs.size(), 0U);
    write_file(dir.file("r"), bytes.substr(0, at[3]) + read_file(dir.file("other")));
    const Found f = found_in(dir.file("r"));
    EXPECT_EQ(f.inputs.size(), 3U);
    EXPECT_THAT(f.damage, ElementsAre(StartsWith("cut off or damaged at byte")));
}

struct NotOne {
    std::string bytes, says;
};

class foreign_file : public ::testing::TestWithParam<NotOne> {};

TEST_P(foreign_file, is_one_clear_line)
{
    const TempDir dir;
    write_file(dir.file("x"), GetParam().bytes);
    EXPECT_EQ(found_in(dir.file("x")).error,
              "cannot replay " + dir.file("x") + "; " + GetParam().says);
}

std::string version_7()
{
    Preamble p{recording_magic, 7, 0};
    p.checksum = checksum_of(p);
    return {reinterpret_cast<const char*>(&p), sizeof(p)};
}

INSTANTIATE_TEST_SUITE_P(
    all, foreign_file,
    ::testing::Values(
        NotOne{"", "the file is empty"}, NotOne{"x", "it is no recording of tcpsaga's"},
        NotOne{std::string(5000, 'x'), "it is no recording of tcpsaga's"},
        NotOne{std::string(5000, '\0'), "it is no recording of tcpsaga's"},
        NotOne{"{\"v\":1,\"ts\":\"2026-11-20T22:36:43Z\"}\n", "it is no recording of tcpsaga's"},
        NotOne{"\x89TCPSAGA", "it was cut off before anything was recorded"},
        NotOne{version_7(), "it is a recording of version 7, this tcpsaga reads version 1"}));

TEST(broken_recording, is_not_what_is_no_file)
{
    const TempDir dir;
    EXPECT_THAT(found_in(dir.file("none")).error, HasSubstr("cannot open " + dir.file("none")));
    EXPECT_THAT(found_in("/").error, HasSubstr("it is no regular file"));
    EXPECT_THAT(found_in("/dev/null").error, HasSubstr("it is no regular file"));
}

/// Sound blocks whose content is nonsense: only a writer with a bug, or with malice, makes them.
TEST(broken_recording, may_be_made_of_nonsense)
{
    for (const char* text : {"", "{}", "[]", "{\"input\":\"nonsense\"}", "{\"input\":3}",
                             "{\"input\":\"totals\",\"listeners\":7}",
                             "{\"input\":\"present\",\"sockets\":[{\"tuple\":"
                             "{\"local\":{\"addr\":\"nowhere\"}}}]}"})
        EXPECT_EQ(input_from_json(text), std::nullopt) << text;
    EXPECT_FALSE(input_from_json(std::string(1'000'000, '[')));
    EXPECT_FALSE(origin_from_json("{}"));
}

} // namespace
} // namespace tcpsaga::testing
