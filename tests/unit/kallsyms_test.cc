// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/kallsyms.h"

#include <gtest/gtest.h>

#include <fstream>

#include "rendering.h"

namespace tcpsaga::testing {
namespace {

class symbols : public ::testing::Test {
protected:
    KernelSymbols of(const std::string& text)
    {
        std::ofstream(dir_.file("kallsyms")) << text;
        return KernelSymbols(dir_.file("kallsyms"));
    }

private:
    TempDir dir_;
};

TEST_F(symbols, name_the_place_that_a_call_returns_to)
{
    KernelSymbols k = of("0000000000000000 A fixed_percpu_data\n"
                         "ffffffff81000000 T tcp_v4_rcv\n"
                         "ffffffffc0000000 t nft_do_chain\t[nf_tables]\n"
                         "ffffffff81001000 t tcp_v6_rcv\n");
    EXPECT_EQ(k.place_of(0xffffffff81000010), "tcp_v4_rcv+0x10");
    EXPECT_EQ(k.place_of(0xffffffff81000fff), "tcp_v4_rcv+0xfff");
    EXPECT_EQ(k.place_of(0xffffffff81001001), "tcp_v6_rcv+0x1");
    EXPECT_EQ(k.place_of(0xffffffffc00003e8), "nft_do_chain+0x3e8");
}

TEST_F(symbols, a_call_at_the_very_end_is_its_functions)
{
    EXPECT_EQ(
        of("ffffffff81000000 T panics\nffffffff81000040 T next\n").place_of(0xffffffff81000040),
        "panics+0x40");
}

TEST_F(symbols, name_nothing_that_is_in_none)
{
    KernelSymbols k = of("ffffffff81000000 T tcp_v4_rcv\n");
    EXPECT_EQ(k.place_of(0xffffffff80ffffff), "");
    EXPECT_EQ(k.place_of(0xffffffffc0000000), "");
    EXPECT_EQ(k.place_of(0), "");
}

TEST_F(symbols, that_are_hidden_or_not_there)
{
    EXPECT_EQ(of("0000000000000000 T tcp_v4_rcv\n").place_of(0xffffffff81000010), "");
    EXPECT_EQ(of("").place_of(0xffffffff81000010), "");
    EXPECT_EQ(of("nonsense\n\nffffffff81000000\n").place_of(0xffffffff81000010), "");
    EXPECT_EQ(KernelSymbols("/no/such/file").place_of(0xffffffff81000010), "");
}

} // namespace
} // namespace tcpsaga::testing
