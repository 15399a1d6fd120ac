// SPDX-License-Identifier: BSD-2-Clause
/*
 * The other process of the live tests: a TCP server or client that does exactly what its
 * arguments say. Servers say "port N" first.
 *
 * peer serve ADDR PORT [COUNT]
 *     accept, read a byte, write a byte, read to the end, close; ends after COUNT.
 * peer late ADDR PORT
 *     serve one, closing so late that the peer's FIN_WAIT2 has outlived its socket.
 * peer storm ADDR PORT COUNT
 *     connect, write a byte, read a byte, close; COUNT times.
 * peer hold ADDR PORT BACKLOG
 *     listen and never accept.
 * peer slow ADDR PORT COUNT MS [BACKLOG]
 *     accept COUNT times, sleeping MS before each; says how long each connection had waited
 *     in the queue: "p50 N" (us).
 * peer leak ADDR PORT
 *     accept, read to the end and never close.
 * peer starve ADDR PORT LIMIT
 *     stop until continued, then accept with room for LIMIT descriptors; five failures later
 *     says "failed 5" and waits.
 * peer uring ADDR PORT LIMIT
 *     the same by io_uring's accept.
 * peer reuse ADDR PORT BACKLOG
 *     hold, with SO_REUSEPORT.
 * peer relisten ADDR PORT BACKLOG AGAIN
 *     listen; upon SIGUSR1 listen again with the other backlog and say "again", upon the next
 *     one close the listener, upon the third end.
 * peer fast ADDR PORT
 *     serve one client of TCP Fast Open.
 * peer hurry ADDR PORT
 *     is such a client, twice: only the second one has a cookie.
 * peer parting ADDR PORT
 *     serve one, writing one more byte after the peer's FIN.
 * peer client ADDR PORT HOW
 *     connect, write a byte, wait for the answer (but do not read it when HOW is unread), say
 *     "ready" and upon SIGUSR1 end as HOW says: linger, unread, unspec, keepalive, user_timeout,
 *     retries, orphan, memory, killed, linger2, leave. Those that wait for an error say "errno N".
 * peer clash ADDR
 *     bind and listen where another socket is; says "bind N listen N", the errnos.
 * peer keep ADDR PORT COUNT
 *     accept COUNT connections and read a byte of each; says "kept"; closes them upon SIGUSR1.
 * peer stay ADDR PORT COUNT
 *     COUNT such connections; says "kept", closes them upon SIGUSR1.
 * peer fuzz ADDR PORT COUNT SEED
 *     COUNT connections, each with some bytes or none and a random end.
 * peer rush ADDR PORT COUNT
 *     COUNT connects at once; says "connected N refused N" once each is answered or three
 *     seconds have passed, then waits.
 * peer flood ADDR PORT COUNT
 *     COUNT SYNs from addresses in 192.0.2.0/24 (RFC 5737) that nobody has; IPv4.
 * peer fin FROM PORT ADDR PORT SEQ ACK
 *     one FIN in FROM's name; IPv4.
 * peer prefork ADDR PORT COUNT
 *     listen, fork COUNT workers that have the listener too; says "worker PID" for each, "ready".
 * peer pass ADDR PORT
 *     accept one, pass it over a Unix socket to a child, close it; says "passed PID FD", the
 * child's. peer abort ADDR PORT connect, write a byte, wait for the answer, close without having
 * read it.
 */
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

