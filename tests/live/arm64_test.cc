// SPDX-License-Identifier: BSD-2-Clause
/*
 * The arm64 object against an arm64 kernel's types. Its probe programs read by CO-RE alone,
 * so this machine's kernel can load them once their offsets are arm64's: a field or enum that
 * could not be found leaves an instruction that no verifier accepts.
 */
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace {

struct ObjectClose {
    void operator()(bpf_object* o) const { bpf_object__close(o); }
};
using Object = std::unique_ptr<bpf_object, ObjectClose>;

std::string log_text;

int keep_warnings(libbpf_print_level level, const char* format, va_list args)
{
    char line[512];
    std::vsnprintf(line, sizeof(line), format, args);
    if (level == LIBBPF_WARN)
        log_text += line;
    return 0;
}

/// The BTF that scripts/arm64_btf.py has put into the cache; "" without.
std::string arm64_btf()
{
    const char* path = std::getenv("TCPSAGA_ARM64_BTF");
    return path != nullptr && std::filesystem::exists(path) ? path : "";
}

/// Loads every kprobe and raw tracepoint program; how many, or -errno.
int load_probes(const std::string& btf)
{
    LIBBPF_OPTS(bpf_object_open_opts, options);
    options.btf_custom_path = btf.c_str();
    const Object object(bpf_object__open_file(TCPSAGA_ARM64_OBJECT, &options));
    if (!object)
        return -errno;
    int count = 0;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object.get())
    {
        const auto type = bpf_program__type(program);
        const bool probe = type == BPF_PROG_TYPE_KPROBE || type == BPF_PROG_TYPE_RAW_TRACEPOINT;
        bpf_program__set_autoload(program, probe);
        count += probe ? 1 : 0;
    }
    const int err = bpf_object__load(object.get());
    return err != 0 ? err : count;
}

TEST(Arm64, RelocatesAgainstAnArm64Kernel)
{
    const std::string btf = arm64_btf();
    if (btf.empty())
        GTEST_SKIP() << "SKIPPED: no arm64 BTF; scripts/arm64_btf.py fetches it";
    libbpf_set_print(keep_warnings);
    EXPECT_GT(load_probes(btf), 15) << log_text;
}

/// And the check can fail: against BTF without those types (the empty probe's) nothing loads.
TEST(Arm64, FailsAgainstForeignTypes)
{
    libbpf_set_print(keep_warnings);
    EXPECT_LT(load_probes(TCPSAGA_FOREIGN_OBJECT), 0);
}

} // namespace
