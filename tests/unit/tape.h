// SPDX-License-Identifier: BSD-2-Clause
#pragma once
// Recordings for tests.
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "lives.h"
#include "rendering.h"
#include "tcpsaga/recording.h"

namespace tcpsaga::testing {

/// Of "web1", in every field different from a default one.
Origin an_origin();
/// The same, but of a host that sees everything, and in UTC.
Origin a_plain_origin(const std::string& host = "web1");

/// A new recording that comes from an_origin().
std::unique_ptr<RecordingWriter> begun(const std::string& path);
std::unique_ptr<RecordingWriter> begun(const std::string& path, const Origin& origin);

template <class R>
void put(RecordingWriter& tape, Nanos t, Record<R> r)
{
    tape.write(input::Record{r.at(t).bytes()});
}

Input a_present_socket();
Input some_totals();
Input some_ports();
Input a_home();
Input a_summary();
/// One of each kind.
std::vector<Input> every_input();

/// All of it, as text to compare.
std::string text_of(const Input& i);

struct Replayed {
    int exit_code;
    std::string out, err;
};
/// tcpsaga replay, into a file in `dir`.
Replayed replay(Options options, const std::vector<std::string>& files, const TempDir& dir);
Options as(Command view, bool in_json);
/// Lines of JSON, parsed.
std::vector<nlohmann::json> events_of(const std::string& text);

} // namespace tcpsaga::testing
