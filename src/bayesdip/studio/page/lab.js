// The page Lab: the claims, their verdicts and figures.

import { byId, element, get, heeding } from './ask.js';

let begun = false;

function claim(one) {
  const verdict = element('span', { className: `verdict ${one.verdict.replace(' ', '-')}`, textContent: one.verdict });
  const summary = element('summary', {}, element('span', { textContent: `${one.number}. ${one.sentence}` }), verdict);
  const shown = element('details', { className: 'claim' }, summary);
  shown.dataset.verdict = one.verdict;
  shown.addEventListener('toggle', () => {
    if (!shown.open || shown.childElementCount > 1) return;
    shown.append(element('ul', {}, ...one.facts.map((text) => element('li', { textContent: text }))));
    if (!one.has_figure) return;
    const drawing = element('p', { className: 'soft', textContent: 'The figure is being drawn ...' });
    const said = (text) => () => { drawing.textContent = text; drawing.hidden = !text; };
    shown.append(drawing, element('img', {
      src: `/api/lab/${one.label}.svg`, alt: `Figure of the claim: ${one.sentence}`, onload: said(''), onerror: said('The figure could not be drawn.'),
    }));
    const row = (cells, i) => element('tr', {}, ...cells.map((text) => element(i ? 'td' : 'th', { textContent: text })));
    shown.append(element('div', { className: 'scroll' }, element('table', {}, ...one.table.map(row))));
  });
  return shown;
}

function choose(verdict) {
  for (const one of byId('claims').children) one.hidden = Boolean(verdict) && one.dataset.verdict !== verdict;
  for (const chip of byId('verdicts').children) chip.setAttribute('aria-pressed', chip.dataset.verdict === verdict);
}

export const begin = heeding(async () => {
  if (begun) return;
  begun = true;
  byId('lab-said').textContent = 'The results are being read ...';
  const claims = await get('/api/lab');
  const verdicts = [...new Set(claims.map((one) => one.verdict))];
  const count = (verdict) => claims.filter((one) => one.verdict === verdict).length;
  byId('lab-said').textContent = verdicts.length === 1 && verdicts[0] === 'not run'
    ? 'No results are kept where the program was started: bayesdip lab run all measures them.'
    : '';
  byId('claims').replaceChildren(...claims.map(claim));
  byId('verdicts').replaceChildren(...['', ...verdicts].map((verdict) => {
    const chip = element('button', { type: 'button', textContent: verdict ? `${verdict} (${count(verdict)})` : `all (${claims.length})`, onclick: () => choose(verdict) });
    chip.dataset.verdict = verdict;
    return chip;
  }));
  choose('');
});
