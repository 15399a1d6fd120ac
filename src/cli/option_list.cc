// SPDX-License-Identifier: BSD-2-Clause
#include "option_list.h"

#include <algorithm>

#include "values.h"

namespace tcpsaga {
namespace {

const std::vector<std::string> kinds{
    "listen",     "unlisten",     "connect",        "connect_error", "state",        "accept",
    "time_wait",  "reset",        "close",          "overflow",      "accept_error", "retransmit",
    "bind_error", "listen_error", "synack_timeout", "stuck",         "drop"};
const std::vector<std::string> states{"ESTABLISHED", "SYN_SENT",  "SYN_RECV", "FIN_WAIT1",
                                      "FIN_WAIT2",   "TIME_WAIT", "CLOSE",    "CLOSE_WAIT",
                                      "LAST_ACK",    "LISTEN",    "CLOSING"};

void add_filter_options(CLI::App& app, Options& o, Raw& raw)
{
    const auto* const group = "Which connections";
    const auto ports = [&](const char* name, std::vector<std::uint16_t>& list, const char* help) {
        app.add_option(name, list, help)
            ->delimiter(',')
            ->allow_extra_args(false)
            ->check(CLI::Range(1, 65535))
            ->type_name("N[,N]")
            ->group(group);
    };
    ports("--port", o.filter.ports, "either end has one of these ports");
    ports("--lport", o.filter.lports, "the local end has");
    ports("--rport", o.filter.rports, "the remote end has");
    app.add_option("--addr", raw.cidrs, "either end is in one of these blocks, IPv4 or IPv6")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("CIDR")
        ->group(group);
    auto* v4 = app.add_flag("-4", raw.only_v4, "IPv4 only (v4-mapped IPv6 is IPv4)")->group(group);
    app.add_flag("-6", raw.only_v6, "IPv6 only")->group(group)->excludes(v4);
    app.add_option("--netns", raw.netns, "in this network namespace: inode, name, path or 'self'")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("NETNS")
        ->group(group);
    app.add_option("--cgroup", raw.cgroup, "sockets of this cgroup (v2) and those below it")
        ->type_name("PATH")
        ->group(group);
    app.add_option("--pid", o.filter.pids, "owned, or touched, by one of these processes")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(countable)
        ->type_name("PID")
        ->group(group);
    app.add_option("--comm", o.filter.comms, "the same by the process's name (15 bytes)")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("NAME")
        ->group(group);
}

void add_hook_options(CLI::App& app, Options& o, Raw& raw)
{
    const auto* const group = "Hooks";
    app.add_option("--attach", raw.attach, "the preferred mechanism")
        ->check(CLI::IsMember({"auto", "trampoline", "kprobe", "tracepoint"}))
        ->type_name("auto|trampoline|kprobe|tracepoint")
        ->group(group);
    app.add_option("--disable-hook", o.wish.disabled, "leave a hook out; 'check' names them")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("NAME")
        ->group(group);
    app.add_flag_callback(
           "--drops", [&o] { o.wish.asked = {"drop"}; },
           "tell of TCP packets that the kernel drops, with reason and place")
        ->group(group);
    app.add_option("--btf", o.btf, "BTF of this kernel from a file, where /sys/kernel/btf has none")
        ->check(CLI::ExistingFile)
        ->type_name("FILE")
        ->group(group);
}

void add_output_options(CLI::App& app, Options& o, const std::string& reopened = "")
{
    app.add_flag("--json", o.json, "one JSON object a line");
    const std::string live = reopened.empty() ? ""
                                              : ", or to NATS JetStream: "
                                                "nats://HOST[,HOST]/STREAM (docs/fleet.md)";
    app.add_option("-o", o.output,
                   "write to a file (mode 0600" + reopened +
                       "), to a stream socket: unix:PATH, tcp:HOST:PORT" + live)
        ->type_name("WHERE");
    app.add_option("--count", o.count, "stop after so many lines")
        ->check(countable)
        ->type_name("N");
}

CLI::Option* add_state_option(CLI::App& app, Options& o, const char* help)
{
    return app.add_option("--state", o.states, help)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->transform(CLI::IsMember(states, CLI::ignore_case))
        ->type_name("STATE[,STATE]");
}

void add_kind_options(CLI::App& app, Options& o)
{
    app.add_option("--event", o.kinds, "only these kinds of event")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember(kinds))
        ->type_name("KIND[,KIND]");
    add_state_option(app, o, "state events only from or to these states");
}

void add_pairs_option(CLI::App& app, Options& o, const std::string& where)
{
    app.add_flag("--pairs", o.pairs,
                 "life: one line, the client's, for the two ends of a connection " + where);
}

void add_run_options(CLI::App& app, Options& o)
{
    app.add_option("--duration", o.duration_s, "stop after so many seconds")
        ->check(positive)
        ->type_name("SECS");
    app.add_option("--ring", o.ring_bytes,
                   "ring buffers between kernel and consumer, all of them (8M)")
        ->transform(CLI::AsSizeValue(false))
        ->check(power_of_two)
        ->type_name("SIZE");
    app.add_option("--max-connections", o.max_connections,
                   "sockets kept in memory (1048576); past it the stalest is dropped and counted")
        ->check(countable)
        ->type_name("N");
    app.add_option(
           "--overflow-rate", o.overflow_rate,
           "overflow events per listener, kind and second (100), drops alike; the rest is in n")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
    app.add_option(
           "--stuck", o.stuck_s,
           "tell of connections in CLOSE_WAIT or FIN_WAIT2 for longer than this (60; doctor: 10)")
        ->check(positive)
        ->type_name("SECS");
    app.add_option("--summary", o.summary_s,
                   "a summary with its audit every so many seconds, as on SIGUSR1 and at the end")
        ->check(positive)
        ->type_name("SECS");
    app.add_option("--metrics", o.metrics,
                   "serve metrics for Prometheus there; without ADDR on loopback")
        ->type_name("[ADDR:]PORT");
    app.add_flag_callback(
        "--no-snapshot", [&o] { o.snapshot = false; },
        "do not look for what is there at the start");
    app.add_option_function<std::string>(
           "--audit", [&o](const std::string& how) { o.strict_audit = how == "strict"; },
           "'strict': exit code 4 when a kernel counter differs and nothing explains it")
        ->check(CLI::IsMember({"report", "strict"}))
        ->type_name("report|strict");
}

/// Between two keys, ':' does as well as ','.
std::string read_keys(const std::string& text, std::vector<SocketKey>& keys)
{
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t end = std::min(text.find_first_of(",:", from), text.size());
        const std::string name = text.substr(from, end - from);
        from = end + 1;
        const auto key = socket_key(name == "raddr" ? "remote" : name);
        if (!key)
            return "nothing is counted by '" + name + "'; there are state, remote, rport, lport, " +
                   "process, listener, container, netns";
        keys.push_back(*key);
    }
    return "";
}

