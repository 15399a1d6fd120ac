// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "json_keys.h"
#include "shared_text.h"
#include "tcpsaga/present.h"

namespace tcpsaga {
namespace {

/// kind_of() by the payload's index.
template <std::size_t... I>
auto kind_names(std::index_sequence<I...>)
{
    return std::array{
        PaddedName(kind_of({0, nullptr, {}, event::Payload(std::in_place_index<I>)}))...};
}
auto kind_names()
{
    return kind_names(std::make_index_sequence<std::variant_size_v<event::Payload>>());
}

class Json : public Sink {
public:
    Json(Output& out, PresentOptions options)
        : out_(out), options_(std::move(options)),
          all_(options_.kinds.empty() && options_.states.empty())
    {
        append_json_string(host_, options_.host);
    }

    void on_event(const Event& e) override
    {
        if (!all_ && !wanted(options_, e))
            return;
        line(e);
        if (const auto* summary = std::get_if<event::Summary>(&e.what); summary != nullptr) {
            append_summary(out_.buffer(), *summary);
            append(out_.buffer(), "}\n");
        }
        out_.line_done();
    }

private:
    /// All of it; of a summary's the beginning.
    void line(const Event& e)
    {
        constexpr std::size_t most = 4096; // names of the kernel's functions have up to 512 bytes
        const std::string_view actor = e.actor.known() ? text_of(e.actor) : std::string_view();
        const std::string_view netns = netns_of(e);
        Room room(out_.buffer(),
                  most + host_.size() + actor.size() + netns.size() + other_host_size(e));
        char* to = put(room.at(), R"({"v":1,"ts":")");
        to = put_rfc3339(to, static_cast<std::int64_t>(e.ts_ns) + options_.utc_offset_ns);
        to = put(to, R"(","event":")");
        if (std::holds_alternative<event::BindError>(e.what))
            to = put(to, kind_of(e)); // one of two
        else
            to = put(to, kinds_[e.what.index()]);
        to = put(put(to, R"(","host":)"), {host_.data(), host_.size()});
        if (e.conn != nullptr)
            to = put(to, shared_.of(*e.conn, e.ts_ns));
        room.go_to(to);
        if (e.conn != nullptr && e.conn->family != 0)
            if (std::holds_alternative<event::Close>(e.what))
                ending(room, *e.conn);
        if (!netns.empty())
            room.put(netns);
        room.put(actor);
        // What most lines tell, without a jump.
        if (const auto* change = std::get_if<event::StateChange>(&e.what))
            Keys{room}(*change);
        else
            std::visit(Keys{room}, e.what);
        if (!std::holds_alternative<event::Summary>(e.what))
            room.put("}\n");
    }

    /// Of its name in the line, at most.
    static std::size_t other_host_size(const Event& e)
    {
        constexpr std::size_t escaped = 6; // a byte as \u0000
        const auto* life = std::get_if<event::Close>(&e.what);
        return life != nullptr && life->peer_host ? life->peer_host->name.size() * escaped : 0;
    }

    static void ending(Room& room, const Connection& c)
    {
        Keys{room}.name("closed_by", name_of(c.closed_by));
        if (c.seen_start)
            room.put(R"(,"seen_start":true)");
        else
            room.put(R"(,"seen_start":false)");
    }

    static bool same(const Process& a, const Process& b)
    {
        using Words = std::array<std::uint64_t, 2>;
        return a.pid == b.pid && a.uid == b.uid && a.from == b.from &&
               std::bit_cast<Words>(a.comm) == std::bit_cast<Words>(b.comm);
    }

    /// Few processes do most of what happens.
    const std::string& text_of(const Process& p)
    {
        const Home* home = options_.whereabouts == nullptr ? nullptr : options_.whereabouts->of(p);
        const std::uint64_t serial = home == nullptr ? 0 : home->serial;
        ProcessText& known =
            processes_[(p.pid * 8 + static_cast<unsigned>(p.from)) % processes_.size()];
        if (!same(known.of, p) || known.serial != serial) {
            fmt::memory_buffer text;
            fmt::format_to(std::back_inserter(text), R"(,"pid":{},"comm":)", p.pid);
            append_json_string(text, p.name());
            fmt::format_to(std::back_inserter(text), R"(,"uid":{},"pid_from":"{}")", p.uid,
                           name_of(p.from));
            if (home != nullptr)
                append_home(text, *home);
            known = {p, serial, fmt::to_string(text)};
        }
        return known.text;
    }

    /// Only those that have a name.
    std::string_view netns_of(const Event& e)
    {
        if (e.conn == nullptr || options_.whereabouts == nullptr)
            return {};
        const std::string& name = options_.whereabouts->netns_name(e.conn->tuple.netns);
        if (name.empty())
            return {};
        if (name != netns_name_) {
            netns_name_ = name;
            netns_text_.clear();
            append(netns_text_, R"(,"netns_name":)");
            append_json_string(netns_text_, name);
        }
        return {netns_text_.data(), netns_text_.size()};
    }

    struct ProcessText {
        Process of;
        std::uint64_t serial = 0; ///< of its whereabouts
        std::string text;
    };

    Output& out_;
    PresentOptions options_;
    bool all_; ///< every event is wanted
    std::array<PaddedName, std::variant_size_v<event::Payload>> kinds_ = kind_names();
    fmt::memory_buffer host_; // as a JSON string
    SharedText shared_;
    std::array<ProcessText, 256> processes_{};
    std::string netns_name_; ///< of the last line that had one
    fmt::memory_buffer netns_text_;
};

} // namespace

void put_string(Room& room, std::string_view text)
{
    const auto plain = [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; };
    if (!std::ranges::all_of(text, plain)) {
        fmt::memory_buffer escaped;
        append_json_string(escaped, text);
        return room.put({escaped.data(), escaped.size()});
    }
    room.put('"');
    room.put(text);
    room.put('"');
}

const std::array<PaddedName, 14> state_names = [] {
    std::array<PaddedName, 14> all;
    for (std::size_t i = 0; i < all.size(); i++)
        all.at(i) = PaddedName(name_of(static_cast<State>(i)));
    return all;
}();

std::unique_ptr<Sink> make_json(Output& out, PresentOptions options)
{
    return std::make_unique<Json>(out, std::move(options));
}

} // namespace tcpsaga
