// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "intake.h"
#include "message.h"
#include "nats_client.h"
#include "nats_lessee.h"
#include "tcpsaga/signals.h"

namespace tcpsaga::fleet {
namespace {

using namespace std::chrono_literals;

constexpr int batch = 64;
constexpr std::int64_t fetch_ms = 500;
constexpr std::size_t most_queued = 256; // messages; those that read wait then
constexpr std::int64_t most_unacknowledged = 8192;
constexpr auto renew_each = 1500ms;

struct Partition {
    unsigned number = 0;
    std::uint64_t tenure = 0;
    std::atomic<bool> stop = false;
    std::atomic<bool> ended = false;  ///< nothing was left to read
    std::atomic<std::size_t> out = 0; ///< deliveries that are not acknowledged
    std::thread reader;
};

class NatsIntake;

struct NatsDelivery : Delivery {
    NatsDelivery() = default;
    ~NatsDelivery() override;
    NatsDelivery(const NatsDelivery&) = delete;
    NatsDelivery& operator=(const NatsDelivery&) = delete;
    Nats<natsMsg> message;
    std::shared_ptr<Partition> of;
    NatsIntake* intake = nullptr;
};

class NatsIntake : public Intake {
public:
    NatsIntake(Place place, Reading reading)
        : place_(std::move(place)), reading_(std::move(reading))
    {
    }
    ~NatsIntake() override
    {
        stop_threads();
        give_away();
        if (connection_)
            natsConnection_Close(connection_.get());
    }
    NatsIntake(const NatsIntake&) = delete;
    NatsIntake& operator=(const NatsIntake&) = delete;

    Status open()
    {
        auto options = options_for(place_, "tcpsaga fleet " + reading_.group);
        if (!options)
            return options.error();
        auto connection = connect_to(place_, options->get());
        if (!connection)
            return connection.error();
        connection_ = std::move(*connection);
        auto js = jetstream(connection_.get());
        if (!js)
            return js.error();
        js_ = std::move(*js);
        const auto partitions = check_stream(js_.get(), place_);
        if (!partitions)
            return partitions.error();
        partitions_ = *partitions;
        if (auto status = make_consumers(); !status)
            return status;
        return begin();
    }

    std::vector<std::shared_ptr<Delivery>> next(std::chrono::milliseconds most) override
    {
        std::unique_lock lock(mutex_);
        came_.wait_for(lock, most, [this] { return !queue_.empty(); });
        std::vector<std::shared_ptr<Delivery>> all(queue_.begin(), queue_.end());
        queue_.clear();
        room_.notify_all();
        return all;
    }

    void acknowledge() override
    {
        std::vector<std::pair<Nats<natsMsg>, std::shared_ptr<Partition>>> done;
        {
            const std::lock_guard lock(mutex_);
            done.swap(done_);
        }
        for (auto& [message, of] : done) {
            answer(message.get(), "+ACK");
            of->out--;
        }
    }

    bool finished() override
    {
        const std::lock_guard lock(mutex_);
        return reading_.until_now && all_taken_ && queue_.empty() &&
               std::ranges::all_of(held_, [](const auto& p) { return p.second->ended.load(); });
    }

    std::string host_text(const std::string& host) override
    {
        natsMsg* got = nullptr;
        if (js_GetLastMsg(&got, js_.get(), place_.stream.c_str(), host_subject(host).c_str(),
                          nullptr, nullptr) != NATS_OK)
            return {};
        const Nats<natsMsg> message(got);
        return {natsMsg_GetData(got), static_cast<std::size_t>(natsMsg_GetDataLength(got))};
    }

    std::string take_news() override
    {
        const std::lock_guard lock(mutex_);
        return std::exchange(news_, {});
    }

    void close() override
    {
        acknowledge();
        stop_threads();
        give_away();
        natsConnection_FlushTimeout(connection_.get(), 2000); // the acknowledgements
        if (lessee_)
            lessee_->leave();
        if (reading_.group.empty())
            for (unsigned p = 0; p < partitions_; p++)
                js_DeleteConsumer(js_.get(), place_.stream.c_str(), consumer_name(p).c_str(),
                                  nullptr, nullptr);
    }

