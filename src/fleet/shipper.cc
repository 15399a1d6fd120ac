// SPDX-License-Identifier: BSD-2-Clause
#include "shipper.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tcpsaga/signals.h"

namespace tcpsaga::fleet {
namespace {

std::string lane_of(const std::string& subject)
{
    constexpr std::string_view root = "tcpsaga.v1.";
    return subject.substr(root.size(), subject.find('.', root.size()) - root.size());
}

} // namespace

Shipper::Shipper(const Run& run, unsigned partitions, std::unique_ptr<Engine> engine,
                 std::unique_ptr<Spool> spool, Limits limits)
    : run_(run.text()), partitions_(partitions), limits_(limits), engine_(std::move(engine)),
      spool_(std::move(spool))
{
    for (unsigned i = 0; i < partitions_; i++)
        batches_.push_back({"", subject_of(i), 0, ""});
}

Shipper::~Shipper()
{
    drain();
    engine_.reset(); // its threads call into what is destroyed next
}

void Shipper::start()
{
    const SignalsBlocked quiet;
    engine_->start(
        [this](const std::string& id, bool kept) {
            const std::lock_guard lock(mutex_);
            outcomes_.emplace_back(id, kept);
            poked_ = true;
            wake_.notify_one();
        },
        [this] {
            const std::lock_guard lock(mutex_);
            poked_ = true;
            wake_.notify_one();
        });
    if (spool_->waiting() != 0) {
        spooling_ = true;
        tell(fmt::format("{} messages of an earlier run are in the spool", spool_->waiting()));
    }
    thread_ = std::thread([this] { run(); });
}

// ---- lines, from the thread that reads the ring ---------------------------------------------

bool Shipper::take(std::string_view line)
{
    if (line.size() > limits_.line)
        return false;
    Message& batch = batches_[partition_of(line, partitions_)];
    if (batch.body.size() + line.size() > limits_.line)
        close_batch(batch);
    if (std::exchange(empty_, false))
        oldest_ = Clock::now();
    batch.body += line;
    batch.lines++;
    if (batch.body.size() >= limits_.body)
        close_batch(batch);
    return true;
}

void Shipper::about_host(std::string text)
{
    for (Message& batch : batches_)
        close_batch(batch);
    const std::string host = unescaped(std::string_view(run_).substr(0, run_.find('/')));
    Message m{"", host_subject(host), 0, std::move(text)};
    close_batch(m);
}

void Shipper::flush()
{
    if (empty_ || Clock::now() - oldest_ < limits_.linger)
        return;
    for (Message& batch : batches_)
        close_batch(batch);
    empty_ = true;
}

/// Nothing here waits for the engine or the disk.
void Shipper::close_batch(Message& batch)
{
    if (batch.body.empty())
        return;
    Message full{"", batch.subject, std::exchange(batch.lines, 0), std::exchange(batch.body, {})};
    batch.body.reserve(std::min(full.body.size(), limits_.body) + 1024);
    const std::lock_guard lock(mutex_);
    if (queued_ + full.body.size() > limits_.queue) {
        lost_ += full.lines;
        return;
    }
    queued_ += full.body.size();
    queue_.push_back(std::move(full));
    poked_ = true;
    wake_.notify_one();
}

void Shipper::drain()
{
    for (Message& batch : batches_)
        close_batch(batch);
    if (!thread_.joinable())
        return; // it never started, or has ended
    {
        std::unique_lock lock(mutex_);
        poked_ = true;
        resting_ = true;
        wake_.notify_one();
        rested_.wait_for(lock, limits_.patience, [&] { return !resting_; });
        stopping_ = true;
        poked_ = true;
        wake_.notify_one();
    }
    thread_.join();
    keep_rest();
}

std::string Shipper::take_news()
{
    const std::lock_guard lock(mutex_);
    return std::exchange(news_, {});
}

// ---- messages, in the other thread ----------------------------------------------------------

void Shipper::run()
{
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        wake_.wait_for(lock, limits_.again / 2, [&] { return poked_; });
        poked_ = false;
        const bool resting = resting_; // what a step before it saw of the engine may be over
        lock.unlock();
        step();
        lock.lock();
        if (resting && idle()) {
            resting_ = false;
            rested_.notify_one();
        }
    }
}

/// Nothing is left to do, or an engine that is away keeps it from being done. Locked.
bool Shipper::idle() const
{
    return queue_.empty() && (!ready_ || (flights_.empty() && spool_->waiting() == 0));
}

