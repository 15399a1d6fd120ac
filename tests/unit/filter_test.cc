// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "records.h"

namespace tcpsaga::testing {
namespace {

using ::testing::HasSubstr;

bool passes(const Filter& f, const Socket& s)
{
    return f.passes(s.tuple(), s.family());
}

// client() is 10.0.0.1:40000 -> 10.0.0.2:80 in init_netns.

TEST(filter, without_criteria_passes_all)
{
    EXPECT_TRUE(passes({}, client()));
    EXPECT_TRUE(passes({}, Socket().local("::1", 1).remote("::1", 2)));
    EXPECT_TRUE(passes({}, listener()));
}

TEST(filter, by_port_of_either_end)
{
    Filter f;
    f.ports = {443, 80};
    EXPECT_TRUE(passes(f, client()));
    EXPECT_TRUE(passes(f, server()));
    f.ports = {40000};
    EXPECT_TRUE(passes(f, client()));
    f.ports = {443};
    EXPECT_FALSE(passes(f, client()));
}

TEST(filter, by_local_port)
{
    Filter f;
    f.lports = {80, 443};
    EXPECT_FALSE(passes(f, client()));
    EXPECT_TRUE(passes(f, server()));
    EXPECT_TRUE(passes(f, listener()));
}

TEST(filter, by_remote_port)
{
    Filter f;
    f.rports = {80, 443};
    EXPECT_TRUE(passes(f, client()));
    EXPECT_FALSE(passes(f, server()));
    EXPECT_FALSE(passes(f, listener()));
}

TEST(filter, by_family)
{
    const Socket v6 = Socket().local("::1", 1).remote("::1", 2);
    Filter f;
    f.family = 4;
    EXPECT_TRUE(passes(f, client()));
    EXPECT_FALSE(passes(f, v6));
    f.family = 6;
    EXPECT_FALSE(passes(f, client()));
    EXPECT_TRUE(passes(f, v6));
}

TEST(filter, by_address_of_either_end)
{
    Filter f;
    f.cidrs = {*parse_cidr("10.0.0.2/32")};
    EXPECT_TRUE(passes(f, client()));
    EXPECT_TRUE(passes(f, server()));
    f.cidrs = {*parse_cidr("10.0.0.3/32")};
    EXPECT_FALSE(passes(f, client()));
    f.cidrs.push_back(*parse_cidr("10.0.0.0/31"));
    EXPECT_TRUE(passes(f, client()));
    f.cidrs = {*parse_cidr("::1")};
    EXPECT_FALSE(passes(f, client()));
}

TEST(filter, by_namespace)
{
    Filter f;
    f.netns = {7, init_netns};
    EXPECT_TRUE(passes(f, client()));
    EXPECT_FALSE(passes(f, client().netns(8)));
}

TEST(filter, criteria_must_all_pass)
{
    Filter f;
    f.family = 4;
    f.ports = {80};
    f.lports = {40000};
    f.rports = {80};
    f.cidrs = {*parse_cidr("10.0.0.0/8")};
    f.netns = {init_netns};
    EXPECT_TRUE(passes(f, client()));
    EXPECT_FALSE(passes(f, client().netns(8)));
    EXPECT_FALSE(passes(f, client().local("10.0.0.1", 40001)));
    EXPECT_FALSE(passes(f, client().remote("10.0.0.2", 81)));
    EXPECT_FALSE(passes(f, client().local("11.0.0.1", 40000).remote("11.0.0.2", 80)));
    EXPECT_TRUE(passes(f, client().local("11.0.0.1", 40000)));
    f.ports = {443};
    EXPECT_FALSE(passes(f, client()));
}

TEST(filter, by_process)
{
    Filter f;
    EXPECT_FALSE(f.asks_for_process());
    EXPECT_TRUE(f.process_matches(1, "init"));
    f.pids = {1, 2};
    EXPECT_TRUE(f.asks_for_process());
    EXPECT_TRUE(f.process_matches(2, "kthreadd"));
    EXPECT_FALSE(f.process_matches(3, "init"));
    f.comms = {"init", "curl"};
    EXPECT_TRUE(f.process_matches(1, "curl"));
    EXPECT_FALSE(f.process_matches(1, "cur"));
    EXPECT_FALSE(f.process_matches(3, "init"));
    f.pids = {};
    EXPECT_TRUE(f.asks_for_process());
    EXPECT_TRUE(f.process_matches(3, "init"));
    EXPECT_FALSE(f.process_matches(3, "wget"));
}

// ---- check() ----------------------------------------------------------------------------------

TEST(filter_check, accepts_what_can_pass)
{
    Filter f;
    EXPECT_TRUE(check(f));
    f.ports = {80};
    f.lports = {80};
    EXPECT_TRUE(check(f));
    f.lports = {81};
    EXPECT_TRUE(check(f)); // the remote port may be 80
    f.rports = {80};
    EXPECT_TRUE(check(f));
    f.comms = {"exactly 15 byte"};
    EXPECT_TRUE(check(f));
}

TEST(filter_check, refuses_ports_that_cannot_meet)
{
    Filter f;
    f.ports = {80};
    f.lports = {81};
    f.rports = {82};
    const auto status = check(f);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message(), HasSubstr("--port"));
    f.rports = {82, 80};
    EXPECT_TRUE(check(f));
}

struct FamilyCase {
    int family;
    std::vector<std::string_view> blocks;
    bool good;
};

TEST(filter_check, refuses_blocks_of_the_other_family)
{
    const FamilyCase cases[] = {
        {4, {"10.0.0.0/8"}, true},
        {4, {"fe80::/10"}, false},
        {4, {"::1"}, false},
        {4, {"::/0"}, true},
        {4, {"::/64"}, true},
        {4, {"::ffff:10.0.0.1"}, true},
        {6, {"10.0.0.0/8"}, false},
        {6, {"0.0.0.0/0"}, false},
        {6, {"fe80::/10"}, true},
        {6, {"::/0"}, true},
        {0, {"10.0.0.0/8"}, true},
        {0, {"fe80::/10"}, true},
        {4, {}, true},
        {6, {}, true},
        {4, {"fe80::/10", "10.0.0.0/8"}, true},
        {6, {"fe80::/10", "10.0.0.0/8"}, true},
        {4, {"fe80::/10", "::1"}, false},
    };
    for (const FamilyCase& c : cases) {
        Filter f;
        f.family = c.family;
        for (const auto text : c.blocks)
            f.cidrs.push_back(*parse_cidr(text));
        EXPECT_EQ(static_cast<bool>(check(f)), c.good)
            << c.family << " " << ::testing::PrintToString(c.blocks);
    }
}

TEST(filter_check, says_which_contradiction)
{
    Filter f;
    f.family = 4;
    f.cidrs = {*parse_cidr("fe80::/10")};
    EXPECT_THAT(check(f).error().message(), HasSubstr("-4 with an IPv6 --addr"));
    f.family = 6;
    f.cidrs = {*parse_cidr("10.0.0.0/8")};
    EXPECT_THAT(check(f).error().message(), HasSubstr("-6 with an IPv4 --addr"));
}

TEST(filter_check, refuses_what_is_too_long_for_the_kernel)
{
    const auto refused = [](auto member, std::size_t most, auto value, const char* option) {
        Filter f;
        (f.*member).assign(most, value);
        EXPECT_TRUE(check(f)) << option;
        (f.*member).push_back(value);
        const auto status = check(f);
        ASSERT_FALSE(status) << option;
        EXPECT_THAT(status.error().message(), HasSubstr(option));
        EXPECT_THAT(status.error().message(), HasSubstr("at most " + std::to_string(most)));
    };
    refused(&Filter::ports, TCPSAGA_MAX_PORTS, std::uint16_t{1}, "--port");
    refused(&Filter::lports, TCPSAGA_MAX_PORTS, std::uint16_t{1}, "--lport");
    refused(&Filter::rports, TCPSAGA_MAX_PORTS, std::uint16_t{1}, "--rport");
    refused(&Filter::cidrs, TCPSAGA_MAX_CIDRS, *parse_cidr("::1"), "--addr");
    refused(&Filter::netns, TCPSAGA_MAX_NETNS, 1U, "--netns");
}

// A name in the kernel has 15 bytes: no process ever has a longer one.
TEST(filter_check, refuses_a_name_that_no_process_can_have)
{
    Filter f;
    f.comms = {"sixteen bytes!!!"};
    const auto status = check(f);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message(), HasSubstr("--comm"));
}

