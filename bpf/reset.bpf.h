/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once
/* RSTs that a full socket sends or receives. */
#include "state.bpf.h"

/* reason: enum sk_rst_reason as this kernel numbers it, TS_NO_REASON where it gives none. */
INLINE int on_reset(enum access how, struct sock *sk, bool sent, __u32 reason)
{
    struct tcp_sock *tp = sk ? as_tcp(how, sk) : NULL;
    if (!tp)
        return 0; /* no socket, or a small one */
    struct ts_reset *r = record_of(how, sk, tp, TS_RESET, sizeof(*r), false, by_task(how, sk));
    if (!r)
        return 0;
    r->head.old_state = r->head.new_state = GET(how, sk, __sk_common.skc_state);
    r->reason = reason;
    r->sent = sent;
    submit(r, sizeof(*r));
    return 0;
}