    void take_back(Nats<natsMsg> message, std::shared_ptr<Partition> of)
    {
        const std::lock_guard lock(mutex_);
        done_.emplace_back(std::move(message), std::move(of));
    }

private:
    using Held = std::map<unsigned, std::shared_ptr<Partition>>;

    /// Partitions are a group's; who reads all, for itself, has a group for as long as it reads.
    [[nodiscard]] std::string consumer_name(unsigned partition) const
    {
        return "tcpsaga-" + (reading_.group.empty() ? own_name_ : reading_.group) + "-" +
               std::to_string(partition);
    }

    /// At the same time: with replicas each takes the servers a third of a second.
    Status make_consumers()
    {
        std::vector<std::future<Status>> all;
        for (unsigned p = 0; p < partitions_; p++)
            all.push_back(std::async(std::launch::async, [this, p] { return make_consumer(p); }));
        Status status = Nothing{};
        for (auto& made : all)
            if (auto one = made.get(); !one)
                status = std::move(one);
        return status;
    }

    Status make_consumer(unsigned partition)
    {
        const std::string name = consumer_name(partition);
        const std::string subject = subject_of(partition);
        jsConsumerConfig config;
        jsConsumerConfig_Init(&config);
        config.Durable = name.c_str();
        config.FilterSubject = subject.c_str();
        config.AckPolicy = js_AckExplicit; // what is lost on its way to us comes again
        config.DeliverPolicy = js_DeliverAll;
        if (reading_.since_ns) {
            config.DeliverPolicy = js_DeliverByStartTime;
            config.OptStartTime = *reading_.since_ns;
        }
        if (reading_.group.empty())
            config.InactiveThreshold = std::chrono::nanoseconds(60s).count();
        config.AckWait = std::chrono::nanoseconds(reading_.ack_wait).count();
        config.MaxAckPending = most_unacknowledged;
        jsConsumerInfo* got = nullptr;
        natsStatus s = js_GetConsumerInfo(&got, js_.get(), place_.stream.c_str(), name.c_str(),
                                          nullptr, nullptr);
        Nats<jsConsumerInfo> info(got);
        if (s == NATS_OK)
            return Nothing{}; // of a group that has read before
        auto code = static_cast<jsErrCode>(0);
        got = nullptr;
        s = js_AddConsumer(&got, js_.get(), place_.stream.c_str(), &config, nullptr, &code);
        info.reset(got);
        if (s != NATS_OK)
            return nats_error("cannot read", place_, s, code);
        return Nothing{};
    }

    Status begin()
    {
        const SignalsBlocked quiet;
        if (reading_.group.empty()) {
            for (unsigned p = 0; p < partitions_; p++)
                read_partition(p);
            all_taken_ = true;
        } else {
            auto lessee = Lessee::open(place_, connection_.get(), reading_.group, lease,
                                       replicas_of_stream());
            if (!lessee)
                return lessee.error();
            lessee_ = std::move(*lessee);
            keeper_ = std::thread([this] { keep(); });
        }
        return Nothing{};
    }

    [[nodiscard]] int replicas_of_stream() const
    {
        jsStreamInfo* got = nullptr;
        if (js_GetStreamInfo(&got, js_.get(), place_.stream.c_str(), nullptr, nullptr) != NATS_OK)
            return 1;
        const Nats<jsStreamInfo> info(got);
        return static_cast<int>(info->Config->Replicas);
    }

    // ---- a partition: one thread reads it -----------------------------------------------

    void read_partition(unsigned number)
    {
        auto p = std::make_shared<Partition>();
        p->number = number;
        p->tenure = ++tenures_;
        {
            const std::lock_guard lock(mutex_);
            held_[number] = p;
        }
        p->reader = std::thread([this, p] { read(p); });
    }

    void read(const std::shared_ptr<Partition>& p)
    {
        Nats<natsSubscription> subscription;
        while (!p->stop && !stopping_) {
            if (!subscription)
                subscription = subscribe(p->number);
            if (!subscription || !fetch(p, subscription.get())) {
                subscription.reset();
                std::unique_lock lock(mutex_);
                stop_.wait_for(lock, 300ms, [&] { return stopping_ || p->stop; });
            } else if (p->ended) {
                return;
            }
        }
    }