void add_socket_options(CLI::App& app, Options& o, Raw& raw)
{
    add_filter_options(app, o, raw);
    const auto* const group = "Which connections";
    auto* state = add_state_option(app, o, "in one of these states")->group(group);
    app.add_flag_callback(
           "-l,--listening", [&o] { o.states = {"LISTEN"}; }, "the same as --state LISTEN")
        ->group(group)
        ->excludes(state);
    auto* pairs = app.add_flag("--pairs", o.pairs,
                               "connections of which both ends are on this host as one line");
    app.add_option_function<std::string>(
           "--by",
           [&o](const std::string& text) {
               if (const std::string wrong = read_keys(text, o.by); !wrong.empty())
                   throw CLI::ValidationError("--by", wrong);
           },
           "count them by state, remote, rport, lport, process, listener, container or netns")
        ->type_name("KEY[,KEY]")
        ->excludes(pairs);
    app.add_flag("--cmdline", o.cmdline, "with the command line of the first process");
    app.add_flag("-i,--info", o.info, "with bytes, rtt and retransmits, as --json");
    app.add_flag("--json", o.json, "one JSON object a line");
    app.add_option("-o", o.output, "write to a file, mode 0600")->type_name("FILE");
}

void add_live_options(CLI::App& app, Options& o, Raw& raw)
{
    add_filter_options(app, o, raw);
    add_hook_options(app, o, raw);
    add_output_options(app, o, "; opened again on SIGHUP");
    add_run_options(app, o);
    auto* record = app.add_option("-w,--record", o.record, "record, too: see tcpsaga record")
                       ->type_name("FILE");
    app.add_flag("--force", o.force, "--record may replace a file")->needs(record);
}

