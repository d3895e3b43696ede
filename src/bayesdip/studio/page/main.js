// Which page is shown, and the visit.

import { arrive, byId, heeding, keepInTouch } from './ask.js';
import { begin as beginCompare } from './compare.js';
import { begin as beginLab } from './lab.js';
import { begin as beginPrior } from './prior.js';
import { begin as beginRestore } from './restore.js';

const PAGES = ['restore', 'compare', 'prior', 'lab'];

function show() {
  const wanted = location.hash.slice(1);
  const page = PAGES.includes(wanted) ? wanted : 'restore';
  document.body.dataset.page = page;
  for (const part of document.querySelectorAll('[data-pages]')) part.hidden = !part.dataset.pages.split(' ').includes(page);
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#${page}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  byId('start').textContent = page === 'compare' ? 'Compare' : 'Start';
  if (page === 'prior') beginPrior();
  if (page === 'lab') beginLab();
}

heeding(async () => {
  const runs = await arrive();
  keepInTouch();
  await beginRestore(runs);
  beginCompare();
  addEventListener('hashchange', show);
  show();
})();