[[noreturn]] void die(const char* what)
{
    std::fprintf(stderr, "peer: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

union Socket {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_storage storage;
};

socklen_t parse(Socket& to, const char* addr, int port)
{
    std::memset(&to, 0, sizeof(to));
    if (inet_pton(AF_INET, addr, &to.v4.sin_addr) == 1) {
        to.v4.sin_family = AF_INET;
        to.v4.sin_port = htons(static_cast<std::uint16_t>(port));
        return sizeof(to.v4);
    }
    if (inet_pton(AF_INET6, addr, &to.v6.sin6_addr) != 1)
        die("address");
    to.v6.sin6_family = AF_INET6;
    to.v6.sin6_port = htons(static_cast<std::uint16_t>(port));
    return sizeof(to.v6);
}

void exchange_as_server(int fd)
{
    char byte = 0;
    if (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
        while (read(fd, &byte, 1) == 1) {
        }
    close(fd);
}

/// A listening socket that has said where.
int announce(const char* addr, int port, int backlog = 1024)
{
    Socket at{};
    socklen_t size = parse(at, addr, port);
    const int listener = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, &at.any, size) != 0 || listen(listener, backlog) != 0)
        die("listen");
    getsockname(listener, &at.any, &size);
    std::printf("port %d\n", ntohs(at.v4.sin_port)); // the same place in both families
    std::fflush(stdout);
    return listener;
}

int serve(const char* addr, int port, long count)
{
    const int listener = announce(addr, port);
    for (long i = 0; count == 0 || i < count; i++) {
        const int fd = accept(listener, nullptr, nullptr);
        if (fd < 0)
            die("accept");
        exchange_as_server(fd);
    }
    return 0;
}

int leak(const char* addr, int port)
{
    const int listener = announce(addr, port);
    for (;;) {
        const int fd = accept(listener, nullptr, nullptr);
        char byte = 0;
        if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 0)
            die("exchange");
    }
}

int serve_late(const char* addr, int port)
{
    const int fd = accept(announce(addr, port), nullptr, nullptr);
    char byte = 0;
    if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 0)
        die("exchange");
    usleep(300'000); // past a delayed ACK
    return close(fd);
}

int part(const char* addr, int port)
{
    const int fd = accept(announce(addr, port), nullptr, nullptr);
    char byte = 0;
    if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 0 ||
        write(fd, &byte, 1) != 1)
        die("exchange");
    pollfd reset{fd, 0, 0};
    socklen_t size = sizeof(errno);
    if (poll(&reset, 1, 3000) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &errno, &size) != 0 ||
        errno != EPIPE) // as a RST in CLOSE_WAIT is told
        die("no reset");
    return close(fd);
}

int hold(const char* addr, int port, int backlog)
{
    announce(addr, port, backlog);
    pause();
    return 0;
}

/// What the kernel itself says of a fresh connection: how long ago data last came in, in ms
/// (tcp_info); the handshake's ACK counts.
int slow(const char* addr, int port, int count, int ms, int backlog)
{
    const int listener = announce(addr, port, backlog);
    std::vector<unsigned> waits;
    for (int i = 0; i < count; i++) {
        usleep(static_cast<useconds_t>(ms) * 1000);
        const int fd = accept(listener, nullptr, nullptr);
        tcp_info info{};
        socklen_t size = sizeof(info);
        if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
            die("accept");
        waits.push_back(info.tcpi_last_ack_recv);
        close(fd);
    }
    std::sort(waits.begin(), waits.end());
    std::printf("p50 %u\n", waits[waits.size() / 2] * 1000);
    return 0;
}

int starve(const char* addr, int port, int limit)
{
    const rlimit few{static_cast<rlim_t>(limit), static_cast<rlim_t>(limit)};
    const int listener = announce(addr, port);
    if (setrlimit(RLIMIT_NOFILE, &few) != 0)
        die("setrlimit");
    raise(SIGSTOP); // until its clients are there
    for (int failed = 0; failed < 5;)
        if (accept(listener, nullptr, nullptr) < 0)
            failed += errno == EMFILE ? 1 : 0;
    std::printf("failed 5\n");
    std::fflush(stdout);
    pause();
    return 0;
}