void add_record_options(CLI::App& app, Options& o, Raw& raw)
{
    app.add_option("FILE", o.record, "to be made, mode 0600")->required();
    app.add_flag("--force", o.force, "replace a file that is there");
    add_filter_options(app, o, raw);
    add_hook_options(app, o, raw);
    add_run_options(app, o);
}

void add_top_options(CLI::App& app, Options& o, Raw& raw)
{
    app.add_flag("--once", o.once, "one picture as text after one interval, for scripts");
    app.add_option("--interval", o.interval_s, "between two pictures (1)")
        ->check(interval)
        ->type_name("SECS");
    add_filter_options(app, o, raw);
    add_hook_options(app, o, raw);
    add_run_options(app, o);
    for (const char* told_elsewhere : {"--summary", "--stuck"})
        app.remove_option(app.get_option(told_elsewhere));
}

/// Options may come before or behind the name of the view.
void add_replay_options(CLI::App& app, Options& o, Raw& raw)
{
    app.add_option("FILE", o.files, "recordings; several are played together, by time")->required();
    add_filter_options(app, o, raw);
    app.remove_option(app.get_option("--cgroup")); // records do not tell
    add_output_options(app, o);
    add_kind_options(app, o);
    add_pairs_option(app, o, "in these recordings");
    for (const auto& [name, help] : {std::pair("trace", "a line per lifecycle event (default)"),
                                     std::pair("life", "a line per finished connection"),
                                     std::pair("doctor", "what was wrong, and what to do"),
                                     std::pair("report", "a page with plots: see tcpsaga report")})
        app.add_subcommand(name, help)->fallthrough()->group("Commands");
    app.require_subcommand(0, 1);
}

void add_report_options(CLI::App& app, Options& o, Raw& raw)
{
    app.add_option("FILE", o.files, "recordings; each host is a tab of the page")->required();
    add_filter_options(app, o, raw);
    app.remove_option(app.get_option("--cgroup")); // records do not tell
    app.add_flag("--json", o.json, "what the page shows, as one JSON object a recording");
    app.add_option("-o", o.output, "write to a file, mode 0600; one that is there is replaced")
        ->type_name("FILE");
}

void add_stream_options(CLI::App& app, Options& o)
{
    app.add_option("--replicas", o.fleet.replicas, "servers that keep each message (1)")
        ->check(CLI::IsMember({1, 3, 5}))
        ->type_name("1|3|5");
    app.add_option("--max-age", o.fleet.max_age_s, "messages are kept for so long (86400; 0: ever)")
        ->type_name("SECS");
    app.add_option("--max-bytes", o.fleet.max_bytes,
                   "the oldest messages go beyond this (no bound)")
        ->transform(CLI::AsSizeValue(false))
        ->type_name("SIZE");
    app.add_option("--duplicates", o.fleet.duplicates_s,
                   "a message that is sent again within this is known to the servers (120)")
        ->check(CLI::Range(1, 86400))
        ->type_name("SECS");
}

