// SPDX-License-Identifier: BSD-2-Clause
#include "report.h"

#include <algorithm>
#include <filesystem>
#include <unistd.h>

#include "report/page.h"
#include "report/report.h"

namespace tcpsaga {
namespace {

namespace fs = std::filesystem;

void print(Output& out, const std::string& text)
{
    out.buffer().append(text);
    out.buffer().push_back('\n');
    out.line_done();
}

} // namespace

Status check_output(const Options& options)
{
    std::error_code none; // a file that is not there is no recording
    const bool itself = std::ranges::any_of(options.files, [&](const std::string& file) {
        return fs::equivalent(file, options.output, none);
    });
    if (itself)
        return Error{"cannot write to", options.output, 0, "it is the recording: -o another file"};
    const bool page = options.view == Command::report && !options.json;
    if (page && options.output.empty() && isatty(STDOUT_FILENO) != 0)
        return Error{"cannot show a page on", "a terminal", 0, "want -o FILE.html"};
    return Nothing{};
}

std::string report_of(const Sink& presenter, const std::string& file,
                      const std::vector<std::string>& damage)
{
    const auto* report = dynamic_cast<const Report*>(&presenter);
    return report == nullptr ? "" : report->data(fs::path(file).filename(), damage);
}

void print_report(Output& out, const Options& options, const std::vector<std::string>& data)
{
    std::error_code none;
    if (!options.output.empty() && fs::is_regular_file(options.output, none))
        fs::resize_file(options.output, 0, none); // `out` appends
    if (!options.json)
        return print(out, make_page(data));
    for (const std::string& object : data)
        print(out, object);
}

} // namespace tcpsaga
