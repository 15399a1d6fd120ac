// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/*
 * Lines on their way to an engine. The thread that reads the ring only appends to batches in
 * memory; a thread of its own sends them, or keeps them on disk while the engine is away, and sends
 * those first once it is back.
 */
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine.h"
#include "message.h"
#include "spool.h"
#include "tcpsaga/output.h"

namespace tcpsaga::fleet {

class Shipper : public Carrier {
public:
    struct Limits {
        std::size_t body = std::size_t{64} << 10;   ///< bytes after which a batch is sent
        std::size_t line = std::size_t{900} << 10;  ///< a longer one is lost: NATS takes 1 MiB
        std::size_t queue = std::size_t{32} << 20;  ///< bytes in memory; past it lines are lost
        std::size_t flight = 64;                    ///< messages sent and not acknowledged yet
        std::chrono::milliseconds linger{250};      ///< a line waits so long for others
        std::chrono::milliseconds patience{10'000}; ///< drain() waits for an engine that is there
        std::chrono::milliseconds again{500};       ///< a refused message is sent again after
    };

    Shipper(const Run& run, unsigned partitions, std::unique_ptr<Engine> engine,
            std::unique_ptr<Spool> spool, Limits limits);
    /// As drain().
    ~Shipper() override;
    Shipper(const Shipper&) = delete;
    Shipper& operator=(const Shipper&) = delete;

    void start() override;
    bool take(std::string_view line) override;
    void about_host(std::string text) override;
    void flush() override;
    /// Everything is sent and acknowledged, or else on disk, when this returns.
    void drain() override;
    [[nodiscard]] std::uint64_t lines_lost() const override { return lost_; }
    std::string take_news() override;

private:
    using Clock = std::chrono::steady_clock;
    struct Flight {
        Message message;
        std::uint64_t segment = 0; ///< of the spool; 0 = it comes from memory
        bool refused = false;
    };
    using Flights = std::list<Flight>;

    void close_batch(Message& batch);
    void run();
    void step();
    void take_outcomes();
    bool send(Flights::iterator f);
    bool send_refused();
    bool send_next();
    std::optional<Message> pop();
    void number(Message& m);
    void spool_queue();
    void store(const Message& m);
    void keep_rest();
    void tell(const std::string& text);
    void tell_spool();
    [[nodiscard]] bool idle() const;

    const std::string run_;
    const unsigned partitions_;
    const Limits limits_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Spool> spool_;

    // Of the thread that takes lines.
    std::vector<Message> batches_; ///< by partition
    Clock::time_point oldest_;     ///< line in them
    bool empty_ = true;

    // Shared.
    mutable std::mutex mutex_;
    std::condition_variable wake_, rested_;
    std::deque<Message> queue_;
    std::size_t queued_ = 0; ///< bytes
    std::vector<std::pair<std::string, bool>> outcomes_;
    std::string news_;
    bool poked_ = false, stopping_ = false, resting_ = false;
    std::atomic<std::uint64_t> lost_ = 0; ///< lines

    // Of the thread that sends.
    Flights flights_; ///< in order
    std::unordered_map<std::string, Flights::iterator> by_id_;
    std::map<std::string, std::uint64_t> sequences_; ///< by subject
    Clock::time_point not_before_;                   ///< what was refused is sent again
    std::uint64_t dropped_ = 0;                      ///< lines, since the spool is full
    std::size_t refused_ = 0;                        ///< of flights_
    bool spooling_ = false;
    bool ready_ = false; ///< the engine, when it was last asked

    std::thread thread_;
};

} // namespace tcpsaga::fleet
