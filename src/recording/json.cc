// SPDX-License-Identifier: BSD-2-Clause
#include "json.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

// In abi.h these are in no namespace, and have no defaults.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ts_listener_key, id, netns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ts_drop_key, location, netns, reason)

namespace tcpsaga {
namespace {

using nlohmann::json;

/// Any bytes as text: byte N is the character U+00NN.
std::string text_of_bytes(std::string_view bytes)
{
    std::string text;
    for (const char c : bytes) {
        const auto b = static_cast<unsigned char>(c);
        if (b >= 0x80)
            text.push_back(static_cast<char>(0xc0U | b >> 6U));
        text.push_back(static_cast<char>(b < 0x80 ? b : 0x80U | (b & 0x3fU)));
    }
    return text;
}

std::string bytes_of_text(std::string_view text)
{
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); i++) {
        const auto b = static_cast<unsigned char>(text[i]);
        if (b >= 0xc0 && i + 1 < text.size())
            bytes.push_back(static_cast<char>((b & 0x03U) << 6U |
                                              (static_cast<unsigned>(text[++i]) & 0x3fU)));
        else
            bytes.push_back(text[i]);
    }
    return bytes;
}

// NOLINTBEGIN(modernize-avoid-c-arrays): of abi.h
template <std::size_t N>
void counts_to_json(json& j, const __u64 (&counts)[N])
{
    j = json::array();
    for (const __u64 n : counts)
        j.push_back(n);
}

/// A later version may count more kinds.
template <std::size_t N>
void counts_from_json(const json& j, __u64 (&counts)[N])
{
    for (std::size_t i = 0; i < std::min(N, j.size()); i++)
        counts[i] = j[i].get<std::uint64_t>();
}
// NOLINTEND(modernize-avoid-c-arrays)

template <class T>
void get_or_none(const json& j, const char* key, std::optional<T>& to)
{
    if (const auto it = j.find(key); it != j.end())
        to = it->get<T>();
}

} // namespace

// ---- what inputs are made of, found by their types ------------------------------------------
// NOLINTBEGIN(misc-use-anonymous-namespace,misc-const-correctness): nlohmann's macros

static void to_json(json& j, const Address& a)
{
    j = to_string(a);
}

static void from_json(const json& j, Address& a)
{
    const auto cidr = parse_cidr(j.get_ref<const std::string&>());
    if (!cidr)
        throw json::type_error::create(302, "no address", &j);
    a = cidr->addr;
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Endpoint, addr, port)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Tuple, local, remote, netns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Cidr, addr, mask)
NLOHMANN_JSON_SERIALIZE_ENUM(SocketTimer, {{SocketTimer::off, "off"},
                                           {SocketTimer::on, "on"},
                                           {SocketTimer::keepalive, "keepalive"},
                                           {SocketTimer::time_wait, "time_wait"},
                                           {SocketTimer::persist, "persist"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PolledListener, cookie, tuple, acceptq, acceptq_max,
                                                inode, drops)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(CounterReading, before, after)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Filter, family, ports, lports, rports, cidrs, netns,
                                                cgroup, pids, comms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SeenFact, name, by, loses)

NLOHMANN_JSON_SERIALIZE_ENUM(PidFrom, {{PidFrom::nobody, "nobody"},
                                       {PidFrom::task, "task"},
                                       {PidFrom::accept, "accept"},
                                       {PidFrom::connect, "connect"},
                                       {PidFrom::snapshot, "snapshot"},
                                       {PidFrom::listener, "listener"}})

static void to_json(json& j, const Process& p)
{
    j = {{"pid", p.pid}, {"uid", p.uid}, {"comm", text_of_bytes(p.name())}, {"from", p.from}};
}

static void from_json(const json& j, Process& p)
{
    p = {j.value("pid", 0U), j.value("uid", 0U), {}, j.value("from", PidFrom::nobody)};
    const std::string comm = bytes_of_text(j.value("comm", ""));
    comm.copy(p.comm.data(), p.comm.size());
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Holder, process, fd)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SocketRow, tuple, family, state, cookie, inode, uid,
                                                holders, rx_queue, tx_queue, timer, timer_ms,
                                                retries, tx_bytes, rx_bytes, rtt_us, retransmits)

static void to_json(json& j, const ListenerTotals& t)
{
    j = {{"key", t.key},
         {"other_drops", t.counts.other_drops},
         {"cookies_wanted", t.counts.cookies_wanted}};
    counts_to_json(j["total"], t.counts.total);
}

static void from_json(const json& j, ListenerTotals& t)
{
    t = {};
    t.key = j.value("key", ts_listener_key{});
    t.counts.other_drops = j.value("other_drops", std::uint64_t{});
    t.counts.cookies_wanted = j.value("cookies_wanted", std::uint64_t{});
    counts_from_json(j.at("total"), t.counts.total);
}

