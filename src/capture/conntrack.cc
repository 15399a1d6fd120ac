// SPDX-License-Identifier: BSD-2-Clause
#include "tcpsaga/conntrack.h"

#include <netinet/in.h>
#include <sys/stat.h>

extern "C" {
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
}

#include <cstring>

#include "netns.h"

namespace tcpsaga {
namespace {

constexpr std::uint64_t window_size_ns = 1'000'000'000;

struct Closer {
    void operator()(nfct_handle* h) const { nfct_close(h); }
    void operator()(nf_conntrack* ct) const { nfct_destroy(ct); }
};
using Handle = std::unique_ptr<nfct_handle, Closer>;
using Entry = std::unique_ptr<nf_conntrack, Closer>;

/// Where an entry has one of its two tuples.
struct Attributes {
    nf_conntrack_attr l3, v4_src, v4_dst, v6_src, v6_dst, port_src, port_dst;
};
constexpr Attributes original{ATTR_ORIG_L3PROTO,  ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV4_DST,
                              ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST, ATTR_ORIG_PORT_SRC,
                              ATTR_ORIG_PORT_DST};
constexpr Attributes reply{ATTR_REPL_L3PROTO,  ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV4_DST,
                           ATTR_REPL_IPV6_SRC, ATTR_REPL_IPV6_DST, ATTR_REPL_PORT_SRC,
                           ATTR_REPL_PORT_DST};

void set_end(nf_conntrack* ct, const Endpoint& e, nf_conntrack_attr v4, nf_conntrack_attr v6,
             nf_conntrack_attr port)
{
    if (e.addr.is_v4())
        nfct_set_attr(ct, v4, e.addr.bytes.data() + 12);
    else
        nfct_set_attr(ct, v6, e.addr.bytes.data());
    nfct_set_attr_u16(ct, port, htons(e.port));
}

Endpoint end_of(const nf_conntrack* ct, bool is_v4, nf_conntrack_attr v4, nf_conntrack_attr v6,
                nf_conntrack_attr port)
{
    Endpoint e;
    if (is_v4)
        e.addr.bytes[10] = e.addr.bytes[11] = 0xff;
    if (const void* address = nfct_get_attr(ct, is_v4 ? v4 : v6))
        std::memcpy(e.addr.bytes.data() + (is_v4 ? 12 : 0), address, is_v4 ? 4 : 16);
    e.port = ntohs(nfct_get_attr_u16(ct, port));
    return e;
}

/// As the sender of these packets has its ends.
Tuple tuple_of(const nf_conntrack* ct, const Attributes& a)
{
    const bool is_v4 = nfct_get_attr_u8(ct, a.l3) == AF_INET;
    return {end_of(ct, is_v4, a.v4_src, a.v6_src, a.port_src),
            end_of(ct, is_v4, a.v4_dst, a.v6_dst, a.port_dst), 0};
}

int take(nf_conntrack_msg_type, nf_conntrack* ct, void* to)
{
    *static_cast<std::pair<Tuple, Tuple>*>(to) = {tuple_of(ct, original), tuple_of(ct, reply)};
    return NFCT_CB_CONTINUE;
}

/// The entry with this tuple in either direction: both of its tuples.
std::optional<std::pair<Tuple, Tuple>> ask(nfct_handle* h, const Tuple& t)
{
    const Entry wanted(nfct_new());
    if (h == nullptr || !wanted)
        return std::nullopt;
    const bool is_v4 = t.local.addr.is_v4();
    nfct_set_attr_u8(wanted.get(), ATTR_L3PROTO, is_v4 ? AF_INET : AF_INET6);
    nfct_set_attr_u8(wanted.get(), ATTR_L4PROTO, IPPROTO_TCP);
    set_end(wanted.get(), t.local, original.v4_src, original.v6_src, original.port_src);
    set_end(wanted.get(), t.remote, original.v4_dst, original.v6_dst, original.port_dst);
    std::pair<Tuple, Tuple> found;
    nfct_callback_register(h, NFCT_T_ALL, take, &found);
    const int answer = nfct_query(h, NFCT_Q_GET, wanted.get());
    nfct_callback_unregister(h);
    if (answer != 0 || found.first.local.port == 0)
        return std::nullopt;
    return found;
}

/// nullopt: nothing is translated.
std::optional<Tuple> translated(const std::optional<std::pair<Tuple, Tuple>>& entry, const Tuple& t)
{
    if (!entry)
        return std::nullopt;
    const auto& [sent, answered] = *entry;
    const Tuple own{t.local, t.remote, 0};
    if (own != sent && own != answered)
        return std::nullopt;
    const Tuple other = own == sent ? answered : sent;
    if (other.local == own.remote && other.remote == own.local)
        return std::nullopt;
    return other;
}

/// Asking would load what tracks, where nothing is tracked yet.
bool is_loaded()
{
    struct stat st {};
    return ::stat("/proc/sys/net/netfilter/nf_conntrack_count", &st) == 0;
}

std::uint32_t own_netns()
{
    struct stat st {};
    return ::stat("/proc/self/ns/net", &st) == 0 ? static_cast<std::uint32_t>(st.st_ino) : 0;
}

} // namespace

struct Conntrack::Impl {
    Handle here{is_loaded() ? nfct_open(CONNTRACK, 0) : nullptr};
    std::uint32_t own = own_netns();
    Namespaces namespaces{{}};
    std::uint64_t found_ns = 0;
    std::uint64_t window_ns = 0;
    unsigned asked = 0;

    bool may_ask(std::uint64_t now_ns)
    {
        constexpr unsigned most = 64;
        if (now_ns >= window_ns + window_size_ns) {
            window_ns = now_ns;
            asked = 0;
        }
        return here != nullptr && asked++ < most;
    }

    std::optional<Tuple> ask_there(const Tuple& t, std::uint64_t now_ns)
    {
        constexpr std::uint64_t long_ago = 10 * window_size_ns;
        if (!namespaces.paths().contains(t.netns) && now_ns >= found_ns + long_ago) {
            namespaces.find();
            found_ns = now_ns;
        }
        std::optional<Tuple> other;
        namespaces.visit(t.netns, [&] {
            const Handle there(nfct_open(CONNTRACK, 0));
            other = translated(ask(there.get(), t), t);
        });
        return other;
    }
};

Conntrack::Conntrack() : impl_(std::make_unique<Impl>()) {}
Conntrack::~Conntrack() = default;

std::optional<Tuple> Conntrack::other_end(const Tuple& t, std::uint64_t now_ns)
{
    if (!impl_->may_ask(now_ns))
        return std::nullopt;
    if (auto other = translated(ask(impl_->here.get(), t), t))
        return other;
    return t.netns == impl_->own ? std::nullopt : impl_->ask_there(t, now_ns);
}

} // namespace tcpsaga
