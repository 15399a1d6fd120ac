// SPDX-License-Identifier: BSD-2-Clause
// Elements and numbers as text. What comes from a recording is only ever set as text.
'use strict';

const make = (tag, props = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props))
        if (value !== undefined)
            name in node ? node[name] = value : node.setAttribute(name, value);
    node.append(...children.filter(c => c !== undefined && c !== null));
    return node;
};

const count = n => n.toLocaleString('en');
const plural = (n, what) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;

/** 1234567 -> "1.23M", for axes. */
const compact = n => {
    for (const [size, unit] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']])
        if (Math.abs(n) >= size)
            return +(n / size).toPrecision(3) + unit;
    return String(+n.toPrecision(3));
};

const micros = us => us === undefined ? '' :
    us < 1e3 ? `${+us.toPrecision(3)} µs` :
    us < 1e6 ? `${+(us / 1e3).toPrecision(3)} ms` : `${+(us / 1e6).toPrecision(4)} s`;

const bytes = n => {
    for (const [size, unit] of [[2 ** 30, 'GB'], [2 ** 20, 'MB'], [1024, 'KB']])
        if (n >= size)
            return `${+(n / size).toPrecision(3)} ${unit}`;
    return `${n} B`;
};

/** "2026-11-20 16:07:00.123" of UTC milliseconds on the host's clock. */
const stamp = (ms, zone_s) => new Date(ms + zone_s * 1000).toISOString().replace('T', ' ').slice(0, 23);
const clock = (ms, zone_s) => stamp(ms, zone_s).slice(11);
const zone = zone_s => {
    if (zone_s === 0)
        return 'UTC';
    const m = Math.abs(zone_s) / 60;
    const two = n => String(Math.floor(n)).padStart(2, '0');
    return `UTC${zone_s < 0 ? '-' : '+'}${two(m / 60)}:${two(m % 60)}`;
};

const process_text = p => p.pid === undefined ? '' : `${p.comm} (${p.pid})${p.guess ? '?' : ''}`;