/// Until five failed for want of a descriptor.
int starve_uring(const char* addr, int port, int limit)
{
    const rlimit few{static_cast<rlim_t>(limit), static_cast<rlim_t>(limit)};
    const int listener = announce(addr, port);
    io_uring ring{};
    if (io_uring_queue_init(4, &ring, 0) != 0)
        die("io_uring");
    if (setrlimit(RLIMIT_NOFILE, &few) != 0)
        die("setrlimit");
    raise(SIGSTOP); // until its clients are there
    for (int failed = 0; failed < 5;) {
        io_uring_prep_accept(io_uring_get_sqe(&ring), listener, nullptr, nullptr, 0);
        io_uring_submit(&ring);
        io_uring_cqe* done = nullptr;
        if (io_uring_wait_cqe(&ring, &done) != 0)
            die("io_uring");
        failed += done->res == -EMFILE ? 1 : 0;
        io_uring_cqe_seen(&ring, done);
    }
    std::printf("failed 5\n");
    std::fflush(stdout);
    pause();
    return 0;
}

int hold_with_others(const char* addr, int port, int backlog)
{
    Socket at{};
    socklen_t size = parse(at, addr, port);
    const int listener = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(listener, &at.any, size) != 0 || listen(listener, backlog) != 0)
        die("listen");
    getsockname(listener, &at.any, &size);
    std::printf("port %d\n", ntohs(at.v4.sin_port));
    std::fflush(stdout);
    pause();
    return 0;
}

int relisten(const char* addr, int port, int backlog, int again)
{
    sigset_t signals{};
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    const int listener = announce(addr, port, backlog);
    int number = 0;
    sigwait(&signals, &number);
    if (listen(listener, again) != 0)
        die("listen");
    std::printf("again\n");
    std::fflush(stdout);
    sigwait(&signals, &number);
    close(listener);
    return sigwait(&signals, &number);
}

int serve_fast(const char* addr, int port)
{
    const int listener = announce(addr, port);
    const int most = 16;
    if (setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &most, sizeof(most)) != 0)
        die("TCP_FASTOPEN");
    for (int i = 0; i < 2; i++)
        exchange_as_server(accept(listener, nullptr, nullptr));
    return 0;
}

int hurry(const char* addr, int port)
{
    Socket to{};
    const socklen_t size = parse(to, addr, port);
    for (int i = 0; i < 2; i++) {
        const int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char byte = 'x';
        if (sendto(fd, &byte, 1, MSG_FASTOPEN, &to.any, size) != 1 || read(fd, &byte, 1) != 1)
            die("exchange");
        close(fd);
    }
    return 0;
}

void set(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof(value)) != 0)
        die("setsockopt");
}

void reset_on_close(int fd)
{
    const linger none{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

void disconnect(int fd)
{
    sockaddr nobody{};
    nobody.sa_family = AF_UNSPEC;
    connect(fd, &nobody, sizeof(nobody));
}

int wait_for_error(int fd)
{
    pollfd p{fd, 0, 0};
    poll(&p, 1, -1);
    int err = 0;
    socklen_t size = sizeof(err);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
    std::printf("errno %d\n", err);
    std::fflush(stdout);
    return close(fd);
}

int end_as(const char* addr, int port, const std::string& how)
{
    sigset_t signals{};
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    Socket to{};
    const socklen_t size = parse(to, addr, port);
    const int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte = 'x';
    if (connect(fd, &to.any, size) != 0 || write(fd, &byte, 1) != 1 ||
        recv(fd, &byte, 1, how == "unread" ? MSG_PEEK : 0) != 1)
        die("exchange");
    if (how == "keepalive") {
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
        set(fd, IPPROTO_TCP, TCP_KEEPCNT, 1);
        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    }
    if (how == "user_timeout")
        set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 300);
    std::printf("ready\n");
    std::fflush(stdout);
    int number = 0;
    sigwait(&signals, &number);
    if (how == "linger")
        reset_on_close(fd);
    if (how == "unspec")
        disconnect(fd);
    if (how == "retries" || how == "user_timeout")
        if (write(fd, &byte, 1) != 1)
            die("write");
    if (how == "keepalive" || how == "retries" || how == "user_timeout" || how == "killed")
        return wait_for_error(fd);
    if (how == "linger2" || how == "leave") // a minute more than a small socket may have
        set(fd, IPPROTO_TCP, TCP_LINGER2, how == "leave" ? 100 : -1);
    close(fd);
    if (how == "orphan" || how == "memory")
        pause();
    return 0;
}

int clash(const char* addr)
{
    Socket at{};
    socklen_t size = parse(at, addr, 0);
    int fds[3];
    for (int& fd : fds)
        fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set(fds[0], SOL_SOCKET, SO_REUSEADDR, 1);
    set(fds[1], SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fds[0], &at.any, size) != 0 || getsockname(fds[0], &at.any, &size) != 0 ||
        bind(fds[1], &at.any, size) != 0 || listen(fds[0], 1) != 0)
        die("bind");
    const int listened = listen(fds[1], 1) != 0 ? errno : 0;
    const int bound = bind(fds[2], &at.any, size) != 0 ? errno : 0;
    std::printf("bind %d listen %d port %d\n", bound, listened, ntohs(at.v4.sin_port));
    return 0;
}

