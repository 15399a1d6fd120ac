// SPDX-License-Identifier: BSD-2-Clause
// The page's parts as one template in a C++ source: join.mjs UPLOT-FOLDER OUTPUT
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const [uplot, output] = process.argv.slice(2);
const ours = name => readFileSync(join(here, name), 'utf8');
const theirs = name => readFileSync(join(uplot, name), 'utf8');

const style = theirs('dist/uPlot.min.css') + ours('page.css');
const library = theirs('dist/uPlot.iife.min.js');
const script = ['format.js', 'tables.js', 'plots.js', 'page.js'].map(ours).join('\n');
for (const text of [style, library, script])
    if (/<\/(script|style)|<!--/i.test(text))
        throw new Error('a part would end its own element');

const hash = text => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const escape = text => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
const parts = {
    CSP: `default-src 'none'; style-src ${hash(style)}; script-src ${hash(library)} ${hash(script)}`,
    STYLE: style,
    UPLOT_VERSION: JSON.parse(theirs('package.json')).version,
    UPLOT_LICENCE: escape(theirs('LICENSE').trim()),
    UPLOT: library,
    SCRIPT: script,
};
const page = ours('page.html').replace(/@([A-Z_]+)@/g, (all, name) => parts[name] ?? all);
const [head, tail, more] = page.split('@DATA@');
if (tail === undefined || more !== undefined)
    throw new Error('page.html must have one @DATA@');

// String literals of a size that every compiler takes; they join.
const literal = text => text.match(/[^]{1,8000}/gu)
    .map(piece => `R"~page~(${piece})~page~"`).join('\n    ');
writeFileSync(output, `// made by join.mjs
#include "report/page.h"

const tcpsaga::PageTemplate tcpsaga::page_template{
    ${literal(head)},
    ${literal(tail)}};
`);
