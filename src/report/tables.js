// SPDX-License-Identifier: BSD-2-Clause
// Tables whose headers sort them.
'use strict';

/**
 * columns: {label, value(row) to sort by, text(row) to show (else the value), number, title};
 * by: the column that sorts at first, descending when it is a number; undefined: rows as they come.
 */
function sortable({ columns, rows, by, id, limit = 50 }) {
    const body = make('tbody');
    const heads = columns.map(column => {
        const button = make('button', { type: 'button', title: column.title, textContent: column.label });
        button.addEventListener('click', () => sort(column));
        return make('th', { scope: 'col', className: column.number ? 'number' : '' }, button);
    });
    const more = make('button', { type: 'button', className: 'more', hidden: true });
    more.addEventListener('click', () => { limit = Infinity; show(); });
    let shown = rows;
    let sorted, descending;

    function show() {
        body.replaceChildren(...shown.slice(0, limit).map(row => make('tr', {}, ...columns.map(column => {
            const text = column.text ? column.text(row) : column.value(row);
            return make('td', { className: column.number ? 'number' : '' }, text === undefined ? '' : text);
        }))));
        more.hidden = rows.length <= limit;
        more.textContent = `show all ${rows.length}`;
    }
    function sort(column) {
        descending = column === sorted ? !descending : !!column.number;
        sorted = column;
        const way = descending ? -1 : 1;
        // What is not known comes last, either way.
        shown = [...rows].sort((a, b) => {
            const [x, y] = [column.value(a), column.value(b)];
            if (x === undefined || y === undefined)
                return (x === undefined) - (y === undefined);
            return way * (column.number ? x - y : String(x).localeCompare(String(y), 'en', { numeric: true }));
        });
        heads.forEach((head, i) => {
            if (columns[i] === column)
                head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
            else
                head.removeAttribute('aria-sort');
        });
        show();
    }
    const first = columns.find(column => column.label === by);
    first ? sort(first) : show();
    return make('div', {}, make('div', { className: 'scroll', tabIndex: 0 },
        make('table', { id }, make('thead', {}, make('tr', {}, ...heads)), body)), more);
}

/** Drops columns in which no row has anything. */
const used = (columns, rows) => columns.filter(column => rows.some(row => ![undefined, ''].includes(column.value(row))));

const number = (label, value, text, title) => ({ label, value, text: row => {
    const n = value(row);
    return n === undefined ? '' : (text ?? count)(n);
}, number: true, title });
const duration = (label, value, title) => number(label, value, micros, title);

function listener_table(host) {
    const rows = host.listeners;
    const several = new Set(rows.map(l => l.netns)).size > 1;
    const columns = [
        { label: 'listener', value: l => l.at },
        { label: 'process', value: process_text },
        ...several ? [number('netns', l => l.netns, String)] : [],
        number('arrived', l => l.arrived, count, 'connections that came up'),
        number('accepted', l => l.accepted),
        number('never accepted', l => l.never_accepted),
        { label: 'queue', value: l => l.queue_high, number: true, title: 'the most that waited for accept() at once',
            text: l => l.queue_max === undefined ? '' : `${l.queue_high ?? '?'} of ${l.queue_max}` },
        number('asked', l => l.backlog, count, 'the backlog that listen() asked for'),
        number('queue full', l => l.full, count, 'packets that met a full accept queue'),
        number('SYNs dropped', l => l.syn_drops, count, 'by a full SYN queue'),
        number('SYN cookies', l => l.syn_cookies),
        number('drops', l => l.drops, count, 'by the listener\'s drop counter'),
        number('accept() failed', l => l.accept_errors),
        duration('wait p50', l => l.wait_us.n ? l.wait_us.p50 : undefined, 'for accept()'),
        duration('p90', l => l.wait_us.n ? l.wait_us.p90 : undefined),
        duration('p99', l => l.wait_us.n ? l.wait_us.p99 : undefined),
        duration('max', l => l.wait_us.n ? l.wait_us.max : undefined),
        duration('handshake p50', l => l.handshake_us.n ? l.handshake_us.p50 : undefined),
        duration('p99', l => l.handshake_us.n ? l.handshake_us.p99 : undefined),
        { label: 'ended', value: l => l.ended?.replace('_', ' ') },
    ];
    return sortable({ id: 'listeners', columns: used(columns, rows), rows, by: 'arrived' });
}

function connection_table(host) {
    const rows = host.connections;
    const columns = [
        { label: 'ended at', value: c => c.t, text: c => clock(c.t, host.zone_s), number: true },
        { label: 'process', value: process_text },
        { label: 'local', value: c => c.local },
        { label: 'remote', value: c => c.remote },
        { label: 'role', value: c => c.role },
        { label: 'end', value: c => c.end, text: c => make('span', { className: c.end === 'fin' ? '' : 'bad' },
            c.end.replace('_', ' ') + (c.why ? ` (${c.why.replace('_', ' ')})` : '')) },
        duration('accept wait', c => c.accept_wait_us),
        duration('handshake', c => c.handshake_us),
        number('retransmits', c => c.retransmits),
        duration('lasted', c => c.duration_us),
        number('sent', c => c.tx, bytes),
        number('received', c => c.rx, bytes),
        { label: 'closed by', value: c => c.by },
    ];
    return sortable({ id: 'connections', columns: used(columns, rows), rows, by: 'accept wait', limit: 25 });
}

function audit_table(rows) {
    const several = new Set(rows.map(r => r.netns)).size > 1;
    const differs = r => r.kernel !== r.seen;
    return sortable({ id: 'audit', rows, columns: [
        ...several ? [number('netns', r => r.netns, String)] : [],
        { label: 'counter', value: r => r.counter },
        number('kernel', r => r.kernel),
        number('seen', r => r.seen),
        { label: 'difference', value: r => Math.abs(r.kernel - r.seen), number: true, text: r =>
            make('span', { className: differs(r) && !r.why ? 'bad' : '' }, differs(r) ? count(r.seen - r.kernel) : '0') },
        { label: 'why', value: r => differs(r) ? r.why || 'unexplained' : '' },
    ] });
}

function tops_tables(tops) {
    const columns = first => [first, number('made', t => t.made, count, 'by connect()'),
        number('got', t => t.got, count, 'by accept()')];
    return make('div', { className: 'pair' },
        make('div', {}, make('h3', { textContent: 'Remote addresses' }), sortable({ id: 'remotes', rows: tops.remotes,
            columns: columns({ label: 'address', value: t => t.at }), limit: 10 })),
        make('div', {}, make('h3', { textContent: 'Processes' }), sortable({ id: 'processes', rows: tops.processes,
            columns: columns({ label: 'process', value: process_text }), limit: 10 })));
}