/// Options may come before or behind the name of the view.
void add_fleet_options(CLI::App& app, Options& o, Raw& raw)
{
    const auto place = [&o](CLI::App& to) {
        to.add_option("PLACE", o.fleet.place, "nats://HOST[,HOST]/STREAM: see docs/fleet.md");
    };
    place(app);
    add_filter_options(app, o, raw);
    for (const char* of_one_host : {"--cgroup", "--netns"})
        app.remove_option(app.get_option(of_one_host));
    add_output_options(app, o);
    add_kind_options(app, o);
    add_pairs_option(app, o, "in this stream");
    app.add_option(
           "--group", o.fleet.group,
           "readers of one group share the stream, and go on where it was (the view's name)")
        ->type_name("NAME");
    app.add_option("--since", o.fleet.since_s, "leave out what was sent before so many seconds")
        ->check(positive)
        ->type_name("SECS");
    app.add_option("--wait", o.fleet.wait_s,
                   "one end of a connection waits for the other's so long (5)")
        ->check(CLI::Range(0.0, 20.0))
        ->type_name("SECS");
    app.add_option("--duration", o.duration_s, "stop after so many seconds")
        ->check(positive)
        ->type_name("SECS");
    app.add_flag("--once", o.once, "stop when everything that is there is told");
    app.add_subcommand("trace", "a line per lifecycle event (default)")->fallthrough();
    app.add_subcommand("life", "a line per finished connection")->fallthrough();
    app.add_subcommand("summary", "a line per summary of a host")->fallthrough();
    app.add_subcommand("doctor", "what was wrong on all hosts, and what to do")->fallthrough();
    app.add_subcommand("report", "a page with plots, a tab for each host")->fallthrough();
    auto* init = app.add_subcommand("init", "make the stream, or change it")->fallthrough();
    add_stream_options(*init, o);
    for (CLI::App* view : app.get_subcommands([](CLI::App*) { return true; }))
        place(*view); // before or behind it
    app.require_subcommand(0, 1);
}

} // namespace

void add_commands(CLI::App& app, Options& o, Raw& raw)
{
    auto* trace = app.add_subcommand("trace", "a line per lifecycle event (default)");
    auto* life =
        app.add_subcommand("life", "a line per finished connection, tcplife's columns first");
    auto* doctor = app.add_subcommand(
        "doctor", "watch for 30 seconds (--duration), then say what is wrong and what to do");
    for (auto* command : {trace, life, doctor})
        add_live_options(*command, o, raw);
    add_kind_options(*trace, o);
    add_pairs_option(*life, o, "on this host");
    auto* top = app.add_subcommand(
        "top", "full screen: listeners and their queues, states, rates, remotes, processes");
    add_top_options(*top, o, raw);
    auto* record = app.add_subcommand("record", "keep the stream in a file, for replay");
    add_record_options(*record, o, raw);
    auto* replay =
        app.add_subcommand("replay", "trace, life, doctor or report of recordings, without root");
    add_replay_options(*replay, o, raw);
    auto* report = app.add_subcommand("report", "one self-contained HTML page of recordings");
    add_report_options(*report, o, raw);
    auto* fleet = app.add_subcommand(
        "fleet", "trace, life, summary, doctor or report of many hosts, from NATS JetStream");
    add_fleet_options(*fleet, o, raw);
    auto* sockets = app.add_subcommand(
        "sockets", "every TCP socket with its process, as ss -tanpo has them, and their counts");
    add_socket_options(*sockets, o, raw);
    auto* check = app.add_subcommand("check", "what this kernel lets us see, and how");
    add_hook_options(*check, o, raw);
    check->add_flag("--json", o.json, "as one JSON object");
    check->add_flag("--programs", o.programs, "load them too: what each costs the verifier");
    for (CLI::App* any : app.get_subcommands([](CLI::App*) { return true; }))
        any->group("Commands");
}

} // namespace tcpsaga
