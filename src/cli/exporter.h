// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tcpsaga/result.h"

namespace tcpsaga {

/// "9435", "192.0.2.1:9435" or "[::1]:9435" as ADDR:PORT; loopback where only a port is given.
Result<std::string> metrics_address(const std::string& text);

/// Serves /metrics over HTTP. A scrape only asks: the main loop, which alone reads what it
/// counts, answers between two looks at the ring.
class Exporter {
public:
    /// `address` as metrics_address() returns it; port 0 takes any.
    static Result<std::unique_ptr<Exporter>> open(const std::string& address);
    ~Exporter();
    Exporter(const Exporter&) = delete;
    Exporter& operator=(const Exporter&) = delete;

    /// A scrape waits for publish().
    [[nodiscard]] bool asked() const { return mailbox_->asked(); }
    void publish(std::vector<prometheus::MetricFamily> families)
    {
        mailbox_->answer(std::move(families));
    }
    /// "http://127.0.0.1:9435/metrics"
    [[nodiscard]] std::string url() const;

private:
    class Mailbox : public prometheus::Collectable {
    public:
        [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;
        [[nodiscard]] bool asked() const;
        void answer(std::vector<prometheus::MetricFamily> families);
        void close();

    private:
        mutable std::mutex mutex_;
        mutable std::condition_variable answered_;
        mutable bool asked_ = false;
        bool closed_ = false;
        unsigned answers_ = 0;
        std::vector<prometheus::MetricFamily> families_;
    };

    Exporter() = default;
    [[nodiscard]] int port() const;

    std::string address_; // without its port
    std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
    std::unique_ptr<prometheus::Exposer> server_;
};

} // namespace tcpsaga