static void to_json(json& j, const NetnsTotals& t)
{
    j = {{"netns", t.netns}, {"rsts_sent", t.counts.rsts_sent}};
}

static void from_json(const json& j, NetnsTotals& t)
{
    t = {};
    t.netns = j.value("netns", 0U);
    t.counts.rsts_sent = j.value("rsts_sent", std::uint64_t{});
}

static void to_json(json& j, const DropTotals& t)
{
    j = {{"key", t.key}, {"total", t.counts.total}};
}

static void from_json(const json& j, DropTotals& t)
{
    t = {};
    t.key = j.value("key", ts_drop_key{});
    t.counts.total = j.value("total", std::uint64_t{});
}

namespace event {
NLOHMANN_JSON_SERIALIZE_ENUM(LostWhere, {{LostWhere::ring, "ring"},
                                         {LostWhere::table, "table"},
                                         {LostWhere::output, "output"},
                                         {LostWhere::missed, "missed"},
                                         {LostWhere::recording, "recording"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PortUse, low, high, time_wait, live)
} // namespace event

// ---- the inputs -----------------------------------------------------------------------------

namespace input {
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Lost, n, where, ts_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Present, sockets, ts_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(HeldBack, ts_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Polled, listeners, ts_ns, poll_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Stuck, longer_ns, ts_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Evictions, ts_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Totals, listeners, namespaces, drops, ts_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Start, counters)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Summarize, ts_ns, final, counters)

static void to_json(json& j, const Place& p)
{
    j = {{"address", p.address}, {"name", text_of_bytes(p.name)}};
}

static void from_json(const json& j, Place& p)
{
    p = {j.value("address", std::uint64_t{}), bytes_of_text(j.value("name", ""))};
}

static void to_json(json& j, const Ports& p)
{
    j = {{"netns", p.netns}, {"destination", p.destination}};
    if (p.use)
        j["use"] = *p.use;
}

static void from_json(const json& j, Ports& p)
{
    p = {j.value("netns", 0U), j.value("destination", Endpoint{}), {}};
    get_or_none(j, "use", p.use);
}

static void to_json(json& j, const System& s)
{
    j = {{"settings", json::parse(to_json(s.settings))}};
}

static void from_json(const json& j, System& s)
{
    auto settings = settings_from_json(j.at("settings").dump());
    if (!settings)
        throw json::type_error::create(302, "no settings", &j);
    s.settings = std::move(*settings);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Translated, own, other)

static void to_json(json& j, const ProcessHome& p)
{
    j = {{"process", p.process}, {"cgroup", text_of_bytes(p.home.cgroup)}, {"ts_ns", p.ts_ns}};
    if (!p.home.container.empty())
        j["container"] = p.home.container;
    if (!p.home.pod.empty())
        j["pod"] = p.home.pod;
    if (p.home.inner_pid != 0)
        j["inner_pid"] = p.home.inner_pid;
}

static void from_json(const json& j, ProcessHome& p)
{
    p = {j.value("process", Process{}), {}, j.value("ts_ns", std::uint64_t{})};
    p.home.cgroup = bytes_of_text(j.value("cgroup", ""));
    p.home.container = j.value("container", "");
    p.home.pod = j.value("pod", "");
    p.home.inner_pid = j.value("inner_pid", 0U);
}

static void to_json(json& j, const NetnsName& n)
{
    j = {{"netns", n.netns}, {"name", text_of_bytes(n.name)}, {"ts_ns", n.ts_ns}};
}

static void from_json(const json& j, NetnsName& n)
{
    n = {j.value("netns", 0U), bytes_of_text(j.value("name", "")),
         j.value("ts_ns", std::uint64_t{})};
}
} // namespace input

// NOLINTEND(misc-use-anonymous-namespace,misc-const-correctness)

namespace {

struct Name {
    const char* operator()(const input::Record&) const { return ""; }
    const char* operator()(const input::Lost&) const { return "lost"; }
    const char* operator()(const input::Present&) const { return "present"; }
    const char* operator()(const input::HeldBack&) const { return "held_back"; }
    const char* operator()(const input::Polled&) const { return "polled"; }
    const char* operator()(const input::Stuck&) const { return "stuck"; }
    const char* operator()(const input::Evictions&) const { return "evictions"; }
    const char* operator()(const input::Totals&) const { return "totals"; }
    const char* operator()(const input::Start&) const { return "start"; }
    const char* operator()(const input::Summarize&) const { return "summarize"; }
    const char* operator()(const input::Place&) const { return "place"; }
    const char* operator()(const input::Ports&) const { return "ports"; }
    const char* operator()(const input::System&) const { return "system"; }
    const char* operator()(const input::Translated&) const { return "translated"; }
    const char* operator()(const input::ProcessHome&) const { return "home"; }
    const char* operator()(const input::NetnsName&) const { return "netns_name"; }
};

/// No number of ours has a fraction, or needs more than 64 bits; nlohmann would convert one that
/// does to what fits in no integer, which C++ leaves undefined.
json parse_text(std::string_view text)
{
    return json::parse(text, [](int, json::parse_event_t, json& value) {
        if (value.is_number_float())
            throw json::type_error::create(302, "no whole number", &value);
        return true;
    });
}

/// One of the alternatives from I on, by its name.
template <std::size_t I = 1>
std::optional<Input> parse(const std::string& name, const json& j)
{
    if constexpr (I < std::variant_size_v<Input>) {
        using T = std::variant_alternative_t<I, Input>;
        if (name == Name{}(T{}))
            return j.get<T>();
        return parse<I + 1>(name, j);
    } else {
        return std::nullopt;
    }
}

} // namespace

std::optional<std::uint64_t> time_of(const Input& i)
{
    return std::visit(
        [](const auto& in) -> std::optional<std::uint64_t> {
            if constexpr (requires { in.ts_ns; }) {
                return in.ts_ns;
            } else if constexpr (requires { in.bytes; }) {
                std::uint64_t ts_ns = 0; // ts_head::ts_ns
                if (in.bytes.size() < sizeof(ts_ns))
                    return std::nullopt;
                std::memcpy(&ts_ns, in.bytes.data(), sizeof(ts_ns));
                return ts_ns;
            } else {
                return std::nullopt;
            }
        },
        i);
}

std::string to_json_text(const Input& i)
{
    json j = std::visit(
        [](const auto& in) -> json {
            if constexpr (requires { in.bytes; })
                return nullptr;
            else
                return in;
        },
        i);
    j["input"] = std::visit(Name{}, i);
    return j.dump();
}

std::optional<Input> input_from_json(std::string_view text)
{
    try {
        const json j = parse_text(text);
        return parse(j.at("input").get<std::string>(), j);
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

std::string to_json_text(const Origin& o)
{
    const Correlator::Config& c = o.config;
    const json j{
        {"program", o.program},
        {"command", o.command},
        {"host", text_of_bytes(o.host)},
        {"kernel", text_of_bytes(o.kernel)},
        {"machine", o.machine},
        {"title", o.title},
        {"facts", o.facts},
        {"started_ns", o.started_ns},
        {"utc_offset_ns", o.utc_offset_ns},
        {"zone_offset_s", o.zone_offset_s},
        {"capacity", c.capacity},
        {"time_wait_exit_seen", c.time_wait_exit_seen},
        {"connect_error_seen", c.connect_error_seen},
        {"accept_seen", c.accept_seen},
        {"infer_births", c.infer_births},
        {"filter", c.filter},
        {"reset_reasons", c.reset_reasons},
        {"drop_reasons", c.drop_reasons},
        {"unseen_counters", o.audit.unseen},
        {"misses_uncounted", o.audit.misses_uncounted},
        {"time_wait_counted_at_end", o.audit.time_wait_counted_at_end},
    };
    return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<Origin> origin_from_json(std::string_view text)
{
    try {
        const json j = parse_text(text);
        Origin o;
        o.program = j.value("program", "");
        o.command = j.value("command", "");
        o.host = bytes_of_text(j.value("host", ""));
        o.kernel = bytes_of_text(j.value("kernel", ""));
        o.machine = j.value("machine", "");
        o.title = j.value("title", "");
        o.facts = j.value("facts", o.facts);
        o.started_ns = j.value("started_ns", o.started_ns);
        o.utc_offset_ns = j.at("utc_offset_ns");
        o.zone_offset_s = j.value("zone_offset_s", o.zone_offset_s);
        Correlator::Config& c = o.config;
        c.capacity = j.value("capacity", c.capacity);
        c.time_wait_exit_seen = j.value("time_wait_exit_seen", c.time_wait_exit_seen);
        c.connect_error_seen = j.value("connect_error_seen", c.connect_error_seen);
        c.accept_seen = j.value("accept_seen", c.accept_seen);
        c.infer_births = j.value("infer_births", c.infer_births);
        c.filter = j.value("filter", c.filter);
        c.reset_reasons = j.value("reset_reasons", c.reset_reasons);
        c.drop_reasons = j.value("drop_reasons", c.drop_reasons);
        o.audit.unseen = j.value("unseen_counters", o.audit.unseen);
        o.audit.misses_uncounted = j.value("misses_uncounted", o.audit.misses_uncounted);
        o.audit.time_wait_counted_at_end =
            j.value("time_wait_counted_at_end", o.audit.time_wait_counted_at_end);
        return o;
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

} // namespace tcpsaga
