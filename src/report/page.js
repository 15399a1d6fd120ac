// SPDX-License-Identifier: BSD-2-Clause
// Puts one host's recording on the page.
'use strict';

const hosts = JSON.parse(document.getElementById('data').textContent);
let plots = {};
let shown = 0;

const section = (title, ...children) => make('section', {}, make('h2', { textContent: title }), ...children);

function tiles(host) {
    const t = host.totals;
    const tile = (value, label, bad) => make('div', { className: bad ? 'tile bad' : 'tile' },
        make('strong', { textContent: value }), make('span', { textContent: label }));
    const failure = (n, label) => n ? tile(count(n), label, true) : undefined;
    const peak = Math.max(0, ...host.time.time_wait);
    return make('div', { className: 'tiles', id: 'totals' },
        tile(count(t.opened), 'opened'), tile(count(t.arrived), 'arrived'), tile(count(t.accepted), 'accepted'),
        tile(count(t.closed), 'closed'), tile(count(t.alive), 'still there'),
        host.wait_us.n ? tile(micros(host.wait_us.p99), 'accept wait p99') : undefined,
        tile(count(peak), 'most in TIME_WAIT'),
        failure(t.connect_errors, 'connects failed'), failure(t.overflows, 'met a full queue'),
        failure(t.accept_errors, 'accept() failed'), failure(t.retransmits, 'retransmits'),
        failure(t.drops, 'packets dropped'), failure(t.lost, 'events lost'));
}

function remedy(r) {
    const now = r.setting && r.now ? `${r.setting} is ${r.now} now; ` : '';
    return make('li', {}, now + (r.meaning ?? ''), r.command ? make('code', { textContent: r.command }) : undefined);
}

function example(e, host) {
    const at = (addr, port) => `${addr.includes(':') ? `[${addr}]` : addr}:${port ?? '*'}`;
    return make('li', { textContent: `${clock(Date.parse(e.ts), host.zone_s)}  ${at(e.laddr, e.lport)} ` +
        `${e.role === 'server' ? '←' : '→'} ${at(e.raddr, e.rport)}  ${process_text(e)}` });
}

function finding(f, host, index) {
    const time = ts => clock(Date.parse(ts), host.zone_s);
    const when = f.last ? (f.first && f.first !== f.last ? `${time(f.first)} to ${time(f.last)}` : time(f.last)) : '';
    const cause = host.findings.findIndex(other => other.finding === f.because);
    const folded = (title, node) => make('details', {}, make('summary', { textContent: title }), node);
    const list = (name, items) => items?.length ? make('ul', { className: name }, ...items) : undefined;
    return make('article', { className: `finding ${f.because ? 'minor' : f.harm}` },
        make('h3', {}, make('span', { className: 'rank', textContent: `${index + 1}` }), ' ', f.what),
        make('p', {}, f.cause, ' ', make('span', { className: 'badge', textContent: f.sure })),
        f.because ? make('p', { className: 'dim', textContent:
            `follows from ${cause < 0 ? f.because : `finding ${cause + 1}`}: mend that first` }) : undefined,
        make('p', { className: 'dim', textContent: [when, process_text(f)].filter(Boolean).join(' · ') }),
        list('counts', Object.entries(f.counts ?? {}).map(([name, n]) =>
            make('li', {}, make('b', { textContent: /_us(_|$)/.test(name) ? micros(n) : count(n) }), ' ',
                name.replace(/_us(?=_|$)/, '').replaceAll('_', ' ')))),
        f.because && f.remedies ? folded('remedies of its own', list('remedies', f.remedies.map(remedy))) :
            list('remedies', f.remedies?.map(remedy)),
        f.examples ? folded(plural(f.examples.length, 'example'), list('examples', f.examples.map(e => example(e, host)))) :
            undefined);
}

function findings(host) {
    const { found } = host;
    const rest = found - host.findings.length;
    return make('section', { id: 'findings' },
        make('h2', { textContent: found ? plural(found, 'finding') : 'Nothing found' }),
        ...host.findings.map((f, i) => finding(f, host, i)),
        rest > 0 ? make('p', { textContent: `and ${rest} more` }) : undefined);
}