void Shipper::step()
{
    take_outcomes();
    ready_ = engine_->ready();
    tell(engine_->take_news());
    if (ready_ && Clock::now() >= not_before_ && send_refused())
        while (flights_.size() < limits_.flight && send_next()) {
        }
    std::unique_lock lock(mutex_);
    const bool crowded = queued_ > limits_.queue / 4;
    lock.unlock();
    if (!ready_ || crowded || refused_ != 0)
        spool_queue();
    tell_spool();
}

void Shipper::take_outcomes()
{
    std::vector<std::pair<std::string, bool>> outcomes;
    {
        const std::lock_guard lock(mutex_);
        outcomes.swap(outcomes_);
    }
    for (const auto& [id, kept] : outcomes) {
        const auto found = by_id_.find(id);
        if (found == by_id_.end())
            continue; // sent twice, and this is the second answer
        const auto f = found->second;
        if (!kept) {
            refused_ += f->refused ? 0 : 1;
            f->refused = true;
            not_before_ = Clock::now() + limits_.again;
            continue;
        }
        refused_ -= f->refused ? 1 : 0;
        if (f->segment != 0)
            spool_->settle(f->segment);
        by_id_.erase(found);
        flights_.erase(f);
    }
}

bool Shipper::send(Flights::iterator f)
{
    if (engine_->send(f->message))
        return true;
    refused_ += f->refused ? 0 : 1;
    f->refused = true;
    not_before_ = Clock::now() + limits_.again;
    return false;
}

/// Before anything that comes behind it. False: not all could be sent.
bool Shipper::send_refused()
{
    for (auto f = flights_.begin(); f != flights_.end() && refused_ != 0; ++f) {
        if (!f->refused)
            continue;
        if (!send(f))
            return false;
        f->refused = false;
        refused_--;
    }
    return refused_ == 0;
}

/// The spool's first: it is older than what is in memory.
bool Shipper::send_next()
{
    Flight next;
    if (spool_->waiting() != 0) {
        auto item = spool_->next();
        tell(spool_->take_failure());
        if (!item)
            return true;
        next = {std::move(item->message), item->segment, false};
    } else {
        auto message = pop();
        if (!message)
            return false;
        number(*message);
        next.message = std::move(*message);
    }
    const auto f = flights_.insert(flights_.end(), std::move(next));
    by_id_[f->message.id] = f;
    return send(f);
}

std::optional<Message> Shipper::pop()
{
    const std::lock_guard lock(mutex_);
    if (queue_.empty())
        return {};
    Message m = std::move(queue_.front());
    queue_.pop_front();
    queued_ -= m.body.size();
    return m;
}

/// What is lost before this point leaves no gap: it is counted, and told as `lost`.
void Shipper::number(Message& m)
{
    m.id = MessageId{run_, lane_of(m.subject), ++sequences_[m.subject]}.text();
}

void Shipper::spool_queue()
{
    while (auto message = pop())
        store(*message);
}

void Shipper::store(const Message& m)
{
    Message numbered = m;
    number(numbered);
    if (spool_->append(numbered)) {
        spooling_ = true;
        return;
    }
    sequences_[m.subject]--;
    tell(spool_->take_failure());
    lost_ += m.lines;
    if (std::exchange(dropped_, dropped_ + m.lines) == 0)
        tell(fmt::format("the spool is full ({} bytes): further lines are lost", spool_->bytes()));
}

void Shipper::tell_spool()
{
    if (!spooling_ || spool_->bytes() != 0)
        return;
    spooling_ = false;
    tell("all that was spooled is sent");
    if (dropped_ != 0)
        tell(fmt::format("{} lines were lost for want of room in the spool",
                         std::exchange(dropped_, 0)));
}

/// At the end: what nobody has acknowledged stays on disk, for the next run.
void Shipper::keep_rest()
{
    if (flights_.empty() && queue_.empty() && spool_->waiting() == 0)
        return;
    std::vector<Message> unsure;
    for (Flight& f : flights_)
        if (f.segment == 0) // else its segment still holds it
            unsure.push_back(std::move(f.message));
    flights_.clear();
    by_id_.clear();
    if (!spool_->put_back(unsure))
        for (const Message& m : unsure)
            lost_ += m.lines;
    tell(spool_->take_failure());
    spool_queue();
    tell(fmt::format("{} bytes stay in the spool, for the next run", spool_->bytes()));
}

void Shipper::tell(const std::string& text)
{
    if (text.empty())
        return;
    const std::lock_guard lock(mutex_);
    news_ += (news_.empty() ? "" : "; ") + text;
}

} // namespace tcpsaga::fleet
