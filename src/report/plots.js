// SPDX-License-Identifier: BSD-2-Clause
// What happened over time. Bins of the recording are drawn as steps, scaled to a second.
'use strict';

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Seconds on the host's clock at which bins begin, and where the last one ends. */
const edges = (time, zone_s) =>
    Array.from({ length: time.n + 1 }, (_, i) => (time.first_ms + i * time.width_ms) / 1000 + zone_s);
const series_of = (time, name) => time.series[name] ?? new Array(time.n).fill(0);
const per_second = (time, values) => values.map(v => v * 1000 / time.width_ms);
/** A step ends at the next point: one more for the last. */
const closed = values => [...values, values.at(-1)];

function time_labels(_, splits, __, ___, step) {
    const [from, to] = step >= 86400 ? [5, 10] : step >= 60 ? [11, 16] : step >= 1 ? [11, 19] : [11, step >= 0.1 ? 21 : 23];
    return splits.map(s => stamp(Math.round(s * 1000), 0).slice(from, to));
}

function frame(node, axes, more) {
    const line = { stroke: colour('dim'), grid: { stroke: colour('grid'), width: 1 }, ticks: { show: false },
        font: '12px system-ui, sans-serif' };
    return {
        width: node.clientWidth,
        height: 220,
        tzDate: s => uPlot.tzDate(new Date(s * 1000), 'Etc/UTC'),
        padding: [8, 8, 0, 0],
        cursor: { sync: { key: 'time', setSeries: false }, points: { size: 6 } },
        axes: [{ ...line, values: time_labels, space: 90, size: 36 }, { ...line, size: 54, ...axes }],
        ...more,
    };
}

const clock_value = (_, s) => s == null ? '' : stamp(Math.round(s * 1000), 0).slice(11);

/** lines: {label, colour, values}. Stacked ones lie upon each other, the first at the bottom. */
function line_plot(node, host, { lines, stacked, rate = true, fill }) {
    const { time } = host;
    const values = lines.map(l => rate ? per_second(time, l.values) : l.values);
    const heights = values.map(v => [...v]);
    if (stacked)
        for (let s = 1; s < heights.length; s++)
            heights[s] = heights[s].map((h, i) => h + heights[s - 1][i]);
    const stepped = uPlot.paths.stepped({ align: 1 });
    const series = lines.map((l, s) => ({
        label: l.label,
        stroke: colour(l.colour),
        width: stacked ? 0 : 1.5,
        fill: stacked ? colour(l.colour) : fill ? colour(l.colour) + '33' : undefined,
        paths: stepped,
        points: { show: false },
        value: (_, v, __, i) => v == null || i == null ? '' : compact(closed(values[s])[i]),
    }));
    const order = lines.map((_, s) => s);
    if (stacked)
        order.reverse(); // the lower ones are drawn over the higher
    const opts = frame(node, { values: (_, splits) => splits.map(compact) }, {
        scales: { x: { time: true }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] } },
        series: [{ label: 'time', value: clock_value }, ...order.map(s => series[s])],
    });
    return new uPlot(opts, [edges(time, host.zone_s), ...order.map(s => closed(heights[s]))], node);
}

/** By column of the heat map: how many, and the rows in which the percentiles are. */
function columns_of(time) {
    const columns = Array.from({ length: time.n }, () => ({ n: 0, cells: [] }));
    for (let i = 0; i < time.waits.length; i += 3) {
        const [bin, row, n] = time.waits.slice(i, i + 3);
        columns[bin].cells.push([row, n]); // rows ascend
        columns[bin].n += n;
    }
    return columns;
}

function row_at(column, percent) {
    let left = Math.ceil(column.n * percent / 100);
    for (const [row, n] of column.cells)
        if ((left -= n) <= 0)
            return row + 0.5;
    return null;
}

const row_micros = row => 2 ** (row / 2);