int fuzz(const char* addr, int port, long count, unsigned seed)
{
    Socket to{};
    const socklen_t size = parse(to, addr, port);
    std::srand(seed);
    for (long i = 0; i < count; i++) {
        const int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char bytes[4] = "xyz";
        if (fd < 0 || connect(fd, &to.any, size) != 0)
            die("connect");
        const auto n = static_cast<std::size_t>(std::rand() % 4);
        if (n > 0 && write(fd, bytes, n) < 0)
            die("write");
        if (n > 0 && std::rand() % 2 == 0 && read(fd, bytes, 1) < 0)
            die("read");
        switch (std::rand() % 5) {
        case 0:
            reset_on_close(fd);
            break;
        case 1:
            shutdown(fd, SHUT_WR);
            while (read(fd, bytes, sizeof(bytes)) > 0) {
            }
            break;
        case 2:
            disconnect(fd);
            break;
        case 3:
            shutdown(fd, SHUT_RDWR);
            break;
        default:
            break;
        }
        close(fd);
    }
    return 0;
}

/// Says that all are there, and closes them when it is told to.
int keep_until_told(const std::vector<int>& fds)
{
    sigset_t signals{};
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    std::printf("kept\n");
    std::fflush(stdout);
    int number = 0;
    sigwait(&signals, &number);
    for (const int fd : fds)
        close(fd);
    return 0;
}

int keep(const char* addr, int port, int count)
{
    const int listener = announce(addr, port);
    std::vector<int> fds;
    char byte = 0;
    for (int i = 0; i < count; i++) {
        fds.push_back(accept(listener, nullptr, nullptr));
        if (fds.back() < 0 || read(fds.back(), &byte, 1) != 1)
            die("accept");
    }
    return keep_until_told(fds);
}

int stay(const char* addr, int port, int count)
{
    Socket to{};
    const socklen_t size = parse(to, addr, port);
    std::vector<int> fds;
    for (int i = 0; i < count; i++) {
        fds.push_back(socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (fds.back() < 0 || connect(fds.back(), &to.any, size) != 0 ||
            write(fds.back(), "x", 1) != 1)
            die("connect");
    }
    return keep_until_told(fds);
}

int rush(const char* addr, int port, int count)
{
    Socket to{};
    const socklen_t size = parse(to, addr, port);
    std::vector<pollfd> fds;
    for (int i = 0; i < count; i++) {
        const int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || (connect(fd, &to.any, size) != 0 && errno != EINPROGRESS))
            die("connect");
        fds.push_back({fd, POLLOUT, 0});
    }
    const time_t end = time(nullptr) + 3;
    int connected = 0;
    int failed = 0;
    while (connected + failed < count && time(nullptr) < end) {
        poll(fds.data(), fds.size(), 100);
        connected = failed = 0;
        for (const pollfd& p : fds) {
            failed += (p.revents & (POLLERR | POLLHUP)) != 0 ? 1 : 0;
            connected += p.revents == POLLOUT ? 1 : 0;
        }
    }
    std::printf("connected %d refused %d\n", connected, failed);
    std::fflush(stdout);
    pause();
    return 0;
}

