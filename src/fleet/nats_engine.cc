// SPDX-License-Identifier: BSD-2-Clause
#include "nats_engine.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>

#include "nats_client.h"

namespace tcpsaga::fleet {
namespace {

constexpr std::int64_t ack_ms = 5000;
constexpr auto try_again_after = std::chrono::seconds(1);

/// Engines that may be called. libnats' threads call, and may do so once more when a connection was
/// closed, or when the program is at its end: never destroyed.
struct Living {
    std::mutex mutex;
    std::set<const void*> engines;

    static Living& all()
    {
        static auto* const living = new Living; // NOLINT(cppcoreguidelines-*)
        return *living;
    }
};

class NatsEngine : public Engine {
public:
    NatsEngine(Place place, std::string name) : place_(std::move(place)), name_(std::move(name))
    {
        Living& living = Living::all();
        const std::lock_guard lock(living.mutex);
        living.engines.insert(this);
    }
    ~NatsEngine() override
    {
        {
            Living& living = Living::all();
            const std::lock_guard lock(living.mutex);
            living.engines.erase(this);
        }
        if (connection_)
            natsConnection_Close(connection_.get());
    }
    NatsEngine(const NatsEngine&) = delete;
    NatsEngine& operator=(const NatsEngine&) = delete;

    void start(OnOutcome on_outcome, OnChange on_change) override
    {
        on_outcome_ = std::move(on_outcome);
        on_change_ = std::move(on_change);
    }

    bool ready() override
    {
        const bool closed = connection_ && natsConnection_IsClosed(connection_.get());
        if (!connection_ || closed) {
            if (Clock::now() < next_try_)
                return false;
            connect();
        }
        const bool up =
            connection_ && natsConnection_Status(connection_.get()) == NATS_CONN_STATUS_CONNECTED;
        if (!up) {
            checked_ = false; // what comes back may have another stream, or none
            if (connection_)
                lost();
            return false;
        }
        if (!checked_ && Clock::now() >= next_try_)
            check();
        return checked_;
    }

    bool send(const Message& m) override
    {
        natsMsg* made = nullptr;
        if (natsMsg_Create(&made, m.subject.c_str(), nullptr, m.body.data(),
                           static_cast<int>(m.body.size())) != NATS_OK)
            return false;
        jsPubOptions how;
        jsPubOptions_Init(&how);
        how.MaxWait = ack_ms;
        how.MsgId = m.id.c_str();
        how.ExpectStream = place_.stream.c_str();
        const natsStatus s = js_PublishMsgAsync(js_.get(), &made, &how);
        if (s != NATS_OK)
            natsMsg_Destroy(made); // else it is the library's
        return s == NATS_OK;
    }

    std::string take_news() override
    {
        const std::lock_guard lock(mutex_);
        return std::exchange(news_, {});
    }

private:
    using Clock = std::chrono::steady_clock;

    void connect()
    {
        next_try_ = Clock::now() + try_again_after;
        checked_ = false;
        js_.reset();
        connection_.reset();
        auto options = options_for(place_, name_);
        if (!options)
            return away(options.error().message() + "; events go to the spool");
        natsOptions_SetDisconnectedCB(options->get(), &NatsEngine::on_connection, this);
        natsOptions_SetReconnectedCB(options->get(), &NatsEngine::on_connection, this);
        natsOptions_SetClosedCB(options->get(), &NatsEngine::on_connection, this);
        natsOptions_SetErrorHandler(options->get(), &NatsEngine::on_error, this);
        auto connection = connect_to(place_, options->get());
        if (!connection)
            return away(connection.error().message() + "; events go to the spool");
        connection_ = std::move(*connection);
        jsOptions how;
        jsOptions_Init(&how);
        how.PublishAsync.MaxPending = 4096; // more than are sent at once: no call waits
        how.PublishAsync.AckHandler = &NatsEngine::on_ack;
        how.PublishAsync.AckHandlerClosure = this;
        auto js = jetstream(connection_.get(), &how);
        if (js)
            js_ = std::move(*js);
        next_try_ = {};
    }

    /// Whether the stream is there, and as we take it to be.
    void check()
    {
        next_try_ = Clock::now() + try_again_after;
        if (!js_)
            return;
        const auto partitions = check_stream(js_.get(), place_);
        if (!partitions)
            return away(partitions.error().message() + "; events go to the spool");
        if (*partitions != place_.partitions)
            return away("the stream of " + place_.name + " has " + std::to_string(*partitions) +
                        " partitions: want ?partitions=" + std::to_string(*partitions) +
                        "; events go to the spool");
        checked_ = true;
        const std::lock_guard lock(mutex_);
        if (!why_.empty())
            add_news("connected to " + place_.name + " again");
        why_.clear();
    }

    /// libnats tries to connect again by itself, and closes the connection where it is refused.
    void lost()
    {
        {
            const std::lock_guard lock(mutex_);
            if (!why_.empty())
                return;
        }
        const char* reason = nullptr;
        natsConnection_GetLastError(connection_.get(), &reason);
        const bool known = reason != nullptr && *reason != '\0';
        away("lost the connection to " + place_.name + (known ? ": " + std::string(reason) : "") +
             "; events go to the spool");
    }

    /// Told once, until something else is in the way.
    void away(const std::string& why)
    {
        const std::lock_guard lock(mutex_);
        if (why == why_)
            return;
        why_ = why;
        add_news(why);
    }
    void add_news(const std::string& text) { news_ += (news_.empty() ? "" : "; ") + text; }

    /// A call from a thread of libnats: of nobody who is gone.
    template <class Call>
    static void call(void* engine, const Call& what)
    {
        Living& living = Living::all();
        const std::lock_guard lock(living.mutex);
        if (living.engines.contains(engine))
            what(*static_cast<NatsEngine*>(engine));
    }
    static void on_connection(natsConnection*, void* closure)
    {
        call(closure, [](NatsEngine& self) { self.on_change_(); });
    }
    static void on_error(natsConnection*, natsSubscription*, natsStatus, void*) {}
    /// `msg` is ours.
    static void on_ack(jsCtx*, natsMsg* msg, jsPubAck* ack, jsPubAckErr* failure, void* closure)
    {
        const Nats<natsMsg> owned(msg);
        const char* id = nullptr;
        if (natsMsgHeader_Get(msg, "Nats-Msg-Id", &id) != NATS_OK)
            return;
        call(closure, [&](NatsEngine& self) {
            if (ack == nullptr && failure != nullptr && failure->Err != NATS_TIMEOUT)
                self.checked_ = false; // is the stream still there?
            self.on_outcome_(id, ack != nullptr);
        });
    }

    Place place_;
    std::string name_;
    OnOutcome on_outcome_;
    OnChange on_change_;
    Clock::time_point next_try_;
    std::atomic<bool> checked_ = false; ///< the stream, since the connection was made
    std::mutex mutex_;
    std::string why_; ///< it is not ready; as it was told
    std::string news_;
    Nats<natsConnection> connection_;
    Nats<jsCtx> js_; ///< goes before its connection
};

} // namespace

std::unique_ptr<Engine> make_nats_engine(Place place, std::string client_name)
{
    return std::make_unique<NatsEngine>(std::move(place), std::move(client_name));
}

} // namespace tcpsaga::fleet