/** Time by length of the wait, darker where there are more; rows are half powers of two. */
function heat_plot(node, host) {
    const { time } = host;
    const columns = columns_of(time);
    const rows = columns.flatMap(c => c.cells.map(([row]) => row));
    const largest = list => list.reduce((a, b) => Math.max(a, b));
    const [low, high] = [-largest(rows.map(r => -r)), largest(rows) + 1];
    const most = largest(columns.flatMap(c => c.cells.map(([, n]) => n)));
    const shade = colour('c1');
    const line = (label, name) => ({ label, stroke: colour(name), width: 1.5,
        paths: uPlot.paths.stepped({ align: 1 }), points: { show: false },
        value: (_, row) => row == null ? '' : `≈ ${micros(row_micros(row))}` });
    const opts = frame(node, {
        splits: (_, __, from, to) => [0, 1, 2, 3, 4, 5, 6, 7, 8].map(d => 2 * Math.log2(10 ** d)).filter(r => r >= from && r <= to),
        values: (_, splits) => splits.map(r => micros(Math.round(row_micros(r)))),
        size: 62,
    }, {
        scales: { x: { time: true }, y: { range: () => [Math.max(0, low - 1), high + 1] }, n: {} },
        series: [{ label: 'time', value: clock_value },
            { label: 'accepts', scale: 'n', paths: () => null, points: { show: false },
                stroke: shade, value: (_, n) => n == null ? '' : count(n) },
            line('p50', 'c3'), line('p99', 'c4')],
        hooks: { drawAxes: [u => draw_cells(u, columns, time, host.zone_s, most, shade)] },
    });
    return new uPlot(opts, [edges(time, host.zone_s), closed(columns.map(c => c.n)),
        closed(columns.map(c => row_at(c, 50))), closed(columns.map(c => row_at(c, 99)))], node);
}

function draw_cells(u, columns, time, zone_s, most, shade) {
    const { ctx } = u;
    const xs = edges(time, zone_s).map(x => u.valToPos(x, 'x', true));
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.fillStyle = shade;
    columns.forEach(({ cells }, i) => cells.forEach(([row, n]) => {
        ctx.globalAlpha = 0.18 + 0.82 * Math.log1p(n) / Math.log1p(most);
        const top = u.valToPos(row + 1, 'y', true);
        ctx.fillRect(xs[i], top, Math.max(xs[i + 1] - xs[i], 1), u.valToPos(row, 'y', true) - top);
    }));
    ctx.restore();
}

const end_colours = { fin: 'c7', rst_sent: 'c3', rst_received: 'c6', timeout: 'c5', refused: 'c4', unreachable: 'c9',
    aborted: 'c8', process_exit: 'c2', never_accepted: 'c1' };

/** What there is to plot: {id, title, note, draw(node)}. A plot without events is left out. */
function plots_of(host) {
    const { time } = host;
    const pick = list => list.filter(([name]) => time.series[name])
        .map(([name, label, c]) => ({ label, colour: c, values: series_of(time, name) }));
    const lines = (id, title, list, more = {}) => {
        const picked = pick(list);
        return picked.length && { id, title, draw: node => line_plot(node, host, { lines: picked, ...more }), ...more };
    };
    return [
        lines('rates', 'Connections per second', [['opened', 'opened', 'c1'], ['arrived', 'arrived', 'c3'],
            ['accepted', 'accepted', 'c2'], ['closed', 'closed', 'c7']]),
        lines('ends', 'Endings per second', Object.entries(end_colours).map(([end, c]) =>
            [`end_${end}`, end.replace('_', ' '), c]), { stacked: true }),
        lines('failures', 'Overflows and failures per second', [['accept_queue', 'accept queue full', 'c4'],
            ['syn_queue', 'SYN queue full', 'c3'], ['accept_error', 'accept() failed', 'c5'],
            ['connect_error', 'connect() failed', 'c6']]),
        lines('retransmits', 'Retransmitted segments per second', [['re_syn', 'SYN', 'c4'], ['re_synack', 'SYN-ACK', 'c3'],
            ['re_data', 'data', 'c1'], ['re_fin', 'FIN', 'c7']], { stacked: true }),
        time.time_wait.some(n => n) && { id: 'time_wait', title: 'In TIME_WAIT',
            note: host.time_wait_ends_seen ? undefined : 'no hook told of their ends: taken for 60 s each',
            draw: node => line_plot(node, host, { rate: false, fill: true,
                lines: [{ label: 'TIME_WAIT', colour: 'c5', values: time.time_wait }] }) },
        time.waits.length && { id: 'waits', title: 'Wait for accept()',
            note: 'darker: more connections; lines: p50 and p99 of each column', draw: node => heat_plot(node, host) },
    ].filter(Boolean);
}
