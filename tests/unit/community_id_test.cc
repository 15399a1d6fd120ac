// SPDX-License-Identifier: BSD-2-Clause
// Published vectors of github.com/corelight/community-id-spec and pycommunityid, seed 0.
#include <gtest/gtest.h>

#include "records.h"
#include "tcpsaga/present.h"

namespace tcpsaga::testing {
namespace {

std::string id(std::string_view a, std::uint16_t a_port, std::string_view b, std::uint16_t b_port)
{
    return community_id(Socket().local(a, a_port).remote(b, b_port).tuple());
}

TEST(community_id, published_ipv4)
{
    EXPECT_EQ(id("128.232.110.120", 34855, "66.35.250.204", 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    EXPECT_EQ(id("66.35.250.204", 80, "128.232.110.120", 34855), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}

TEST(community_id, published_ipv6)
{
    const auto a = "2001:470:e5bf:dead:4957:2174:e82c:4887";
    const auto b = "2607:f8b0:400c:c03::1a";
    EXPECT_EQ(id(a, 63943, b, 25), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=");
    EXPECT_EQ(id(b, 25, a, 63943), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=");
}

// Of Zeek's test suite (community_id_v1) and of Elasticsearch's community_id processor.
TEST(community_id, as_others_publish_it)
{
    EXPECT_EQ(id("1.2.3.4", 1122, "5.6.7.8", 3344), "1:wCb3OG7yAFWelaUydu0D+125CLM=");
    EXPECT_EQ(id("123.124.125.126", 12345, "55.56.57.58", 80), "1:9qr9Z1LViXcNwtLVOHZ3CL8MlyM=");
}

TEST(community_id, mapped_is_ipv4)
{
    EXPECT_EQ(id("::ffff:128.232.110.120", 34855, "::ffff:66.35.250.204", 80),
              "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}

// On one address the ports decide the direction; 40000 < 80 in the other byte order.
TEST(community_id, on_loopback_is_ordered_by_port)
{
    EXPECT_EQ(id("10.0.0.1", 80, "10.0.0.1", 40000), "1:VSepksiL0eg8U15xNTOfjO9fI8M=");
    EXPECT_EQ(id("10.0.0.1", 40000, "10.0.0.1", 80), "1:VSepksiL0eg8U15xNTOfjO9fI8M=");
}

TEST(community_id, depends_on_addresses_and_ports_only)
{
    const Socket s = client();
    EXPECT_EQ(community_id(s.tuple()), community_id(client().netns(7).tuple()));
    EXPECT_NE(community_id(s.tuple()), community_id(client().local("10.0.0.1", 40001).tuple()));
    EXPECT_NE(community_id(s.tuple()), community_id(client().local("10.0.0.3", 40000).tuple()));
    EXPECT_NE(community_id(s.tuple()), community_id(client().remote("10.0.0.2", 81).tuple()));
    EXPECT_EQ(community_id(s.tuple()), community_id(server().tuple()));
}

} // namespace
} // namespace tcpsaga::testing