/// RFC 1071 over the words of `data`.
std::uint16_t checksum(const std::uint16_t* data, std::size_t words)
{
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < words; i++)
        sum += data[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

/// One TCP segment without data, from whoever; ports in network order.
void send_segment(int fd, const sockaddr_in& from, const sockaddr_in& to, tcphdr tcp)
{
    struct {
        iphdr ip;
        tcphdr tcp;
    } packet{};
    packet.ip.version = 4;
    packet.ip.ihl = 5;
    packet.ip.ttl = 64;
    packet.ip.protocol = IPPROTO_TCP;
    packet.ip.tot_len = htons(sizeof(packet));
    packet.ip.saddr = from.sin_addr.s_addr;
    packet.ip.daddr = to.sin_addr.s_addr;
    tcp.source = from.sin_port;
    tcp.dest = to.sin_port;
    tcp.doff = 5;
    tcp.window = htons(65535);
    struct {
        std::uint32_t saddr, daddr;
        std::uint16_t proto, length;
        tcphdr tcp;
    } pseudo{packet.ip.saddr, packet.ip.daddr, htons(IPPROTO_TCP), htons(sizeof(tcphdr)), tcp};
    std::uint16_t words[sizeof(pseudo) / 2];
    std::memcpy(words, &pseudo, sizeof(pseudo));
    tcp.check = checksum(words, sizeof(words) / 2);
    packet.tcp = tcp;
    if (sendto(fd, &packet, sizeof(packet), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) <
        0)
        die("send");
}

int raw_socket()
{
    const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0)
        die("raw socket");
    return fd;
}

int flood(const char* addr, int port, long count)
{
    Socket to{};
    parse(to, addr, port);
    const int fd = raw_socket();
    for (long i = 0; i < count; i++) {
        sockaddr_in from{};
        from.sin_addr.s_addr = htonl(0xc0000202U + static_cast<std::uint32_t>(i % 250));
        from.sin_port = htons(static_cast<std::uint16_t>(1024 + i / 250 % 60000));
        tcphdr syn{};
        syn.seq = htonl(static_cast<std::uint32_t>(i));
        syn.syn = 1;
        send_segment(fd, from, to.v4, syn);
    }
    return 0;
}

int fin(const char* from_addr, int from_port, const char* addr, int port, long seq, long ack)
{
    Socket from{};
    Socket to{};
    parse(from, from_addr, from_port);
    parse(to, addr, port);
    tcphdr tcp{};
    tcp.seq = htonl(static_cast<std::uint32_t>(seq));
    tcp.ack_seq = htonl(static_cast<std::uint32_t>(ack));
    tcp.ack = 1;
    tcp.fin = 1;
    send_segment(raw_socket(), from.v4, to.v4, tcp);
    return 0;
}

int abort_one(const char* addr, int port)
{
    Socket to{};
    const socklen_t size = parse(to, addr, port);
    const int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte = 'x';
    if (connect(fd, &to.any, size) != 0 || write(fd, &byte, 1) != 1)
        die("connect");
    if (recv(fd, &byte, 1, MSG_PEEK) != 1)
        die("exchange");
    return close(fd);
}

/// A child that ends with us.
pid_t fork_child()
{
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent))
        std::exit(1);
    return pid;
}

int prefork(const char* addr, int port, int count)
{
    announce(addr, port);
    for (int i = 0; i < count; i++) {
        const pid_t worker = fork_child();
        if (worker == 0)
            return pause();
        std::printf("worker %d\n", worker);
    }
    std::printf("ready\n");
    std::fflush(stdout);
    return pause();
}

/// A message of one byte with a descriptor in it.
struct Passing {
    char byte = 'x';
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};

    Passing()
    {
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
    }
};

