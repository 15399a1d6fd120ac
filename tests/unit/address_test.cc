// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "records.h"

namespace tcpsaga::testing {
namespace {

// ---- blocks -----------------------------------------------------------------------------------

struct Block {
    std::string_view text, addr, mask;

    friend void PrintTo(const Block& b, std::ostream* to) { *to << b.text; }
};

class good_block : public ::testing::TestWithParam<Block> {};

TEST_P(good_block, is_masked)
{
    const auto cidr = parse_cidr(GetParam().text);
    ASSERT_TRUE(cidr) << cidr.error().message();
    EXPECT_EQ(to_string(cidr->addr), GetParam().addr);
    EXPECT_EQ(to_string(cidr->mask), GetParam().mask);
}

INSTANTIATE_TEST_SUITE_P(
    v4, good_block,
    ::testing::Values(Block{"10.0.0.0/8", "10.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff:ff00:0"},
                      Block{"10.1.2.3/8", "10.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff:ff00:0"},
                      Block{"192.168.1.129/25", "192.168.1.128",
                            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff80"},
                      Block{"127.0.0.1", "127.0.0.1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
                      Block{"127.0.0.1/32", "127.0.0.1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
                      Block{"1.2.3.4/31", "1.2.3.4", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
                      Block{"255.255.255.255/0", "0.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff::"}));

INSTANTIATE_TEST_SUITE_P(
    v6, good_block,
    ::testing::Values(
        Block{"::1", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        Block{"fe80::1:2/10", "fe80::", "ffc0::"}, Block{"febf::/10", "fe80::", "ffc0::"},
        Block{"::/0", "::", "::"}, Block{"2001:db8:ff::/33", "2001:db8::", "ffff:ffff:8000::"},
        Block{"2001:DB8::5/128", "2001:db8::5", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        Block{"2001:db8::5/127", "2001:db8::4", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
        Block{"::ffff:10.1.2.3/104", "10.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff:ff00:0"}));

class bad_block : public ::testing::TestWithParam<std::string_view> {};

TEST_P(bad_block, is_refused_by_name)
{
    const auto cidr = parse_cidr(GetParam());
    ASSERT_FALSE(cidr);
    EXPECT_EQ(cidr.error().operation, "bad address block");
    EXPECT_EQ(cidr.error().object, "'" + std::string(GetParam()) + "'");
    EXPECT_NE(cidr.error().remedy, "");
}

INSTANTIATE_TEST_SUITE_P(texts, bad_block,
                         ::testing::Values("", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
                                           "10.0.0.0/+8", "10.0.0.0/8 ", "10.0.0.0/8/8",
                                           "10.0.0.0/x", "10.0.0.0/8x", "10.0.0.0/ 8", "10.0.0",
                                           "10.0.0.256", "10.0.0.0.0", " 10.0.0.1", "localhost",
                                           "::1/129", "::1/", ":::", "1::2::3", "fe80::1%eth0",
                                           "[::1]", "::1/4294967296", "10.0.0.0/4294967304",
                                           "12345::"));

TEST(block, names_the_longest_prefix_of_its_family)
{
    EXPECT_THAT(parse_cidr("10.0.0.0/33").error().remedy, ::testing::EndsWith("0 to 32"));
    EXPECT_THAT(parse_cidr("::/129").error().remedy, ::testing::EndsWith("0 to 128"));
}

TEST(block, contains)
{
    const Cidr ten = *parse_cidr("10.0.0.0/8");
    EXPECT_TRUE(ten.contains(ip("10.0.0.0")));
    EXPECT_TRUE(ten.contains(ip("10.255.255.255")));
    EXPECT_TRUE(ten.contains(ip("::ffff:10.1.2.3")));
    EXPECT_FALSE(ten.contains(ip("11.0.0.0")));
    EXPECT_FALSE(ten.contains(ip("9.255.255.255")));
    EXPECT_FALSE(ten.contains(ip("::a00:1"))); // 10.0.0.1 as IPv4-compatible is IPv6

    const Cidr local = *parse_cidr("fe80::/10");
    EXPECT_TRUE(local.contains(ip("febf:ffff::1")));
    EXPECT_FALSE(local.contains(ip("fec0::")));
    EXPECT_FALSE(local.contains(ip("254.128.0.1")));

    const Cidr host = *parse_cidr("10.0.0.1");
    EXPECT_TRUE(host.contains(ip("10.0.0.1")));
    EXPECT_FALSE(host.contains(ip("10.0.0.0")));
    EXPECT_FALSE(host.contains(ip("10.0.0.2")));
}

TEST(block, of_everything)
{
    const Cidr all = *parse_cidr("::/0");
    EXPECT_TRUE(all.contains(ip("10.0.0.1")));
    EXPECT_TRUE(all.contains(ip("2001:db8::1")));
    const Cidr all_v4 = *parse_cidr("0.0.0.0/0");
    EXPECT_TRUE(all_v4.contains(ip("10.0.0.1")));
    EXPECT_FALSE(all_v4.contains(ip("2001:db8::1")));
    EXPECT_FALSE(all_v4.contains(ip("::1")));
}

TEST(block, knows_its_family)
{
    EXPECT_TRUE(parse_cidr("0.0.0.0/0")->is_v4());
    EXPECT_TRUE(parse_cidr("10.0.0.1")->is_v4());
    EXPECT_TRUE(parse_cidr("::ffff:0:0/96")->is_v4());
    EXPECT_FALSE(parse_cidr("::/0")->is_v4());
    EXPECT_FALSE(parse_cidr("::ffff:0:0/80")->is_v4());
    EXPECT_FALSE(parse_cidr("::1")->is_v4());
}

// ---- addresses --------------------------------------------------------------------------------

TEST(address, is_v4_when_mapped)
{
    EXPECT_TRUE(ip("0.0.0.0").is_v4());
    EXPECT_TRUE(ip("::ffff:1.2.3.4").is_v4());
    EXPECT_FALSE(ip("::").is_v4());
    EXPECT_FALSE(ip("::fffe:1.2.3.4").is_v4());
    EXPECT_FALSE(ip("1::ffff:1.2.3.4").is_v4());
    EXPECT_FALSE(Address{}.is_v4());
}

TEST(address, text_forms)
{
    // RFC 5952: lower case, no leading zeros, the longest run of zeros first.
    EXPECT_EQ(to_string(ip("2001:0DB8:0:0:1:0:0:1")), "2001:db8::1:0:0:1");
    EXPECT_EQ(to_string(ip("2001:db8:0:1:1:1:1:1")), "2001:db8:0:1:1:1:1:1");
    EXPECT_EQ(to_string(ip("0:0:1:0:0:0:0:0")), "0:0:1::");
    EXPECT_EQ(to_string(ip("::")), "::");
    EXPECT_EQ(to_string(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    EXPECT_EQ(to_string(ip("::ffff:255.255.255.255")), "255.255.255.255");
    EXPECT_EQ(to_string(ip("0.0.0.0")), "0.0.0.0");
    EXPECT_EQ(to_string(ip("10.20.30.4")), "10.20.30.4");
}

TEST(address, written_without_an_end_mark_inside_its_room)
{
    std::array<char, 46> text{};
    text.fill('#');
    EXPECT_EQ(write_address(text.data(), ip("1.2.3.4")), text.data() + 7);
    EXPECT_EQ(std::string_view(text.data(), 8), "1.2.3.4#");
    EXPECT_EQ(write_address(text.data(), ip("::1")), text.data() + 3);
    EXPECT_EQ(std::string_view(text.data(), 3), "::1");
}

TEST(endpoint, is_ordered_by_address_and_port)
{
    EXPECT_LT((Endpoint{ip("10.0.0.1"), 9}), (Endpoint{ip("10.0.0.2"), 1}));
    EXPECT_LT((Endpoint{ip("10.0.0.1"), 255}), (Endpoint{ip("10.0.0.1"), 256}));
    EXPECT_LT((Endpoint{ip("10.0.0.127"), 1}), (Endpoint{ip("10.0.0.128"), 1}));
}

TEST(tuple_hash, depends_on_every_part)
{
    const Tuple t = client().tuple();
    const TupleHash hash;
    EXPECT_EQ(hash(t), hash(client().tuple()));
    EXPECT_NE(hash(t), hash(client().netns(1).tuple()));
    EXPECT_NE(hash(t), hash(client().local("10.0.0.1", 40001).tuple()));
    EXPECT_NE(hash(t), hash(client().local("10.0.0.3", 40000).tuple()));
    EXPECT_NE(hash(t), hash(client().remote("10.0.0.2", 81).tuple()));
    EXPECT_NE(hash(t), hash(client().remote("10.0.0.3", 80).tuple()));
    EXPECT_NE(hash(t), hash(server().tuple()));
}

// ---- errors are lines for a person ------------------------------------------------------------

TEST(error, says_all_it_knows)
{
    EXPECT_EQ((Error{"cannot open", "x", ENOENT, "look again"}).message(),
              "cannot open x: No such file or directory; look again");
    EXPECT_EQ((Error{"cannot open", "x", 0, ""}).message(), "cannot open x");
    EXPECT_EQ((Error{"", "x", 0, ""}).message(), "x");
    EXPECT_EQ((Error{"needs", "", 0, "sudo"}).message(), "needs; sudo");
}

} // namespace
} // namespace tcpsaga::testing
