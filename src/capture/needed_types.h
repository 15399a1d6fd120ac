// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <string>

#include "fd.h"
#include "tcpsaga/probe.h"

namespace tcpsaga {

/// Those of `kernel`'s types that CO-RE relocations of `object` may look for, with all that lies
/// within them. For each type that a relocation names, libbpf compares the names of all that the
/// kernel has: a hundred thousand, 1 ms, and in an emulated machine 11 ms; these are some thousand.
/// No relocation goes through a pointer: all lead to void. Ids are not the kernel's. Null, with
/// errno, where there is no memory.
BtfPtr needed_types(const btf& kernel, const btf& object);

/// A file in memory with needed_types(), for libbpf to read while this lives.
class TypesFile {
public:
    TypesFile() = default;
    explicit TypesFile(const BtfPtr& types);
    /// Null: there is none, or no memory for it. libbpf looks at the kernel's own types then.
    [[nodiscard]] const char* path() const { return file_ ? path_.c_str() : nullptr; }

private:
    Fd file_;
    std::string path_;
};

} // namespace tcpsaga
