// SPDX-License-Identifier: BSD-2-Clause
/* Real servers that cannot keep up, and real load. */
#include "nginx.h"
#include "saga.h"

namespace live {
namespace {

class Servers : public Live {};

/// "listen … backlog=7", and a worker that has stopped accepting.
TEST_F(Servers, NginxThatIsStuck)
{
    Saga saga;
    const Nginx server("127.0.0.1", "backlog=7");
    const json listen = saga.wait_for({{"event", "listen"}, {"lport", server.port()}});
    EXPECT_EQ(listen["backlog"], 7);
    EXPECT_EQ(listen["comm"], "nginx");
    wait_listening(server.port());
    while (server.worker() == 0)
        ;
    kill(server.worker(), SIGSTOP);
    Process clients({peer_path(), "rush", "127.0.0.1", std::to_string(server.port()), "30"});
    const json full = saga.wait_for({{"event", "overflow"}, {"queue", "accept"}});
    EXPECT_EQ(full["pid"], server.pid());
    EXPECT_EQ(full["comm"], "nginx");
    EXPECT_EQ(full["pid_from"], "listener");
    EXPECT_EQ(full["acceptq"], 8);
    EXPECT_EQ(full["acceptq_max"], 7);
    clients.send(SIGKILL);
    clients.wait();
    kill(server.worker(), SIGCONT);
    saga.stop();
}

TEST_F(Servers, NginxWithoutDescriptors)
{
    Saga saga;
    const Nginx server("127.0.0.1", "", "worker_rlimit_nofile 20;");
    saga.wait_for({{"event", "listen"}, {"lport", server.port()}});
    Process clients({peer_path(), "rush", "127.0.0.1", std::to_string(server.port()), "40"});
    const json error = saga.wait_for({{"event", "accept_error"}});
    EXPECT_EQ(error["errno"], "EMFILE");
    EXPECT_EQ(error["fd_limit"], 20);
    EXPECT_EQ(error["pid"], server.worker());
    EXPECT_EQ(error["comm"], "nginx");
    EXPECT_EQ(error["lport"], server.port());
    EXPECT_GT(error["acceptq"], 0);
    clients.send(SIGKILL);
    clients.wait();
    saga.stop();
}

/// wrk, a connection per request: all that the kernel counts is seen.
TEST_F(Servers, WrkAgainstNginx)
{
    set_sysctl("net/ipv4/tcp_max_tw_buckets", "100000");
    Saga saga({"trace", "--event", "close"});
    Nginx server("127.0.0.1");
    wait_listening(server.port());
    Process wrk({"wrk", "-t1", "-c8", "-d1s", "-H", "Connection: close", server.url()});
    ASSERT_EQ(wrk.wait(), 0);
    server.stop();
    const auto events = saga.stop();
    expect_audit_exact(events);
    const auto closes = select(events, {{"event", "close"}});
    const auto mine = select(closes, {{"role", "client"}});
    EXPECT_GT(mine.size(), 8U);
    if (events.back()["lost"] == 0) {
        for (const json& e : mine) {
            EXPECT_EQ(e["comm"], "wrk") << e;
        }
        EXPECT_EQ(mine.size(), events.back()["opens"]);
        EXPECT_EQ(closes.size() - mine.size(), events.back()["births"]);
    }
}

} // namespace
} // namespace live