function warnings(host) {
    const lines = [
        ...host.damage.map(d => `The recording is damaged: ${d}`),
        host.totals.lost ? `${plural(host.totals.lost, 'event')} lost: counts are too low` : '',
        host.unseen.length ? `Not seen on this kernel: ${host.unseen.join(', ')}` : '',
    ].filter(Boolean);
    return lines.length ? make('ul', { className: 'warnings' }, ...lines.map(l => make('li', { textContent: l }))) : undefined;
}

function audit(host) {
    const rows = host.audit;
    if (!rows.length)
        return section('Audit', make('p', { textContent: 'The recording holds no counters of the kernel.' }));
    const agree = rows.filter(r => r.kernel === r.seen).length;
    return section('Audit', make('p', { textContent:
        `${agree} of ${plural(rows.length, 'counter')} agree with the kernel's. ${plural(host.totals.events, 'event')}, ` +
        `${count(host.totals.lost)} lost.` }), audit_table(rows));
}

function draw_plots(host) {
    Object.values(plots).forEach(p => p.destroy());
    plots = {};
    for (const plot of plots_of(host))
        plots[plot.id] = plot.draw(document.getElementById(`plot-${plot.id}`));
}

const resize = new ResizeObserver(entries => entries.forEach(({ target }) => {
    const plot = plots[target.id.replace('plot-', '')];
    if (plot && target.clientWidth && plot.width !== target.clientWidth)
        plot.setSize({ width: target.clientWidth, height: 220 });
}));

function show(index) {
    shown = index;
    const host = hosts[index];
    const { begin_ms, end_ms, zone_s } = host;
    document.title = `tcpsaga: ${host.host}`;
    document.getElementById('origin').replaceChildren(
        make('b', { textContent: host.host }),
        ` ${stamp(begin_ms, zone_s).slice(0, 19)} to ${stamp(end_ms, zone_s).slice(begin_ms - end_ms < -43200000 ? 0 : 11, 19)} ` +
        `${zone(zone_s)}, ${+((end_ms - begin_ms) / 1000).toFixed(1)} s · Linux ${host.kernel} ${host.machine} · ${host.hooks} · ${host.file}`);
    const charts = plots_of(host).map(plot => {
        const node = make('div', { id: `plot-${plot.id}`, className: 'plot' });
        return make('figure', {}, make('figcaption', {}, make('h3', { textContent: plot.title }),
            plot.note ? make('span', { className: 'dim', textContent: plot.note }) : undefined), node);
    });
    resize.disconnect();
    document.getElementById('main').replaceChildren(
        ...[warnings(host), findings(host), section('Totals', tiles(host)),
            make('section', {}, make('h2', { textContent: 'Over time' }), make('div', { className: 'charts' }, ...charts)),
            host.listeners.length ? section('Listeners', listener_table(host)) : undefined,
            host.connections.length ? section('Worst connections', make('p', { className: 'dim', textContent:
                'The longest waits for accept(), slowest handshakes, most retransmits, and those that did not end by FIN.' }),
                connection_table(host)) : undefined,
            host.tops.remotes.length ? section('Most connections', tops_tables(host.tops)) : undefined,
            audit(host)].filter(Boolean));
    document.querySelectorAll('.plot').forEach(node => resize.observe(node));
    draw_plots(host);
    document.querySelectorAll('#hosts button').forEach((b, i) => b.setAttribute('aria-selected', i === index));
}

function set_theme(theme) {
    document.documentElement.dataset.theme = theme;
    draw_plots(hosts[shown]); // canvases do not follow the style sheet
}

const dark = matchMedia('(prefers-color-scheme: dark)');
document.documentElement.dataset.theme = dark.matches ? 'dark' : 'light';
dark.addEventListener('change', () => set_theme(dark.matches ? 'dark' : 'light'));
document.getElementById('theme').addEventListener('click', () =>
    set_theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'));
if (hosts.length > 1) {
    const tabs = document.getElementById('hosts');
    tabs.hidden = false;
    tabs.append(...hosts.map((host, i) => {
        const tab = make('button', { type: 'button', role: 'tab', textContent: host.host });
        tab.addEventListener('click', () => show(i));
        return tab;
    }));
}
show(0);