    Nats<natsSubscription> subscribe(unsigned number)
    {
        const std::string name = consumer_name(number);
        const std::string subject = subject_of(number);
        jsSubOptions how;
        jsSubOptions_Init(&how);
        how.Stream = place_.stream.c_str();
        how.Consumer = name.c_str();
        natsSubscription* made = nullptr;
        js_PullSubscribe(&made, js_.get(), subject.c_str(), name.c_str(), nullptr, &how, nullptr);
        return Nats<natsSubscription>(made);
    }

    /// False: it failed.
    bool fetch(const std::shared_ptr<Partition>& p, natsSubscription* subscription)
    {
        natsMsgList list{};
        jsFetchRequest request;
        jsFetchRequest_Init(&request);
        request.Batch = batch;
        request.Expires = fetch_ms * 1'000'000;
        const natsStatus s = natsSubscription_FetchRequest(&list, subscription, &request);
        for (int i = 0; i < list.Count; i++)
            push(p, Nats<natsMsg>(std::exchange(list.Msgs[i], nullptr)));
        natsMsgList_Destroy(&list);
        const bool nothing = s == NATS_TIMEOUT || s == NATS_NOT_FOUND;
        if (nothing && reading_.until_now && all_came(*p))
            p->ended = true;
        return s == NATS_OK || nothing;
    }

    /// Every message there is has been delivered, and what is not acknowledged is here: none is on
    /// its way, or has been lost on it. False, too: it cannot be told.
    bool all_came(const Partition& p)
    {
        jsConsumerInfo* got = nullptr;
        if (js_GetConsumerInfo(&got, js_.get(), place_.stream.c_str(),
                               consumer_name(p.number).c_str(), nullptr, nullptr) != NATS_OK)
            return false;
        const Nats<jsConsumerInfo> info(got);
        return info->NumPending == 0 &&
               info->NumAckPending <= static_cast<std::int64_t>(p.out.load());
    }

    static bool was_sent_before(natsMsg* message)
    {
        jsMsgMetaData* got = nullptr;
        if (natsMsg_GetMetaData(&got, message) != NATS_OK)
            return false;
        const Nats<jsMsgMetaData> data(got);
        return data->NumDelivered > 1;
    }

    void push(const std::shared_ptr<Partition>& p, Nats<natsMsg> message)
    {
        auto d = std::make_shared<NatsDelivery>();
        const char* id = nullptr;
        if (natsMsgHeader_Get(message.get(), "Nats-Msg-Id", &id) == NATS_OK)
            d->id = id;
        d->subject = natsMsg_GetSubject(message.get());
        d->body.assign(natsMsg_GetData(message.get()),
                       static_cast<std::size_t>(natsMsg_GetDataLength(message.get())));
        d->coming = {p->tenure, was_sent_before(message.get())};
        d->message = std::move(message);
        d->of = p;
        d->intake = this;
        p->out++;
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] { return stopping_ || queue_.size() < most_queued; });
        queue_.push_back(std::move(d)); // also when we stop: give_away() has it then
        came_.notify_one();
    }

    // ---- the leases: one thread keeps them ------------------------------------------------

    void keep()
    {
        while (!stopping_) {
            for (const unsigned lost : lessee_->renew())
                drop(lost, "another reader has");
            if (const auto standing = lessee_->look(partitions_)) {
                const Moves moves = next_moves(*standing);
                for (const unsigned p : moves.give)
                    begin_to_give(p);
                std::size_t taken = standing->ours.size() + standing->others.size();
                for (const unsigned p : moves.take)
                    if (!stopping_ && lessee_->take(p)) {
                        read_partition(p);
                        taken++;
                    }
                all_taken_ = taken >= partitions_;
                tell_share();
            }
            give_what_is_back();
            std::unique_lock lock(mutex_);
            const auto wait = giving_ != 0 ? 50ms : std::chrono::milliseconds(renew_each);
            stop_.wait_for(lock, wait, [this] { return stopping_.load(); });
        }
    }

