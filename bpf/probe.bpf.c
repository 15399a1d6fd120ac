// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Programs that do nothing, for finding out what this kernel lets us attach. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("kprobe")
int any_kprobe(void *ctx)
{
    return 0;
}
