// SPDX-License-Identifier: BSD-2-Clause
/* Both ends of a connection in one line. */
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rendering.h"

namespace tcpsaga::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::unique_ptr<Sink> life_in_pairs(Output& out, PresentOptions o)
{
    return make_pairs(make_life(out, std::move(o)), make_pair_desk(out, {}));
}

std::unique_ptr<Sink> json_in_pairs(Output& out, PresentOptions o)
{
    o.kinds = {"close"};
    return make_pairs(make_json(out, std::move(o)), make_pair_desk(out, {}));
}

std::unique_ptr<Sink> two_lines_at_most(Output& out, PresentOptions o)
{
    o.header = false;
    return make_pairs(make_life(out, std::move(o)), make_pair_desk(out, 2));
}

struct Ends {
    Socket client, server;
};

Ends ends(std::uint16_t n)
{
    const auto port = static_cast<std::uint16_t>(40000 + n);
    return {testing::client().id(100U + n).local("10.0.0.1", port),
            testing::server().id(200U + n).remote("10.0.0.1", port)};
}

void meet(Correlator& c, const Ends& e, const Task& by = curl)
{
    tell(c, 1ms, e.client.connect().by(by));
    tell(c, 2ms, e.client.state(State::syn_sent, State::established));
    tell(c, 2ms, e.server.birth().queue(3, 0, 128).synack(1500us));
    tell(c, 2100us, e.server.state(State::syn_recv, State::established));
    tell(c, 3ms, e.server.accept().by(nginx));
}

void end_client(Correlator& c, const Ends& e)
{
    tell(c, 5ms, e.client.state(State::established, State::fin_wait1).by(curl));
    tell(c, 6ms, e.client.state(State::fin_wait1, State::fin_wait2));
    tell(c, 7ms, e.client.time_wait_in(State::fin_wait2, State::time_wait));
    tell(c, 7ms,
         e.client.state(State::fin_wait2, State::close)
             .counts(2050, 4097)
             .retransmits(1)
             .flag(TS_FIN_SEEN));
}

void end_server(Correlator& c, const Ends& e)
{
    tell(c, 5ms, e.server.state(State::established, State::close_wait));
    tell(c, 6ms, e.server.state(State::close_wait, State::last_ack).by(nginx));
    tell(c, 8ms, e.server.state(State::last_ack, State::close).counts(4097, 2049).retransmits(2));
}

event::Summary at_the_end()
{
    event::Summary s;
    s.final = true;
    return s;
}

/// Server last, client last, another namespace, a server that aborts, one without another end, one
/// whose other end goes on.
void tell_pairs(Sink& sink)
{
    Correlator c({}, sink);
    meet(c, ends(1));
    end_client(c, ends(1));
    end_server(c, ends(1));
    meet(c, ends(2));
    end_server(c, ends(2));
    end_client(c, ends(2));
    Ends far = ends(3);
    far.server.netns(4026532000);
    meet(c, far);
    end_client(c, far);
    end_server(c, far);
    meet(c, ends(4));
    tell(c, 9ms, ends(4).server.state(State::established, State::close).by(nginx));
    tell(c, 9ms, ends(4).client.state(State::established, State::close).error(ECONNRESET));
    client_life(c, ends(5).client);
    meet(c, ends(6));
    end_client(c, ends(6));
    sink.on_event({10'000'000, nullptr, {}, at_the_end()});
}

TEST(pairs, are_one_line_each)
{
    expect_golden("pairs.txt", render(life_in_pairs, plain(), tell_pairs));
}

TEST(pairs, in_json_have_the_server_as_peer)
{
    std::vector<json> lines;
    for (const std::string& line : lines_of(render(json_in_pairs, plain(), tell_pairs)))
        if (const json e = json::parse(line); e["event"] == "close")
            lines.push_back(e);
    ASSERT_EQ(lines.size(), 6U);
    for (const std::size_t i : {0, 1, 2}) {
        const json& e = lines[i];
        EXPECT_EQ(e["conn"], 101 + i);
        EXPECT_EQ(e["role"], "client");
        EXPECT_EQ(e["pid"], curl.pid);
        EXPECT_EQ(e["tx_bytes"], 2049); // its FIN is not known to be acknowledged
        EXPECT_EQ(e["retransmits"], 1);
        EXPECT_EQ(e["peer"], (json{{"conn", 201 + i},
                                   {"pid", nginx.pid},
                                   {"comm", "nginx"},
                                   {"netns", i == 2 ? 4026532000 : init_netns},
                                   {"accept_wait_us", 900},
                                   {"retransmits", 2},
                                   {"end", "fin"}}));
    }
    EXPECT_EQ(lines[3]["end"], "rst_received");
    EXPECT_EQ(lines[3]["peer"]["end"], "aborted");
    EXPECT_FALSE(lines[4].contains("peer"));
    EXPECT_EQ(lines[5]["conn"], 106);
    EXPECT_FALSE(lines[5]["peer"].contains("end")); // it goes on
    const std::string documented = read_file(TCPSAGA_EVENTS_MD);
    for (const auto& [key, value] : lines[0]["peer"].items())
        EXPECT_THAT(documented, HasSubstr("`" + key + "`"));
}

/// One end is passed on as it ends where the process filter lets the other not through.
TEST(pairs, do_not_wait_for_what_is_not_shown)
{
    Correlator::Config config;
    config.filter.pids = {curl.pid};
    const auto text = render(life_in_pairs, plain(), [&](Sink& sink) {
        Correlator c(config, sink);
        meet(c, ends(1));
        end_client(c, ends(1));
        end_server(c, ends(1));
    });
    EXPECT_EQ(lines_of(text).size(), 2U) << text;
}

TEST(pairs, wait_no_longer_than_to_the_end_and_stop_at_the_count)
{
    const auto run = [](Sink& sink) {
        Correlator c({}, sink);
        for (std::uint16_t n = 0; n < 4; n++) {
            meet(c, ends(n));
            end_client(c, ends(n));
        }
        sink.on_event({10'000'000, nullptr, {}, at_the_end()});
    };
    EXPECT_EQ(lines_of(render(two_lines_at_most, plain(), run)).size(), 2U);
    EXPECT_EQ(lines_of(render(life_in_pairs, plain(), run)).size(), 5U);
}

/// What waits for too many others is told alone.
TEST(pairs, are_not_waited_for_without_end)
{
    constexpr std::uint32_t most = 65536;
    const auto text = render(life_in_pairs, plain(), [&](Sink& sink) {
        Connection c;
        event::Close life{};
        for (std::uint32_t n = 0; n < most + 2; n++) {
            c.id = n + 1;
            life.peer = Peer{most * 2 + n, 1, {}, true};
            sink.on_event({n, &c, {}, life});
        }
    });
    EXPECT_EQ(lines_of(text).size(), 3U);
}

} // namespace
} // namespace tcpsaga::testing
