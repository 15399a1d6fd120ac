// SPDX-License-Identifier: BSD-2-Clause
#include "iterator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <string>

#include "bpf_object.h"
#include "fd.h"
#include "snapshot.skel.h"

namespace tcpsaga {
namespace {

bpf_program* program_of(const snapshot_bpf& object, Iterator::Over what)
{
    return what == Iterator::Over::holders ? object.progs.holders : object.progs.sockets;
}

Error refused(const char* operation, Iterator::Over what, int err)
{
    return {operation, what == Iterator::Over::holders ? "iter/task_file" : "iter/tcp", err,
            err == EPERM || err == EACCES ? "CAP_BPF and CAP_PERFMON, and no kernel lockdown" : ""};
}

} // namespace

void Iterator::Free::operator()(snapshot_bpf* s) const
{
    snapshot_bpf::destroy(s);
}

void Iterator::Free::operator()(bpf_link* l) const
{
    bpf_link__destroy(l);
}

Result<Iterator::Object> Iterator::load_object(Over what, const KernelProber& kernel,
                                               bool with_cookies)
{
    BpfObject<snapshot_bpf> object(kernel);
    if (!object)
        return refused("cannot open", what, errno);
    object->rodata->have_cookie = with_cookies ? 1 : 0;
    bpf_program__set_autoload(object->progs.holders, what == Over::holders);
    bpf_program__set_autoload(object->progs.sockets, what == Over::sockets);
    if (const int err = object.load(); err != 0)
        return refused("cannot load", what, -err);
    return Object(std::move(object).take().release());
}

Result<Iterator> Iterator::load(Over what, const KernelProber& kernel)
{
    auto object = load_object(what, kernel, what == Over::sockets);
    if (!object && what == Over::sockets) // before Linux 5.12 a tracing program makes no cookie
        object = load_object(what, kernel, false);
    if (!object)
        return object.error();
    Link link(bpf_program__attach_iter(program_of(**object, what), nullptr));
    if (!link)
        return refused("cannot attach", what, errno);
    return Iterator(std::move(*object), std::move(link));
}

Result<std::vector<std::byte>> Iterator::read() const
{
    constexpr std::size_t chunk = 256 << 10; // the kernel gives 32 KB at a time
    const auto over = bpf_program__autoload(object_->progs.holders) ? Over::holders : Over::sockets;
    const Fd fd{bpf_iter_create(bpf_link__fd(link_.get()))};
    if (!fd)
        return refused("cannot start", over, errno);
    std::vector<std::byte> bytes;
    std::size_t filled = 0;
    while (true) {
        if (bytes.size() - filled < chunk / 2)
            bytes.resize(filled + filled / 2 + chunk);
        const ssize_t n = ::read(fd.get(), bytes.data() + filled, bytes.size() - filled);
        if (n == 0)
            break;
        if (n > 0)
            filled += static_cast<std::size_t>(n);
        // EAGAIN: a million descriptors in a row were none of ours (kernel/bpf/bpf_iter.c)
        else if (errno != EINTR && errno != EAGAIN)
            return refused("cannot read", over, errno);
    }
    bytes.resize(filled);
    return bytes;
}

} // namespace tcpsaga
