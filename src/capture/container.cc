// SPDX-License-Identifier: BSD-2-Clause
/*
 * The names that container managers give to cgroups, each a component of the path:
 *
 *   docker-ID.scope, docker/ID                          docker; moby/daemon/oci_linux.go
 *   cri-containerd-ID.scope, SLICE:cri-containerd:ID    containerd under Kubernetes; the second
 * form where the kubelet uses the other driver nerdctl-ID.scope containerd libpod-ID.scope,
 * libpod_parent/libpod-ID            podman; libpod/oci_conmon_linux.go crio-ID.scope, crio-ID
 * CRI-O ID                                                  Kubernetes, containerd, ECS: nobody's
 * name …pod2c48…_9a….slice, pod2c48…-9a…                   a pod:
 * kubelet/cm/pod_container_manager_linux.go
 *
 * ID is 64 hexadecimal digits.
 */
#include <algorithm>
#include <array>
#include <utility>

#include "tcpsaga/process_info.h"

namespace tcpsaga {
namespace {

bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool is_id(std::string_view text)
{
    return text.size() == 64 && std::ranges::all_of(text, is_hex);
}

bool drop_suffix(std::string_view& text, std::string_view suffix)
{
    if (!text.ends_with(suffix))
        return false;
    text.remove_suffix(suffix.size());
    return true;
}

/// "docker", "cri-containerd", "libpod"…; "" for others.
std::string_view runtime_of(std::string_view word)
{
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> runtimes{{
        {"docker", "docker"},
        {"cri-containerd", "containerd"},
        {"nerdctl", "containerd"},
        {"libpod", "podman"},
        {"crio", "crio"},
    }};
    const auto* const known =
        std::ranges::find(runtimes, word, [](const auto& r) { return r.first; });
    return known == runtimes.end() ? "" : known->second;
}

/// Takes the part behind the last of these separators off.
std::string_view take_last(std::string_view& text, std::string_view separators)
{
    const auto at = text.find_last_of(separators);
    const std::string_view last = at == std::string_view::npos ? text : text.substr(at + 1);
    text = at == std::string_view::npos ? "" : text.substr(0, at);
    return last;
}

/// `parent`: the component before.
void find_container(std::string_view name, std::string_view parent, Container& to)
{
    drop_suffix(name, ".scope");
    const std::string_view id = take_last(name, "-:");
    if (!is_id(id) || name.ends_with("conmon"))
        return;
    if (!name.empty())
        parent = name.substr(name.rfind(':') + 1); // npos + 1 is 0
    to.id = id;
    to.runtime = runtime_of(parent);
}

/// A uid, its dashes perhaps underscores; static pods have a hash of 32 digits.
bool is_pod_uid(std::string_view text)
{
    constexpr std::string_view form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (text.size() == 32)
        return std::ranges::all_of(text, is_hex);
    return std::ranges::equal(text, form, [](char c, char f) {
        return f == 'x' ? is_hex(c) : c == '-' || c == '_';
    });
}

void find_pod(std::string_view name, Container& to)
{
    name = name.substr(0, name.find(':'));
    drop_suffix(name, ".slice");
    constexpr std::string_view word = "pod";
    const auto at = name.rfind(word);
    if (at == std::string_view::npos || !is_pod_uid(name.substr(at + word.size())))
        return;
    to = {"", "", std::string(name.substr(at + word.size()))};
    std::ranges::replace(to.pod, '_', '-');
}

} // namespace

Container container_of(std::string_view path)
{
    Container found;
    std::string_view parent;
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(path.size(), name.size() + 1));
        find_pod(name, found);
        find_container(name, parent, found);
        parent = name;
    }
    return found;
}

std::string cgroup_of(std::string_view proc_pid_cgroup)
{
    std::string_view text = proc_pid_cgroup;
    std::string_view best;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        // "HIERARCHY:CONTROLLERS:PATH"; version 2 is the last line, 0 and without controllers
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos)
            continue;
        const std::string_view path = line.substr(second + 1);
        const auto worth = [](std::string_view p) {
            return p.empty() ? 0 : p == "/" ? 1 : container_of(p).id.empty() ? 2 : 3;
        };
        const bool version_2 = line.starts_with("0::");
        if (worth(path) > worth(best) || (version_2 && worth(path) == worth(best)))
            best = path;
    }
    return std::string(best);
}

} // namespace tcpsaga