    void begin_to_give(unsigned number)
    {
        const std::lock_guard lock(mutex_);
        const auto p = held_.find(number);
        if (p != held_.end() && !p->second->stop.exchange(true))
            giving_++;
    }

    /// Once nobody has a delivery of it any more.
    void give_what_is_back()
    {
        std::vector<std::shared_ptr<Partition>> back;
        {
            const std::lock_guard lock(mutex_);
            for (const auto& [number, p] : held_)
                if (p->stop)
                    back.push_back(p);
        }
        for (const auto& p : back) {
            if (p->reader.joinable())
                p->reader.join();
            if (p->out != 0)
                continue;
            natsConnection_FlushTimeout(connection_.get(), 1000); // its acknowledgements
            lessee_->give(p->number);
            const std::lock_guard lock(mutex_);
            held_.erase(p->number);
            giving_--;
        }
    }

    void drop(unsigned number, const char* why)
    {
        std::shared_ptr<Partition> p;
        {
            const std::lock_guard lock(mutex_);
            const auto found = held_.find(number);
            if (found == held_.end())
                return;
            p = found->second;
            held_.erase(found);
            if (p->stop.exchange(true))
                giving_--;
            news_ += fmt::format("{}{} partition {}", news_.empty() ? "" : "; ", why, number);
        }
        if (p->reader.joinable())
            p->reader.join();
    }

    void tell_share()
    {
        const std::lock_guard lock(mutex_);
        std::string share;
        for (const auto& [number, p] : held_)
            if (!p->stop)
                share += (share.empty() ? "" : ",") + std::to_string(number);
        if (share == share_)
            return;
        share_ = share;
        news_ += fmt::format("{}reading {} of {} partitions{}{}", news_.empty() ? "" : "; ",
                             std::ranges::count(share, ',') + (share.empty() ? 0 : 1), partitions_,
                             share.empty() ? "" : ": ", share);
    }

    /// As natsMsg_Ack() would, which wants the subscription to be there still.
    void answer(natsMsg* message, const char* what)
    {
        if (natsMsg_GetReply(message) != nullptr)
            natsConnection_PublishString(connection_.get(), natsMsg_GetReply(message), what);
    }

    /// What came and was not looked at: somebody else gets it at once.
    void give_away()
    {
        for (const auto& d : queue_) {
            answer(d->message.get(), "-NAK");
            d->intake = nullptr;
        }
        queue_.clear();
    }

    void stop_threads()
    {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            stop_.notify_all();
            room_.notify_all();
        }
        if (keeper_.joinable())
            keeper_.join();
        for (const auto& [number, p] : held_)
            if (p->reader.joinable())
                p->reader.join();
    }

    Place place_;
    Reading reading_;
    std::string own_name_ = std::to_string(std::random_device()()) + std::to_string(::getpid());
    unsigned partitions_ = 0;
    Nats<natsConnection> connection_;
    Nats<jsCtx> js_;
    std::unique_ptr<Lessee> lessee_;
    std::mutex mutex_;
    std::condition_variable came_, room_, stop_;
    std::deque<std::shared_ptr<NatsDelivery>> queue_;
    std::vector<std::pair<Nats<natsMsg>, std::shared_ptr<Partition>>> done_;
    Held held_;
    std::string news_, share_;
    std::atomic<int> giving_ = 0; ///< partitions
    std::atomic<std::uint64_t> tenures_ = 0;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> all_taken_ = false; ///< each partition has a reader, of the group
    std::thread keeper_;
};

NatsDelivery::~NatsDelivery()
{
    if (intake != nullptr)
        intake->take_back(std::move(message), std::move(of));
}

} // namespace

Result<std::unique_ptr<Intake>> Intake::open(const Place& place, const Reading& reading)
{
    auto intake = std::make_unique<NatsIntake>(place, reading);
    if (auto status = intake->open(); !status)
        return status.error();
    return std::unique_ptr<Intake>(std::move(intake));
}

} // namespace tcpsaga::fleet
