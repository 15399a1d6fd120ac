// SPDX-License-Identifier: BSD-2-Clause
// Scrapes from several threads at once, while what they ask for changes and while the server
// ends. Also built with ThreadSanitizer (tests/variants).
#include "cli/exporter.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "tcpsaga/metrics.h"

namespace tcpsaga::testing {
namespace {

using namespace std::chrono_literals;

class Nowhere : public Sink {
public:
    void on_event(const Event&) override {}
};

std::unique_ptr<Exporter> open_exporter()
{
    auto exporter = Exporter::open("127.0.0.1:0");
    EXPECT_TRUE(exporter) << exporter.error().message();
    return std::move(*exporter);
}

/// What GET /metrics answers; "" when nobody does.
std::string scrape(const std::string& url)
{
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    std::string answer;
    if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0 &&
        send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
        std::array<char, 4096> some{};
        for (ssize_t n = 0; (n = read(fd, some.data(), some.size())) > 0;)
            answer.append(some.data(), static_cast<std::size_t>(n));
    }
    close(fd);
    return answer;
}

/// Of tcpsaga_opens_total; -1 where there is none.
long opens_in(const std::string& answer)
{
    const std::string name = "\ntcpsaga_opens_total ";
    const auto at = answer.find(name);
    return at == std::string::npos ? -1 : std::stol(answer.substr(at + name.size()));
}

/// The main loop's part: counts go up, and whoever asks is told.
void count_and_answer(Exporter& exporter, const std::atomic<int>& scrapers)
{
    Nowhere nowhere;
    Metrics metrics(nowhere);
    event::Summary s;
    while (scrapers > 0) {
        s.opens++;
        s.top_remotes.resize(s.opens % 10);
        if (exporter.asked())
            exporter.publish(metrics.collect(s, 0.5));
        else
            std::this_thread::yield();
    }
}

TEST(exporter, many_ask_while_counts_change)
{
    constexpr int count = 4;
    constexpr int times = 25;
    const auto exporter = open_exporter();
    const std::string url = exporter->url();
    std::atomic<int> running = count;
    std::array<std::thread, count> scrapers;
    std::atomic<int> rising = 0;
    for (auto& t : scrapers)
        t = std::thread([&] {
            long before = 0;
            for (int i = 0; i < times; i++) {
                const long now = opens_in(scrape(url));
                rising += now >= before && now > 0 ? 1 : 0;
                before = now;
            }
            running--;
        });
    count_and_answer(*exporter, running);
    for (auto& t : scrapers)
        t.join();
    EXPECT_EQ(rising, count * times);
}

/// Who waits for an answer is let go, and does not hold up the end.
TEST(exporter, ends_while_somebody_asks)
{
    auto exporter = open_exporter();
    std::thread scraper([url = exporter->url()] { scrape(url); });
    while (!exporter->asked())
        std::this_thread::yield();
    const auto begin = std::chrono::steady_clock::now();
    exporter.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1500ms); // patience: 2 s
    scraper.join();
}

} // namespace
} // namespace tcpsaga::testing
