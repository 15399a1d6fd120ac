// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/result.h"

#include <cstring>

namespace tcpsaga {
namespace {

/// BPF system calls return this kernel-internal number (include/linux/errno.h), which libc
/// has no text for.
constexpr int kernel_enotsupp = 524;

std::string text_of(int err)
{
    return err == kernel_enotsupp ? "Not supported by this kernel" : std::strerror(err);
}

} // namespace

std::string Error::message() const
{
    std::string text = operation;
    if (!object.empty())
        text += (text.empty() ? "" : " ") + object;
    if (err != 0)
        text += ": " + text_of(err);
    if (!remedy.empty())
        text += "; " + remedy;
    return text;
}

} // namespace tcpsaga
