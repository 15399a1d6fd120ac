// SPDX-License-Identifier: BSD-2-Clause
// A picture of a page: docs_report.mjs HTML PNG WIDTH HEIGHT light|dark; HEIGHT 0: all of it
import { launch, open } from '../tests/report/browser.mjs';

const [html, png, width, height, colorScheme] = process.argv.slice(2);
const browser = await launch();
const { page } = await open(browser, html, { viewport: { width: +width, height: +height || 900 }, colorScheme });
await page.screenshot({ path: png, fullPage: height === '0' });
await browser.close();