// ---- the kernel's copy --------------------------------------------------------------------------

TEST(kernel_filter, of_nothing_is_zero)
{
    const ts_filter k = Filter{}.for_kernel();
    const ts_filter zero{};
    EXPECT_EQ(std::memcmp(&k, &zero, sizeof(k)), 0);
}

TEST(kernel_filter, has_everything_the_kernel_applies)
{
    Filter f;
    f.family = 6;
    f.ports = {80, 443, 65535};
    f.lports = {8080};
    f.rports = {1, 2};
    f.netns = {init_netns, 5};
    f.cidrs = {*parse_cidr("10.1.2.3/8"), *parse_cidr("fe80::1/10")};
    f.pids = {1};
    f.comms = {"init"};
    const ts_filter k = f.for_kernel();
    EXPECT_EQ(k.family, 6);
    EXPECT_EQ(k.n_ports, 3U);
    EXPECT_EQ(k.ports[0], 80);
    EXPECT_EQ(k.ports[1], 443);
    EXPECT_EQ(k.ports[2], 65535);
    EXPECT_EQ(k.ports[3], 0);
    EXPECT_EQ(k.n_lports, 1U);
    EXPECT_EQ(k.lports[0], 8080);
    EXPECT_EQ(k.n_rports, 2U);
    EXPECT_EQ(k.rports[1], 2);
    EXPECT_EQ(k.n_netns, 2U);
    EXPECT_EQ(k.netns[0], init_netns);
    EXPECT_EQ(k.netns[1], 5U);
    ASSERT_EQ(k.n_cidrs, 2U);
    for (std::size_t i = 0; i < 2; i++) {
        EXPECT_EQ(std::memcmp(k.cidrs[i].addr, f.cidrs[i].addr.bytes.data(), 16), 0) << i;
        EXPECT_EQ(std::memcmp(k.cidrs[i].mask, f.cidrs[i].mask.bytes.data(), 16), 0) << i;
    }
    EXPECT_EQ(std::memcmp(k.cidrs[0].addr, ip("10.0.0.0").bytes.data(), 16), 0);
    EXPECT_EQ(std::memcmp(k.cidrs[1].addr, ip("fe80::").bytes.data(), 16), 0);
}

TEST(kernel_filter, may_be_full)
{
    Filter f;
    f.ports.assign(TCPSAGA_MAX_PORTS, 7);
    f.netns.assign(TCPSAGA_MAX_NETNS, 8);
    f.cidrs.assign(TCPSAGA_MAX_CIDRS, *parse_cidr("::1"));
    const ts_filter k = f.for_kernel();
    EXPECT_EQ(k.ports[TCPSAGA_MAX_PORTS - 1], 7);
    EXPECT_EQ(k.netns[TCPSAGA_MAX_NETNS - 1], 8U);
    EXPECT_EQ(std::memcmp(k.cidrs[TCPSAGA_MAX_CIDRS - 1].addr, ip("::1").bytes.data(), 16), 0);
    EXPECT_EQ(k.n_lports, 0U);
}

} // namespace
} // namespace tcpsaga::testing
