// SPDX-License-Identifier: BSD-2-Clause
// The page of a recording in a browser: page_test.mjs TCPSAGA MAKE_RECORDING
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open } from './browser.mjs';

const [tcpsaga, make_recording] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'tcpsaga-report-'));
const recording = join(folder, 'r.tsr');
const html = join(folder, 'r.html');
const run = (...args) => execFileSync(tcpsaga, args, { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] }).toString();
const sum = list => list.reduce((a, b) => a + b, 0);
let browser;
let events;

before(async () => {
    execFileSync(make_recording, [recording, '4000', '60']);
    run('report', recording, '-o', html);
    events = run('replay', recording, '--json').trimEnd().split('\n').map(line => JSON.parse(line));
    browser = await launch();
});
after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
});

test('loads without an error and asks for nothing', async () => {
    const { page, errors, requests, url } = await open(browser, html);
    assert.deepEqual(errors, []);
    assert.deepEqual(requests, [url]);
    assert.equal(await page.title(), 'tcpsaga: <!--<script>');
    assert.equal(await page.locator('main b b, main script, article b b').count(), 0);
    await page.locator('#connections th', { hasText: 'retransmits' }).getByRole('button').click();
    assert.match(await page.locator('#connections').innerText(), /<\/script><b>"& \(303\)/);
});

/** What a plot was given: the sum of each series, by label. */
const sums = page => page.evaluate(() => Object.fromEntries(Object.entries(plots).map(([id, u]) => [id, {
    bins: u.data[0].length - 1,
    seconds: (u.data[0].at(-1) - u.data[0][0]) / (u.data[0].length - 1),
    series: Object.fromEntries(u.series.slice(1).map((s, i) =>
        [s.label, u.data[i + 1].slice(0, -1).reduce((a, b) => a + b, 0)])),
    ink: new Set(new Uint32Array(u.ctx.getImageData(0, 0, u.ctx.canvas.width, u.ctx.canvas.height).data.buffer)).size,
}])));

test('plots have what the recording has', async () => {
    const { page } = await open(browser, html);
    const plots = await sums(page);
    const of = kind => events.filter(e => e.event === kind);
    const near = (plot, label, want) => {
        assert.ok(want > 0, label);
        assert.ok(Math.abs(plots[plot].series[label] * plots[plot].seconds - want) < 1e-6 * want, `${label}: ${want}`);
    };
    assert.deepEqual(Object.keys(plots), ['rates', 'ends', 'failures', 'retransmits', 'time_wait', 'waits']);
    for (const [id, plot] of Object.entries(plots))
        assert.ok(plot.ink > 8 && plot.bins > 100, `${id}: ${plot.ink} colours, ${plot.bins} bins`);
    near('rates', 'opened', of('connect').length);
    near('rates', 'arrived', of('state').filter(e => e.new === 'SYN_RECV').length);
    near('rates', 'accepted', of('accept').length);
    near('rates', 'closed', of('close').length);
    near('ends', 'fin', of('close').filter(e => e.end === 'fin').length);
    near('ends', 'refused', of('close').length); // upon the others
    near('failures', 'accept queue full', sum(of('overflow').map(e => e.n)));
    near('failures', 'connect() failed', 30);
    near('retransmits', 'SYN', 30);
    assert.equal(plots.waits.series.accepts, of('accept').length);
    const left = sum(of('state').map(e => (e.new === 'TIME_WAIT') - (e.old === 'TIME_WAIT')));
    assert.equal(await page.evaluate(() => hosts[0].time.time_wait.at(-1)), left);
});

test('the legend tells what is under the cursor', async () => {
    const { page } = await open(browser, html);
    const bin = await page.evaluate(() => {
        const { top } = plots.rates.over.getBoundingClientRect();
        scrollTo(0, top - 100);
        return Math.floor(hosts[0].time.n / 2);
    });
    const over = page.locator('#plot-rates .u-over');
    const box = await over.boundingBox();
    const x = await page.evaluate(i => plots.rates.valToPos(plots.rates.data[0][i], 'x'), bin);
    await page.mouse.move(box.x + x, box.y + 50);
    const want = await page.evaluate(i => compact(hosts[0].time.series.closed[i] * 1000 / hosts[0].time.width_ms), bin);
    await page.waitForFunction(text => document.querySelector('#plot-rates .u-series:last-child .u-value').textContent === text,
        want, { polling: 50 });
    assert.notEqual(await page.locator('#plot-waits .u-series .u-value').first().innerText(), ''); // they move together
});

test('a header sorts its column, and back', async () => {
    const { page } = await open(browser, html);
    const head = page.locator('#connections th', { hasText: 'lasted' });
    const column = async () => {
        const index = await head.evaluate(th => th.cellIndex);
        const texts = await page.locator(`#connections td:nth-child(${index + 1})`).allInnerTexts();
        const unit = { 'µs': 1, ms: 1e3, s: 1e6 };
        return texts.map(t => parseFloat(t) * unit[t.split(' ')[1]]);
    };
    await head.getByRole('button').click();
    assert.equal(await head.getAttribute('aria-sort'), 'descending');
    const down = await column();
    assert.deepEqual(down, [...down].sort((a, b) => b - a));
    await head.getByRole('button').click();
    assert.equal(await head.getAttribute('aria-sort'), 'ascending');
    const up = await column();
    assert.deepEqual(up, [...up].sort((a, b) => a - b));
    assert.ok(up[0] < down[0]);
    const all = page.getByRole('button', { name: /show all/ });
    await all.click();
    assert.equal((await column()).length, await page.evaluate(() => hosts[0].connections.length));
});

for (const [scheme, dark] of [['light', false], ['dark', true]])
    test(`${scheme} as the system is, and the other by the button`, async () => {
        const { page, errors } = await open(browser, html, { colorScheme: scheme });
        const is_dark = () => page.evaluate(() => {
            const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
            return r + g + b < 384;
        });
        const line = () => page.evaluate(() => plots.rates.series[1].stroke());
        const before = await line();
        assert.equal(await is_dark(), dark);
        await page.locator('#theme').click();
        assert.equal(await is_dark(), !dark);
        assert.notEqual(await line(), before);
        assert.deepEqual(errors, []);
    });

test('390 pixels are wide enough', async () => {
    const { page } = await open(browser, html, { viewport: { width: 390, height: 844 } });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    assert.ok(await page.evaluate(() => plots.rates.width < 390 && plots.rates.width > 300));
});

test('two hosts are two tabs', async () => {
    const two = join(folder, 'two.html');
    run('report', recording, recording, '-o', two);
    const { page, errors } = await open(browser, two);
    await page.getByRole('tab').nth(1).click();
    assert.equal(await page.getByRole('tab').nth(1).getAttribute('aria-selected'), 'true');
    assert.equal(await page.locator('.uplot').count(), 6);
    assert.deepEqual(errors, []);
});

test('many connections are no large file', async () => {
    const [large, page] = [join(folder, 'large.tsr'), join(folder, 'large.html')];
    execFileSync(make_recording, [large, '300000', '3600']);
    run('report', large, '-o', page);
    const { size } = statSync(page);
    console.log(`${size} bytes`);
    assert.ok(size < 5e6, `${size} bytes`);
    const { errors } = await open(browser, page);
    assert.deepEqual(errors, []);
});
