// SPDX-License-Identifier: BSD-2-Clause
// Lines on their way to an engine that comes and goes, and the disk that stands in for it.
#include "fleet/shipper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <set>

#include "fleet/spool.h"
#include "temp_dir.h"

namespace tcpsaga::fleet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempDir;

Message message(std::uint64_t n, const std::string& body = "line\n")
{
    return {MessageId{"h/b/1", "0", n}.text(), subject_of(0), 1, body};
}

/// Nothing that a compressor finds anything in.
std::string some_noise()
{
    std::minstd_rand random(1); // NOLINT(cert-msc51-cpp): the same each time
    std::string noise;
    for (int i = 0; i < 60'000; i++)
        noise += static_cast<char>('!' + random() % 90);
    return noise;
}

std::unique_ptr<Spool> opened(const std::string& folder, std::uint64_t most = 64 << 20)
{
    auto spool = Spool::open(folder, most, "h");
    if (!spool)
        throw std::runtime_error(spool.error().message());
    return std::move(*spool);
}

std::vector<std::string> ids_of(Spool& s)
{
    std::vector<std::string> ids;
    while (const auto item = s.next())
        ids.push_back(item->message.id);
    return ids;
}

std::size_t files_in(const std::string& folder)
{
    std::size_t n = 0;
    for (const auto& f : std::filesystem::directory_iterator(folder))
        n += f.path().extension() == ".tsr" ? 1 : 0;
    return n;
}

TEST(Spools, GiveBackInOrderWhatTheyWereGiven)
{
    const TempDir dir;
    auto s = opened(dir.file("s"));
    Message first = message(1, std::string(100'000, 'x') + "\n");
    first.lines = 7;
    EXPECT_TRUE(s->append(first));
    EXPECT_TRUE(s->append(message(2)));
    EXPECT_EQ(s->waiting(), 2U);
    const auto item = s->next();
    ASSERT_TRUE(item);
    EXPECT_EQ(item->message.body, first.body);
    EXPECT_EQ(item->message.subject, "tcpsaga.v1.0");
    EXPECT_EQ(item->message.lines, 7U);
    EXPECT_TRUE(s->append(message(3)));
    EXPECT_THAT(ids_of(*s), ElementsAre("h/b/1/0/2", "h/b/1/0/3"));
}

TEST(Spools, GiveTheDiskBackOnceAllIsSettled)
{
    const TempDir dir;
    auto s = opened(dir.file("s"));
    for (std::uint64_t n = 1; n <= 3; n++)
        EXPECT_TRUE(s->append(message(n)));
    std::vector<std::uint64_t> segments;
    while (const auto item = s->next())
        segments.push_back(item->segment);
    EXPECT_EQ(files_in(dir.file("s")), 1U) << "not acknowledged yet";
    for (const std::uint64_t segment : segments)
        s->settle(segment);
    EXPECT_EQ(files_in(dir.file("s")), 0U);
    EXPECT_EQ(s->bytes(), 0U);
    EXPECT_TRUE(s->append(message(4)));
    EXPECT_THAT(ids_of(*s), ElementsAre("h/b/1/0/4"));
}

TEST(Spools, KeepWhatTheNextRunSends)
{
    const TempDir dir;
    {
        auto s = opened(dir.file("s"));
        EXPECT_TRUE(s->append(message(3)));
        EXPECT_TRUE(s->append(message(4)));
        EXPECT_TRUE(s->next()); // and not settled
        EXPECT_TRUE(s->put_back({message(1), message(2)}));
    }
    auto s = opened(dir.file("s"));
    EXPECT_EQ(s->waiting(), 4U);
    EXPECT_THAT(ids_of(*s), ElementsAre("h/b/1/0/1", "h/b/1/0/2", "h/b/1/0/3", "h/b/1/0/4"));
}

TEST(Spools, StopAtTheirBound)
{
    const TempDir dir;
    auto s = opened(dir.file("s"), 1 << 20);
    std::uint64_t n = 1;
    const std::string noise = some_noise();
    while (s->append(message(n, noise + std::to_string(n) + "\n")) && n < 10'000)
        n++;
    EXPECT_LT(n, 10'000U);
    EXPECT_LT(s->bytes(), (1U << 20U) + 70'000);
    EXPECT_THAT(s->take_failure(), IsEmpty()) << "it is full, not broken";
    EXPECT_EQ(ids_of(*s).size(), n - 1);
}

TEST(Spools, BelongToOneTcpsagaAtATime)
{
    const TempDir dir;
    const auto s = opened(dir.file("s"));
    const auto second = Spool::open(dir.file("s"), 1 << 20, "h");
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().message(), HasSubstr("another tcpsaga does"));
}

TEST(Spools, ThatWereCutOffGiveTheirWholeMessages)
{
    const TempDir dir;
    {
        auto s = opened(dir.file("s"));
        for (std::uint64_t n = 1; n <= 3; n++)
            EXPECT_TRUE(s->append(message(n)));
    }
    for (const auto& f : std::filesystem::directory_iterator(dir.file("s")))
        if (f.path().extension() == ".tsr")
            std::filesystem::resize_file(f.path(), std::filesystem::file_size(f.path()) - 5);
    auto s = opened(dir.file("s"));
    EXPECT_THAT(ids_of(*s), ElementsAre("h/b/1/0/1", "h/b/1/0/2"));
}

// ---- an engine of our own ---------------------------------------------------------------------

/// What the engine holds, beyond its own life.
struct Store {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Message> kept;
    bool up = true;      ///< takes messages
    bool answers = true; ///< and says so
    std::vector<std::string> unanswered;
    Engine::OnOutcome on_outcome;
    Engine::OnChange on_change;

    void set(bool is_up, bool does_answer)
    {
        {
            const std::lock_guard lock(mutex);
            up = is_up;
            answers = does_answer;
        }
        on_change();
    }
    void refuse_unanswered()
    {
        std::vector<std::string> ids;
        {
            const std::lock_guard lock(mutex);
            ids.swap(unanswered);
        }
        for (const std::string& id : ids)
            on_outcome(id, false);
    }
    template <class Until>
    bool wait(const Until& until)
    {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, std::chrono::seconds(20), until);
    }
    bool wait_for_kept(std::size_t n)
    {
        return wait([&] { return kept.size() >= n; });
    }
    /// The bodies of one subject; each message once, as the engine's own de-duplication has it.
    std::string text(const std::string& subject)
    {
        const std::lock_guard lock(mutex);
        std::set<std::string> seen;
        std::string all;
        for (const Message& m : kept)
            if (m.subject == subject && seen.insert(m.id).second)
                all += m.body;
        return all;
    }
};

class TestEngine : public Engine {
public:
    explicit TestEngine(std::shared_ptr<Store> store) : store_(std::move(store)) {}
    ~TestEngine() override
    {
        store_->on_outcome = [](const std::string&, bool) {};
        store_->on_change = [] {};
    }
    TestEngine(const TestEngine&) = delete;
    TestEngine& operator=(const TestEngine&) = delete;
    void start(OnOutcome on_outcome, OnChange on_change) override
    {
        store_->on_outcome = std::move(on_outcome);
        store_->on_change = std::move(on_change);
    }
    bool ready() override
    {
        const std::lock_guard lock(store_->mutex);
        return store_->up;
    }
    bool send(const Message& m) override
    {
        bool answer = false;
        {
            const std::lock_guard lock(store_->mutex);
            if (!store_->up)
                return false;
            answer = store_->answers;
            store_->kept.push_back(m);
            if (!answer)
                store_->unanswered.push_back(m.id);
            store_->changed.notify_all();
        }
        if (answer)
            store_->on_outcome(m.id, true);
        return true;
    }
    std::string take_news() override { return {}; }

private:
    std::shared_ptr<Store> store_;
};

class Shipping : public ::testing::Test {
protected:
    std::unique_ptr<Shipper> make(std::uint64_t spool = 64 << 20)
    {
        Shipper::Limits limits;
        limits.linger = std::chrono::milliseconds(0);
        limits.patience = std::chrono::milliseconds(10'000);
        limits.again = std::chrono::milliseconds(2);
        limits.flight = 4;
        auto s = std::make_unique<Shipper>(fleet::Run{"h", "b", 1}, 1,
                                           std::make_unique<TestEngine>(store),
                                           opened(dir.file("s"), spool), limits);
        s->start();
        return s;
    }
    static void put(Shipper& s, int from, int to)
    {
        for (int n = from; n < to; n++) {
            s.take(line(n));
            s.flush();
        }
    }
    static std::string line(int n) { return std::to_string(n) + "\n"; }
    static std::string lines(int from, int to)
    {
        std::string all;
        for (int n = from; n < to; n++)
            all += line(n);
        return all;
    }
    std::string spooled()
    {
        std::string all;
        auto s = opened(dir.file("s"));
        while (const auto item = s->next())
            all += item->message.body;
        return all;
    }

    TempDir dir;
    std::shared_ptr<Store> store = std::make_shared<Store>();
};

TEST_F(Shipping, SendsEveryLineInOrder)
{
    auto s = make();
    put(*s, 0, 500);
    s->drain();
    EXPECT_EQ(store->text("tcpsaga.v1.0"), lines(0, 500));
    EXPECT_EQ(s->lines_lost(), 0U);
    s.reset();
    EXPECT_EQ(spooled(), "");
}

TEST_F(Shipping, NumbersMessagesWithoutAGap)
{
    auto s = make();
    put(*s, 0, 50);
    s->drain();
    for (std::size_t i = 0; i < store->kept.size(); i++)
        EXPECT_EQ(store->kept[i].id, "h/b/1/0/" + std::to_string(i + 1));
}

TEST_F(Shipping, KeepsOnDiskWhatAnEngineThatIsAwayCannotTake)
{
    auto s = make();
    put(*s, 0, 10);
    ASSERT_TRUE(store->wait_for_kept(1));
    store->set(false, true);
    put(*s, 10, 300);
    store->set(true, true);
    put(*s, 300, 310);
    s->drain();
    s.reset();
    EXPECT_EQ(store->text("tcpsaga.v1.0"), lines(0, 310));
    EXPECT_EQ(spooled(), "");
}

TEST_F(Shipping, SendsAgainWhatNobodyHasAcknowledged)
{
    auto s = make();
    store->set(true, false); // it keeps them, and the network loses its answers
    put(*s, 0, 20);
    ASSERT_TRUE(store->wait([&] { return store->unanswered.size() >= 4; }));
    store->set(true, true);
    store->refuse_unanswered();
    s->drain();
    EXPECT_EQ(store->text("tcpsaga.v1.0"), lines(0, 20));
    EXPECT_GT(store->kept.size(), 4U);
    s.reset();
    EXPECT_EQ(spooled(), "");
}

TEST_F(Shipping, LeavesTheRestToTheNextRun)
{
    {
        auto s = make();
        put(*s, 0, 10);
        ASSERT_TRUE(store->wait([&] { return store->kept.size() == 10; }));
        store->set(false, true);
        put(*s, 10, 100);
        s->drain();
        EXPECT_THAT(s->take_news(), HasSubstr("stay in the spool"));
    }
    store->set(true, true);
    auto s = make();
    ASSERT_TRUE(store->wait([&] { return store->kept.size() >= 100; }));
    s->drain();
    s.reset();
    EXPECT_EQ(store->text("tcpsaga.v1.0"), lines(0, 100));
    EXPECT_EQ(spooled(), "");
}

TEST_F(Shipping, CountsWhatTheSpoolHasNoRoomFor)
{
    auto s = make(1 << 20);
    store->set(false, true);
    const std::string noise = some_noise();
    std::uint64_t put_in = 0;
    while (s->lines_lost() == 0 && put_in < 100'000) {
        s->take(std::to_string(put_in++) + noise + "\n");
        s->flush();
    }
    EXPECT_LT(put_in, 100'000U);
    EXPECT_THAT(s->take_news(), HasSubstr("the spool is full"));
    store->set(true, true);
    s->drain();
    std::uint64_t lines = 0;
    for (const Message& m : store->kept)
        lines += m.lines;
    EXPECT_EQ(lines + s->lines_lost(), put_in);
    for (std::size_t i = 0; i < store->kept.size(); i++)
        EXPECT_EQ(store->kept[i].id, "h/b/1/0/" + std::to_string(i + 1)) << "no gap";
}

TEST_F(Shipping, RefusesALineThatNoMessageHolds)
{
    auto s = make();
    EXPECT_FALSE(s->take(std::string(1 << 20, 'x')));
    EXPECT_TRUE(s->take("short\n"));
    s->drain();
    EXPECT_EQ(store->text("tcpsaga.v1.0"), "short\n");
}

TEST_F(Shipping, TellsOfTheHostOnASubjectOfItsOwn)
{
    auto s = make();
    s->about_host("{}");
    s->drain();
    EXPECT_EQ(store->text("tcpsaga.v1.host.h"), "{}");
}

TEST_F(Shipping, IsACarrierOfLines)
{
    Output out(make(), "nats://h/S");
    for (int n = 0; n < 3; n++) {
        out.buffer().append(line(n));
        out.line_done();
    }
    out.flush();
    out.drain(std::chrono::seconds(1));
    EXPECT_EQ(store->text("tcpsaga.v1.0"), lines(0, 3));
    EXPECT_EQ(out.lines(), 3U);
    EXPECT_EQ(out.lines_lost(), 0U);
    EXPECT_EQ(out.health(), Output::Health::good);
}

} // namespace
} // namespace tcpsaga::fleet
