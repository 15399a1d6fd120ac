// SPDX-License-Identifier: BSD-2-Clause
// A picture of a page, down to the last plot: docs_report.mjs HTML PNG
import { launch, open } from '../tests/report/browser.mjs';

const [html, png] = process.argv.slice(2);
const browser = await launch();
const { page } = await open(browser, html, { colorScheme: 'light' });
const { y, height } = await page.locator('.charts').boundingBox();
await page.screenshot({ path: png, fullPage: true, clip: { x: 0, y: 0, width: 1280, height: y + height + 16 } });
await browser.close();
