// SPDX-License-Identifier: BSD-2-Clause
#pragma once
/* Events of hostile records on all presenters: every event is at most one line, every JSON line is
 * JSON, and no text can steer a terminal. */
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tcpsaga/correlator.h"
#include "tcpsaga/present.h"

namespace tcpsaga::fuzz {

inline void require(bool holds)
{
    if (!holds)
        std::abort();
}

class Presenters : public Sink {
public:
    void on_event(const Event& e) override
    {
        json_->on_event(e);
        check_json(take(json_out_));
        trace_->on_event(e);
        check_text(take(trace_out_));
        life_->on_event(e);
        check_text(take(life_out_));
    }

private:
    static std::string take(Output& out)
    {
        std::string text(out.buffer().data(), out.buffer().size());
        out.buffer().clear(); // nothing is written
        return text;
    }
    static void check_json(const std::string& text)
    {
        check_text(text);
        require(text.empty() || nlohmann::json::accept(text));
    }
    static void check_text(const std::string& text)
    {
        for (std::size_t i = 0; i < text.size(); i++) {
            const auto byte = static_cast<unsigned char>(text[i]);
            require(byte == '\n' ? i + 1 == text.size() : byte >= 0x20 && byte != 0x7f);
        }
    }

    Output json_out_, trace_out_, life_out_;
    std::unique_ptr<Sink> json_ = make_json(json_out_, PresentOptions());
    std::unique_ptr<Sink> trace_ = headed(make_trace(trace_out_, PresentOptions()), trace_out_);
    std::unique_ptr<Sink> life_ = headed(make_life(life_out_, PresentOptions()), life_out_);

    static std::unique_ptr<Sink> headed(std::unique_ptr<Sink> sink, Output& out)
    {
        out.buffer().clear(); // the header
        return sink;
    }
};

} // namespace tcpsaga::fuzz
