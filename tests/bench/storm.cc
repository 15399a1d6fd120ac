// SPDX-License-Identifier: BSD-2-Clause
/*
 * The load of the benchmark: short connections over loopback, in a network namespace of its own,
 * so that nothing else is touched and every run begins with no TIME_WAIT.
 *
 * storm [--seconds S] [--count N] [--threads T] [--rate N] [-6] [--addresses N] [--hold N]
 *
 * A thread drives both ends: connect, accept, a byte each way, close by the client, close by the
 * server. Nothing waits for a scheduler then, so the rate is what the machine's TCP can do, and
 * every cost of a tracer shows. Prints one JSON object.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    double seconds = 4;
    std::uint64_t count = 0; ///< 0: as many as the time allows
    unsigned threads = std::max(1U, std::thread::hardware_concurrency());
    double rate = 0; ///< connections per second, of all threads together; 0: flat out
    bool ipv6 = false;
    unsigned addresses = 250; ///< of 127.0.0.0/8, to spread the ports of TIME_WAIT; IPv4
    unsigned hold = 0;        ///< instead: so many connections that stay open
};

[[noreturn]] void die(const char* what)
{
    std::fprintf(stderr, "storm: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

void set(const std::string& sysctl, const std::string& value)
{
    if (!(std::ofstream("/proc/sys/net/" + sysctl) << value << std::flush))
        die(sysctl.c_str());
}

/// Its loopback is up, all ports are for connect(), and TIME_WAIT is never out of room.
void enter_new_namespace()
{
    if (unshare(CLONE_NEWNET) != 0)
        die("a network namespace (run as root)");
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq lo{};
    std::strcpy(lo.ifr_name, "lo");
    lo.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &lo) != 0)
        die("lo");
    close(fd);
    set("ipv4/ip_local_port_range", "1024 65535");
    set("ipv4/tcp_max_tw_buckets", "4000000");
}

union Address {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
};

/// Where one thread listens, and connects to under many addresses in turn.
class Service {
public:
    explicit Service(const Options& o)
        : addresses_(o.ipv6 ? 1 : std::clamp(o.addresses, 1U, 60000U))
    {
        at_.any.sa_family = o.ipv6 ? AF_INET6 : AF_INET;
        size_ = o.ipv6 ? sizeof(at_.v6) : sizeof(at_.v4);
        listener_ = socket(at_.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(listener_, &at_.any, size_) != 0 || listen(listener_, 64) != 0)
            die("listen");
        socklen_t size = size_;
        getsockname(listener_, &at_.any, &size);
        if (o.ipv6)
            at_.v6.sin6_addr = in6addr_loopback;
    }

    struct Pair {
        int client, server;
    };
    Pair connect_pair()
    {
        if (at_.any.sa_family == AF_INET) {
            const unsigned n = next_++ % addresses_;
            at_.v4.sin_addr.s_addr = htonl(0x7f000000U + (n / 250 << 8U) + 1 + n % 250);
        }
        const int client = socket(at_.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client < 0 || connect(client, &at_.any, size_) != 0)
            die("connect");
        const int server = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (server < 0)
            die("accept");
        return {client, server};
    }

    void one()
    {
        const auto [client, server] = connect_pair();
        char byte = 'x';
        if (write(client, &byte, 1) != 1 || read(server, &byte, 1) != 1 ||
            write(server, &byte, 1) != 1 || read(client, &byte, 1) != 1)
            die("exchange");
        close(client);
        close(server);
    }

private:
    Address at_{};
    socklen_t size_ = 0;
    unsigned addresses_;
    unsigned next_ = 0;
    int listener_ = -1;
};

double seconds_since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// One thread's part. The clock is read once per 16 connections.
std::uint64_t work(const Options& o, Clock::time_point start)
{
    Service service(o);
    const std::uint64_t most = o.count == 0 ? UINT64_MAX : (o.count + o.threads - 1) / o.threads;
    const double rate = o.rate / o.threads;
    std::uint64_t done = 0;
    while (done < most) {
        service.one();
        done++;
        if (rate > 0)
            std::this_thread::sleep_until(
                start + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(static_cast<double>(done) / rate)));
        if ((done % 16 == 0 || rate > 0) && seconds_since(start) >= o.seconds)
            break;
    }
    return done;
}

double cpu_seconds()
{
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

int storm(const Options& o)
{
    const auto start = Clock::now();
    std::atomic<std::uint64_t> total = 0;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < o.threads; i++)
        threads.emplace_back([&] { total += work(o, start); });
    for (std::thread& t : threads)
        t.join();
    const double took = seconds_since(start);
    std::printf("{\"connections\":%llu,\"seconds\":%.6f,\"rate\":%.1f,\"cpu_seconds\":%.3f}\n",
                static_cast<unsigned long long>(total), took, static_cast<double>(total) / took,
                cpu_seconds());
    return 0;
}

/// Both ends of `pairs` connections; says so by closing `ready`, and ends with its parent.
[[noreturn]] void hold_pairs(const Options& o, unsigned pairs, int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    Service service(o);
    for (unsigned i = 0; i < pairs; i++)
        service.connect_pair();
    close(ready);
    for (;;)
        pause();
}

/// As many processes as the limit of descriptors asks for. Holds until standard input ends.
int hold(const Options& o)
{
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    const unsigned each = static_cast<unsigned>(std::min<rlim_t>(files.rlim_max, 20000) - 64) / 2;
    int ready[2];
    if (pipe(ready) != 0)
        die("pipe");
    std::vector<pid_t> children;
    for (unsigned left = o.hold; left > 0; left -= std::min(left, each)) {
        const pid_t child = fork();
        if (child == 0) {
            close(ready[0]);
            hold_pairs(o, std::min(left, each), ready[1]);
        }
        if (child < 0)
            die("fork");
        children.push_back(child);
    }
    close(ready[1]);
    char byte = 0;
    while (read(ready[0], &byte, 1) > 0) {
    }
    std::printf("{\"held\":%u}\n", o.hold);
    std::fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    for (const pid_t child : children)
        kill(child, SIGTERM);
    while (wait(nullptr) > 0) {
    }
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    Options o;
    CLI::App app("A storm of short TCP connections over loopback");
    app.add_option("--seconds", o.seconds, "at most this long")->check(CLI::Range(0.01, 600.0));
    app.add_option("--count", o.count, "connections; as many as the time allows unless told");
    app.add_option("--threads", o.threads, "as many as processors unless told")
        ->check(CLI::Range(1, 256));
    app.add_option("--rate", o.rate, "connections per second; flat out unless told")
        ->check(CLI::NonNegativeNumber);
    app.add_flag("-6", o.ipv6, "IPv6");
    app.add_option("--addresses", o.addresses, "destinations in 127.0.0.0/8, 250 unless told");
    app.add_option("--hold", o.hold, "instead: connections that stay until standard input ends")
        ->check(CLI::Range(1, 1'000'000));
    CLI11_PARSE(app, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    enter_new_namespace();
    return o.hold != 0 ? hold(o) : storm(o);
}