int be_passed_to(int from)
{
    Passing p;
    int fd = -1;
    char byte = 0;
    if (recvmsg(from, &p.message, MSG_CMSG_CLOEXEC) != 1)
        die("recvmsg");
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&p.message)), sizeof(fd));
    if (read(from, &byte, 1) != 1) // the sender has closed it
        die("read");
    std::printf("passed %d %d\n", getpid(), fd);
    std::fflush(stdout);
    return pause();
}

int pass(const char* addr, int port)
{
    const int listener = announce(addr, port);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        die("socketpair");
    if (fork_child() == 0)
        return be_passed_to(pair[1]);
    const int fd = accept(listener, nullptr, nullptr);
    Passing p;
    cmsghdr* const head = CMSG_FIRSTHDR(&p.message);
    *head = {};
    head->cmsg_len = CMSG_LEN(sizeof(fd));
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    std::memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    if (fd < 0 || sendmsg(pair[0], &p.message, 0) != 1 || close(fd) != 0 ||
        write(pair[0], &p.byte, 1) != 1)
        die("pass");
    return pause();
}

int storm(const char* addr, int port, long count)
{
    Socket to{};
    const socklen_t size = parse(to, addr, port);
    for (long i = 0; i < count; i++) {
        const int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char byte = 'x';
        if (fd < 0 || connect(fd, &to.any, size) != 0)
            die("connect");
        if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
            die("exchange");
        close(fd);
    }
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "serve" && argc >= 4)
        return serve(argv[2], std::atoi(argv[3]), argc > 4 ? std::atol(argv[4]) : 0);
    if (what == "late" && argc == 4)
        return serve_late(argv[2], std::atoi(argv[3]));
    if (what == "parting" && argc == 4)
        return part(argv[2], std::atoi(argv[3]));
    if (what == "keep" && argc == 5)
        return keep(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    if (what == "stay" && argc == 5)
        return stay(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    if (what == "storm" && argc == 5)
        return storm(argv[2], std::atoi(argv[3]), std::atol(argv[4]));
    if (what == "hold" && argc == 5)
        return hold(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    if (what == "slow" && (argc == 6 || argc == 7))
        return slow(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5]),
                    argc == 7 ? std::atoi(argv[6]) : 1024);
    if (what == "leak" && argc == 4)
        return leak(argv[2], std::atoi(argv[3]));
    if (what == "starve" && argc == 5)
        return starve(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    if (what == "uring" && argc == 5)
        return starve_uring(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    if (what == "reuse" && argc == 5)
        return hold_with_others(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    if (what == "relisten" && argc == 6)
        return relisten(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5]));
    if (what == "fast" && argc == 4)
        return serve_fast(argv[2], std::atoi(argv[3]));
    if (what == "hurry" && argc == 4)
        return hurry(argv[2], std::atoi(argv[3]));
    if (what == "client" && argc == 5)
        return end_as(argv[2], std::atoi(argv[3]), argv[4]);
    if (what == "clash" && argc == 3)
        return clash(argv[2]);
    if (what == "fuzz" && argc == 6)
        return fuzz(argv[2], std::atoi(argv[3]), std::atol(argv[4]),
                    static_cast<unsigned>(std::atoi(argv[5])));
    if (what == "rush" && argc == 5)
        return rush(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    if (what == "flood" && argc == 5)
        return flood(argv[2], std::atoi(argv[3]), std::atol(argv[4]));
    if (what == "fin" && argc == 8)
        return fin(argv[2], std::atoi(argv[3]), argv[4], std::atoi(argv[5]), std::atol(argv[6]),
                   std::atol(argv[7]));
    if (what == "prefork" && argc == 5)
        return prefork(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
    if (what == "pass" && argc == 4)
        return pass(argv[2], std::atoi(argv[3]));
    if (what == "abort" && argc == 4)
        return abort_one(argv[2], std::atoi(argv[3]));
    std::fprintf(stderr, "peer: see the top of peer.cc\n");
    return 2;
}
