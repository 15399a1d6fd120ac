// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* Inputs in, lines out: all that a live run and the replay of its recording have in common. */
#include <functional>
#include <map>
#include <memory>

#include "options.h"
#include "tcpsaga/input.h"
#include "tcpsaga/output.h"
#include "tcpsaga/present.h"
#include "tcpsaga/whereabouts.h"

namespace tcpsaga {

/// What is printed together with other hosts' streams.
struct Company {
    bool header = true;               ///< this one prints the header of all
    std::size_t host_column = 0;      ///< width of the column for their names; 0: none
    std::uint32_t host = 0;           ///< HostConn::host
    std::shared_ptr<PairDesk> desk{}; ///< --pairs: what they share; null: `out` gets one
};

/// Prints what comes from there, as the options want it.
std::unique_ptr<Sink> make_presenter(const Options& o, const Origin& from, Output& out,
                                     const Whereabouts* whereabouts = nullptr,
                                     const Company& company = {});

/// Stops passing events on once so many lines are out.
class Limit : public Sink {
public:
    Limit(Sink& next, const Output& out, std::optional<std::uint64_t> most)
        : next_(next), out_(out), most_(most)
    {
    }
    [[nodiscard]] bool reached() const { return most_ && out_.lines() >= *most_; }
    void on_event(const Event& e) override
    {
        if (!reached())
            next_.on_event(e);
    }

private:
    Sink& next_;
    const Output& out_;
    std::optional<std::uint64_t> most_;
};

using LookAtPorts =
    std::function<std::optional<event::PortUse>(std::uint32_t netns, const Endpoint& destination)>;

/// Adds to connects that found no port what the ports are used for. Looks at most once a second
/// for each destination.
class PortCounter : public Sink {
public:
    PortCounter(Sink& next, LookAtPorts look) : next_(next), look_(std::move(look)) {}
    void on_event(const Event& e) override;

private:
    struct Look {
        std::uint64_t ts_ns = 0;
        std::optional<event::PortUse> use;
    };
    std::optional<event::PortUse> use_of(const Connection& c, std::uint64_t ts_ns);

    Sink& next_;
    LookAtPorts look_;
    std::map<std::pair<std::uint32_t, Endpoint>, Look> looks_;
};

/// Where a process lives, while it is there; its cgroup is "" when that is not known.
using FindHome = std::function<Home(const Process& p, std::uint64_t ts_ns)>;
using NameNetns = std::function<std::string(std::uint32_t inode, std::uint64_t ts_ns)>;

/// Sees to it that the whereabouts of the processes and namespaces in events are known before they
/// are passed on. Each is looked for now and then only.
class HomeFinder : public Sink {
public:
    HomeFinder(Sink& next, Whereabouts& known, FindHome find, NameNetns name)
        : next_(next), known_(known), find_(std::move(find)), name_(std::move(name))
    {
    }
    void on_event(const Event& e) override;

private:
    void find(const Process& p, std::uint64_t ts_ns);

    Sink& next_;
    Whereabouts& known_;
    FindHome find_;
    NameNetns name_;
};

/// What a live run finds out when it is asked. Without them the answers come as inputs.
struct LookUps {
    std::function<std::string(std::uint64_t address)> place_of{};
    LookAtPorts ports_of{};
    FindHome home_of{};
    NameNetns netns_name{};
    std::function<std::optional<Tuple>(const Tuple&)> translated{};
};

class Player {
public:
    /// All of these outlive it. `whereabouts` is what the presenter looks at; null: it does not.
    Player(const Origin& from, Sink& presenter, Output& out, std::optional<std::uint64_t> count,
           LookUps look_ups = {}, Whereabouts* whereabouts = nullptr);
    ~Player() = default;
    Player(const Player&) = delete;
    Player& operator=(const Player&) = delete;

    /// False when it made no difference, so that a recording can do without it.
    bool play(const input::Record& i);
    /// A record that will be played soon, see Correlator::expect().
    void expect(std::span<const std::byte> record) { correlator_.expect(record); }
    bool play(const input::Lost& i);
    bool play(const input::Present& i);
    bool play(const input::HeldBack& i);
    bool play(const input::Polled& i);
    bool play(const input::Stuck& i);
    bool play(const input::Evictions& i);
    bool play(const input::Totals& i);
    bool play(const input::Start& i);
    bool play(const input::Summarize& i);
    bool play(const input::Place& i);
    bool play(const input::Ports& i);
    bool play(const input::System& i);
    bool play(const input::Translated& i);
    bool play(const input::ProcessHome& i);
    bool play(const input::NetnsName& i);
    bool play(const Input& i);

    /// All counts so far beside what the kernel's counters say now.
    [[nodiscard]] event::Summary reckon(const CounterReading& now, bool final) const;
    [[nodiscard]] bool full() const { return limit_.reached(); }
    template <class Visitor>
    void for_each_connection(const Visitor& visit) const
    {
        correlator_.for_each_connection(visit);
    }
    /// Of the last Summarize.
    [[nodiscard]] const event::Summary& summary() const { return summary_; }

private:
    [[nodiscard]] Correlator::Config config(LookUps& look_ups);
    [[nodiscard]] LookAtPorts ports_of(LookUps& look_ups) const;

    const Origin& from_;
    Sink& presenter_;
    Output& out_;
    std::map<std::uint64_t, std::string> places_;
    std::map<std::pair<std::uint32_t, Endpoint>, std::optional<event::PortUse>> ports_;
    std::vector<input::Translated> translated_; ///< what the next input may ask for
    Whereabouts own_whereabouts_;
    Whereabouts& whereabouts_;
    Limit limit_;
    HomeFinder home_finder_;
    PortCounter port_counter_;
    Correlator correlator_;
    CounterReading at_start_;
    event::Summary summary_;
    std::uint64_t summary_ns_; ///< when that was
};

} // namespace tcpsaga
