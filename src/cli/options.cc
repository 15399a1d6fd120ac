// SPDX-License-Identifier: BSD-2-Clause
#include "options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "describe.h"
#include "exporter.h"
#include "open_output.h"
#include "option_list.h"
#include "tcpsaga/output.h"
#include "values.h"

namespace tcpsaga {
namespace {

constexpr int usage_error = 2;

Status understand_filter(Options& o, const Raw& raw)
{
    o.filter.family = raw.only_v4 ? 4 : raw.only_v6 ? 6 : 0;
    for (const std::string& text : raw.cidrs) {
        const auto cidr = parse_cidr(text);
        if (!cidr)
            return cidr.error();
        o.filter.cidrs.push_back(*cidr);
    }
    for (const std::string& text : raw.netns) {
        const auto inode = parse_netns(text);
        if (!inode)
            return inode.error();
        o.filter.netns.push_back(*inode);
    }
    if (!raw.cgroup.empty()) {
        const auto found = parse_cgroup(raw.cgroup);
        if (!found)
            return found.error();
        std::tie(o.cgroup_folder, o.filter.cgroup) = *found;
    }
    return check(o.filter);
}

Status check_fleet(const Options& o)
{
    if (o.fleet.place.empty())
        return Error{"no place", "to read from", 0, "want nats://HOST[,HOST]/STREAM"};
    if (const auto place = fleet::parse_place(o.fleet.place); !place)
        return place.error();
    const bool plain = std::ranges::all_of(o.fleet.group, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '_';
    });
    if (!plain)
        return Error{"bad group", "'" + o.fleet.group + "'", 0, "want letters, digits, - and _"};
    return Nothing{};
}

/// What only some of the views can do.
Status check_view(const Options& o)
{
    if (!o.states.empty() && !o.kinds.empty() &&
        std::ranges::find(o.kinds, "state") == o.kinds.end())
        return Error{"no state event is told with this --event, so there is nothing for", "--state",
                     0, "add state to --event, or leave --state out"};
    if (o.command == Command::fleet)
        if (auto status = check_fleet(o); !status)
            return status;
    if (o.command != Command::replay && o.command != Command::fleet) {
        if (std::ranges::find(o.kinds, "drop") != o.kinds.end() && o.wish.asked.empty())
            return Error{"nothing is told of", "--event drop", 0, "add --drops"};
        return Nothing{};
    }
    if (o.view != Command::trace && !(o.kinds.empty() && o.states.empty()))
        return Error{"only trace takes", "--event and --state", 0, "leave them out"};
    if (o.view != Command::life && o.pairs)
        return Error{"events are not told in pairs:", "--pairs", 0,
                     o.command == Command::fleet ? "is for fleet PLACE life"
                                                 : "is for replay FILE life"};
    return Nothing{};
}

Status understand(Options& o, const Raw& raw)
{
    if (auto status = understand_filter(o, raw); !status)
        return status;
    for (const auto m : {Mechanism::trampoline, Mechanism::kprobe, Mechanism::tracepoint})
        if (raw.attach == name_of(m))
            o.wish.preferred = m;
    if (auto known = choose(o.wish, [](const Hook&) { return Status(Nothing{}); }); !known)
        return known.error();
    if (auto status = check_output_name(o.output); !status)
        return status;
    if (fleet::is_place(o.output)) {
        if (o.command == Command::replay || o.command == Command::sockets ||
            o.command == Command::fleet)
            return Error{"only a live command writes to", "'" + o.output + "'", 0,
                         "want trace, life or doctor"};
        o.json = true;
    }
    if (!o.metrics.empty()) {
        const auto address = metrics_address(o.metrics);
        if (!address)
            return address.error();
        o.metrics = *address;
    }
    return check_view(o);
}

int refuse(const std::string& why, const std::string& command)
{
    fmt::print(stderr, "tcpsaga: {} (see tcpsaga {}--help)\n", why,
               command.empty() ? "" : command + " ");
    return usage_error;
}

/// trace is the default command: its options may come without it.
std::vector<std::string> with_command(int argc, const char* const* argv)
{
    std::vector<std::string> args(argv + 1, argv + argc);
    const bool general = !args.empty() && (args[0] == "-h" || args[0] == "--help" ||
                                           args[0] == "--version" || args[0][0] != '-');
    if (!general)
        args.insert(args.begin(), "trace");
    std::ranges::reverse(args); // CLI11 takes them from the back
    return args;
}

const std::map<std::string, Command>& commands()
{
    static const std::map<std::string, Command> all{
        {"trace", Command::trace},   {"life", Command::life},       {"doctor", Command::doctor},
        {"top", Command::top},       {"sockets", Command::sockets}, {"check", Command::check},
        {"record", Command::record}, {"replay", Command::replay},   {"report", Command::report},
        {"fleet", Command::fleet},   {"summary", Command::summary},
    };
    return all;
}

} // namespace

std::string name_of(Command c)
{
    return std::ranges::find(commands(), c, [](const auto& entry) { return entry.second; })->first;
}

namespace {

/// What `command`, the one that was given, does, and which view of it was named.
void choose_view(Options& o, const CLI::App& command)
{
    const auto views = command.get_subcommands();
    const std::string& name = command.get_name();
    o.command = commands().at(name);
    o.fleet.init = !views.empty() && views[0]->get_name() == "init";
    o.view = commands().at(views.empty() || o.fleet.init ? name : views[0]->get_name());
    if (o.command == Command::report)
        o.command = Command::replay;
    for (const Command c :
         {Command::life, Command::doctor, Command::top, Command::report, Command::summary})
        if (o.view == c)
            return;
    o.view = Command::trace;
}

} // namespace

Parsed parse_arguments(int argc, const char* const* argv)
{
    Options o;
    Raw raw;
    CLI::App app{"tcpsaga shows the whole life of every TCP connection on this host, live.",
                 "tcpsaga"};
    app.set_version_flag("--version", "tcpsaga " TCPSAGA_VERSION);
    app.require_subcommand(1);
    app.formatter(std::make_shared<Help>());
    app.footer(
        "Without a command, trace is meant: tcpsaga --port 443 is tcpsaga trace --port 443.\n"
        "tcpsaga COMMAND --help has the options of one, man tcpsaga those of all.");

    add_commands(app, o, raw);
    if (argc == 2 && std::strcmp(argv[1], "--describe") == 0) {
        print_description(app);
        return {{}, 0};
    }
    if (argc > 1 && argv[1][0] != '-' &&
        (!commands().contains(argv[1]) || std::strcmp(argv[1], "summary") == 0))
        return {{}, refuse("no command '" + std::string(argv[1]) + "'", "")};
    std::string command;
    try {
        app.parse(with_command(argc, argv));
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0)
            return {{}, app.exit(e)};
        const auto chosen = app.get_subcommands();
        const CLI::App* const of = chosen.empty() ? nullptr : chosen[0];
        return {{}, refuse(complaint(e, of), of == nullptr ? "" : of->get_name())};
    }
    command = app.get_subcommands()[0]->get_name();
    choose_view(o, *app.get_subcommands()[0]);
    if (o.view == Command::doctor && o.count)
        return {{}, refuse("doctor prints at its end: --duration, not --count", command)};
    if (o.view == Command::report && o.count)
        return {{}, refuse("a report has no lines to --count", command)};
    if (o.command == Command::doctor && !o.duration_s)
        o.duration_s = 30;
    if (const auto status = understand(o, raw); !status)
        return {{}, refuse(status.error().message(), command)};
    return {o, 0};
}

} // namespace tcpsaga
