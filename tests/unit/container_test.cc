// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "tcpsaga/process_info.h"

namespace tcpsaga {

static void PrintTo(const Container& c, std::ostream* to)
{
    *to << c.runtime << " '" << c.id << "' pod '" << c.pod << "'";
}

namespace {

const std::string id = "4f6ee62d6a1a6bd7f5b8b9a4f27ba27e9d6a36a0b1a7c1c5c7a3d0f4cd0ff9e1";
const std::string other = "0c3a1db2bd1a8c6e9f2f5a6e4f6c9d0b8e7a6f5d4c3b2a190807060504030201";
const std::string pod = "2c48913c-b29f-11e7-9350-020968147796";
const std::string pod_ = "2c48913c_b29f_11e7_9350_020968147796"; // as systemd has it

struct Case {
    const char* what;
    std::string path;
    Container container;
};

class Paths : public testing::TestWithParam<Case> {};

TEST_P(Paths, NameTheContainer)
{
    EXPECT_EQ(container_of(GetParam().path), GetParam().container) << GetParam().path;
}

const Case cases[] = {
    {"docker_systemd", "/system.slice/docker-" + id + ".scope", {id, "docker", ""}},
    {"docker_cgroupfs", "/docker/" + id, {id, "docker", ""}},
    {"docker_under_a_parent", "/custom/docker/" + id, {id, "docker", ""}},
    {"docker_rootless",
     "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + id + ".scope",
     {id, "docker", ""}},
    {"docker_seen_from_another_cgroup_namespace",
     "/../../system.slice/docker-" + id + ".scope",
     {id, "docker", ""}},
    {"a_service_of_systemd_in_docker",
     "/docker/" + id + "/system.slice/nginx.service",
     {id, "docker", ""}},
    {"docker_in_docker", "/docker/" + other + "/docker/" + id, {id, "docker", ""}},
    {"podman_systemd", "/machine.slice/libpod-" + id + ".scope", {id, "podman", ""}},
    {"podman_split", "/machine.slice/libpod-" + id + ".scope/container", {id, "podman", ""}},
    {"podman_rootless",
     "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope/container",
     {id, "podman", ""}},
    {"podman_cgroupfs", "/libpod_parent/libpod-" + id, {id, "podman", ""}},
    {"podman_in_a_pod_of_its_own",
     "/machine.slice/machine-libpod_pod_" + other + ".slice/libpod-" + id + ".scope",
     {id, "podman", ""}},
    {"podman_pod_alone", "/machine.slice/machine-libpod_pod_" + other + ".slice", {}},
    {"podman_conmon", "/machine.slice/libpod-conmon-" + id + ".scope", {}},
    {"nerdctl", "/system.slice/nerdctl-" + id + ".scope", {id, "containerd", ""}},
    {"containerd_cgroupfs", "/default/" + id, {id, "", ""}},
    {"kubernetes_containerd_systemd",
     "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + pod_ +
         ".slice/cri-containerd-" + id + ".scope",
     {id, "containerd", pod}},
    {"kubernetes_guaranteed",
     "/kubepods.slice/kubepods-pod" + pod_ + ".slice/cri-containerd-" + id + ".scope",
     {id, "containerd", pod}},
    {"kubernetes_docker_systemd",
     "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + pod_ + ".slice/docker-" +
         id + ".scope",
     {id, "docker", pod}},
    {"kubernetes_crio_systemd",
     "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + pod_ + ".slice/crio-" +
         id + ".scope",
     {id, "crio", pod}},
    {"kubernetes_crio_split",
     "/kubepods.slice/kubepods-pod" + pod_ + ".slice/crio-" + id + ".scope/container",
     {id, "crio", pod}},
    {"kubernetes_crio_conmon",
     "/kubepods.slice/kubepods-pod" + pod_ + ".slice/crio-conmon-" + id + ".scope",
     {"", "", pod}},
    {"kubernetes_crio_cgroupfs", "/kubepods/pod" + pod + "/crio-" + id, {id, "crio", pod}},
    {"kubernetes_cgroupfs", "/kubepods/burstable/pod" + pod + "/" + id, {id, "", pod}},
    {"kubernetes_cgroupfs_guaranteed", "/kubepods/pod" + pod + "/" + id, {id, "", pod}},
    {"kubernetes_static_pod",
     "/kubepods/burstable/pod7b1d2e7cbbd1b4e3f2ce2ca5b4c8a9ab/" + id,
     {id, "", "7b1d2e7cbbd1b4e3f2ce2ca5b4c8a9ab"}},
    {"kubernetes_of_two_drivers",
     "/system.slice/containerd.service/kubepods-burstable-pod" + pod_ +
         ".slice:cri-containerd:" + id,
     {id, "containerd", pod}},
    {"kubernetes_pod_alone",
     "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + pod_ + ".slice",
     {"", "", pod}},
    {"kind",
     "/docker/" + other + "/kubelet/kubepods/besteffort/pod" + pod + "/" + id,
     {id, "", pod}},
    {"kind_systemd",
     "/system.slice/docker-" + other +
         ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
         "kubelet-kubepods-besteffort-pod" +
         pod_ + ".slice/cri-containerd-" + id + ".scope",
     {id, "containerd", pod}},
    {"ecs", "/ecs/55091c13-b8cf-4801-b527-f4601742204d/" + id, {id, "", ""}},
    {"none", "/", {}},
    {"nothing", "", {}},
    {"a_service", "/system.slice/docker.service", {}},
    {"a_session", "/user.slice/user-1000.slice/session-3.scope", {}},
    {"a_mount_of_docker",
     "/system.slice/var-lib-docker-containers-" + id + "-mounts-shm.mount",
     {}},
    {"too_short", "/docker/" + id.substr(1), {}},
    {"too_long", "/docker/0" + id, {}},
    {"not_hexadecimal", "/docker/z" + id.substr(1), {}},
    {"no_uid_behind_pod", "/podman/podcast", {}},
};

INSTANTIATE_TEST_SUITE_P(Containers, Paths, testing::ValuesIn(cases),
                         [](const auto& i) { return std::string(i.param.what); });

TEST(Cgroup, OfVersion2)
{
    EXPECT_EQ(cgroup_of("0::/user.slice/user-0.slice/session-1.scope\n"),
              "/user.slice/user-0.slice/session-1.scope");
    EXPECT_EQ(cgroup_of("0::/\n"), "/");
    EXPECT_EQ(cgroup_of(""), "");
}

TEST(Cgroup, OfVersion1)
{
    EXPECT_EQ(cgroup_of("12:memory:/docker/" + id + "\n1:name=systemd:/docker/" + id + "\n"),
              "/docker/" + id);
    EXPECT_EQ(cgroup_of("3:cpu,cpuacct:/\n2:memory:/batch\n"), "/batch");
    EXPECT_EQ(cgroup_of("3:cpu,cpuacct:/\n2:memory:/\n"), "/");
}

/// Both mounted: version 2 tells, unless the container is in the other.
TEST(Cgroup, OfBoth)
{
    EXPECT_EQ(cgroup_of("2:memory:/batch\n0::/system.slice/cron.service\n"),
              "/system.slice/cron.service");
    EXPECT_EQ(cgroup_of("2:memory:/docker/" + id + "\n0::/system.slice/containerd.service\n"),
              "/docker/" + id);
    EXPECT_EQ(cgroup_of("2:memory:/batch\n0::/\n"), "/batch");
}

TEST(Cgroup, WithAColon)
{
    EXPECT_EQ(cgroup_of("0::/system.slice/a:b.service"), "/system.slice/a:b.service");
    EXPECT_EQ(cgroup_of("nonsense\n"), "");
}

} // namespace
} // namespace tcpsaga
