// SPDX-License-Identifier: BSD-2-Clause
// The names of events.md; nothing else is ever printed for a value.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "records.h"
#include "tcpsaga/attach.h"

namespace tcpsaga::testing {
namespace {

template <class Enum>
void expect_names(const std::vector<std::string_view>& names, std::string_view past_the_end)
{
    for (std::size_t i = 0; i < names.size(); i++)
        EXPECT_EQ(name_of(static_cast<Enum>(i)), names[i]) << i;
    EXPECT_EQ(name_of(static_cast<Enum>(names.size())), past_the_end);
}

TEST(names, of_states_are_the_kernels)
{
    expect_names<State>({"?", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",
                         "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING",
                         "NEW_SYN_RECV"},
                        "?");
    EXPECT_EQ(name_of(static_cast<State>(255)), "?");
}

TEST(names, of_state_numbers_are_the_kernels)
{
    EXPECT_EQ(static_cast<int>(State::established), 1);
    EXPECT_EQ(static_cast<int>(State::syn_sent), 2);
    EXPECT_EQ(static_cast<int>(State::time_wait), 6);
    EXPECT_EQ(static_cast<int>(State::close), 7);
    EXPECT_EQ(static_cast<int>(State::listen), 10);
    EXPECT_EQ(static_cast<int>(State::new_syn_recv), 12);
}

TEST(names, of_ends)
{
    EXPECT_EQ(name_of(event::End::fin), "fin");
    EXPECT_EQ(name_of(event::End::rst_sent), "rst_sent");
    EXPECT_EQ(name_of(event::End::rst_received), "rst_received");
    EXPECT_EQ(name_of(event::End::timeout), "timeout");
    EXPECT_EQ(name_of(event::End::refused), "refused");
    EXPECT_EQ(name_of(event::End::unreachable), "unreachable");
    EXPECT_EQ(name_of(event::End::aborted), "aborted");
    EXPECT_EQ(name_of(event::End::process_exit), "process_exit");
    EXPECT_EQ(name_of(event::End::never_accepted), "never_accepted");
    EXPECT_EQ(name_of(static_cast<event::End>(255)), "?");
}

TEST(names, of_who_closed)
{
    EXPECT_EQ(name_of(ClosedBy::unknown), "");
    EXPECT_EQ(name_of(ClosedBy::local), "local");
    EXPECT_EQ(name_of(ClosedBy::remote), "remote");
    EXPECT_EQ(name_of(ClosedBy::both), "both");
}

TEST(names, of_roles)
{
    EXPECT_EQ(name_of(Role::unknown), "");
    EXPECT_EQ(name_of(Role::client), "client");
    EXPECT_EQ(name_of(Role::server), "server");
}

TEST(names, of_where_a_process_is_known_from)
{
    EXPECT_EQ(name_of(PidFrom::nobody), "");
    EXPECT_EQ(name_of(PidFrom::task), "task");
    EXPECT_EQ(name_of(PidFrom::accept), "accept");
    EXPECT_EQ(name_of(PidFrom::connect), "connect");
    EXPECT_EQ(name_of(PidFrom::snapshot), "snapshot");
    EXPECT_EQ(name_of(PidFrom::listener), "listener");
}

TEST(names, of_places_of_loss)
{
    EXPECT_EQ(name_of(event::LostWhere::ring), "ring");
    EXPECT_EQ(name_of(event::LostWhere::table), "table");
    EXPECT_EQ(name_of(event::LostWhere::output), "output");
    EXPECT_EQ(name_of(event::LostWhere::missed), "missed");
}

TEST(names, of_ends_of_time_wait)
{
    expect_names<event::TimeWaitEnd>({"", "expired", "reused", "reset", "purged", "overflow"}, "?");
}

// The record's detail is taken as the event's.
TEST(names, of_ends_of_time_wait_are_the_records)
{
    EXPECT_EQ(name_of(static_cast<event::TimeWaitEnd>(TS_TW_UNKNOWN)), "");
    EXPECT_EQ(name_of(static_cast<event::TimeWaitEnd>(TS_TW_EXPIRED)), "expired");
    EXPECT_EQ(name_of(static_cast<event::TimeWaitEnd>(TS_TW_REUSED)), "reused");
    EXPECT_EQ(name_of(static_cast<event::TimeWaitEnd>(TS_TW_RESET)), "reset");
    EXPECT_EQ(name_of(static_cast<event::TimeWaitEnd>(TS_TW_PURGED)), "purged");
}

TEST(names, of_ends_of_listeners)
{
    EXPECT_EQ(name_of(event::UnlistenWhy::closed), "closed");
    EXPECT_EQ(name_of(event::UnlistenWhy::process_exit), "process_exit");
}

TEST(names, of_what_is_retransmitted_are_the_records)
{
    EXPECT_EQ(name_of(static_cast<event::Retransmitted>(TS_RE_SYN)), "syn");
    EXPECT_EQ(name_of(static_cast<event::Retransmitted>(TS_RE_SYNACK)), "synack");
    EXPECT_EQ(name_of(static_cast<event::Retransmitted>(TS_RE_DATA)), "data");
    EXPECT_EQ(name_of(static_cast<event::Retransmitted>(TS_RE_FIN)), "fin");
    EXPECT_EQ(name_of(static_cast<event::Retransmitted>(TS_RETRANSMITTED)), "?");
}

TEST(names, of_mechanisms_and_hooks)
{
    EXPECT_EQ(name_of(Mechanism::trampoline), "trampoline");
    EXPECT_EQ(name_of(Mechanism::kprobe), "kprobe");
    EXPECT_EQ(name_of(Mechanism::tracepoint), "tracepoint");
    EXPECT_EQ(name_of(HookKind::fentry), "fentry");
    EXPECT_EQ(name_of(HookKind::fexit), "fexit");
    EXPECT_EQ(name_of(HookKind::kprobe), "kprobe");
    EXPECT_EQ(name_of(HookKind::kretprobe), "kretprobe");
    EXPECT_EQ(name_of(HookKind::tp_btf), "tp_btf");
    EXPECT_EQ(name_of(HookKind::raw_tp), "raw_tp");
}

TEST(names, of_kinds_of_event)
{
    const auto kind = [](event::Payload what) { return kind_of({0, nullptr, {}, what}); };
    EXPECT_EQ(kind(event::Listen{}), "listen");
    EXPECT_EQ(kind(event::Unlisten{}), "unlisten");
    EXPECT_EQ(kind(event::BindError{false, 0}), "bind_error");
    EXPECT_EQ(kind(event::BindError{true, 0}), "listen_error");
    EXPECT_EQ(kind(event::Connect{}), "connect");
    EXPECT_EQ(kind(event::ConnectError{}), "connect_error");
    EXPECT_EQ(kind(event::SynackTimeout{}), "synack_timeout");
    EXPECT_EQ(kind(event::Stuck{}), "stuck");
    EXPECT_EQ(kind(event::StateChange{}), "state");
    EXPECT_EQ(kind(event::Accept{}), "accept");
    EXPECT_EQ(kind(event::TimeWait{}), "time_wait");
    EXPECT_EQ(kind(event::Reset{}), "reset");
    EXPECT_EQ(kind(event::Retransmit{}), "retransmit");
    EXPECT_EQ(kind(event::Close{}), "close");
    EXPECT_EQ(kind(event::Lost{}), "lost");
    EXPECT_EQ(kind(event::Summary{}), "summary");
}

TEST(names, of_errors)
{
    EXPECT_EQ(errno_name(111), "ECONNREFUSED");
    EXPECT_EQ(errno_name(110), "ETIMEDOUT");
    EXPECT_EQ(errno_name(99), "EADDRNOTAVAIL");
    EXPECT_EQ(errno_name(999), "E999");
}

TEST(names, of_processes_end_where_the_kernel_ends_them)
{
    Process p;
    EXPECT_EQ(p.name(), "");
    std::string_view("curl").copy(p.comm.data(), 16);
    EXPECT_EQ(p.name(), "curl");
    std::string_view("0123456789abcdef").copy(p.comm.data(), 16);
    EXPECT_EQ(p.name(), "0123456789abcdef");
}

} // namespace
} // namespace tcpsaga::testing
