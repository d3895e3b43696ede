// The page Compare: all methods on the picture of the page Restore, ranked without a clean one.

import { byId, element, heeding, mine } from './ask.js';
import { asked, isReady } from './problem.js';
import { Run, isOver, sentence } from './run.js';

const run = new Run((key, found) => shown(key, found));

const start = heeding(async () => {
  byId('comparison').hidden = true;
  await run.begin(asked({ compares: true, networks: byId('networks').checked }));
});

function shown(key, found) {
  byId('run').hidden = false;
  byId('run').classList.toggle('warning', found.state === 'failed');
  const lines = found.progress?.lines ?? [];
  byId('run-said').textContent = lines.length ? `Comparing: ${lines[lines.length - 1]}` : sentence(found);
  byId('bar').hidden = isOver(found);
  byId('bar').removeAttribute('value');
  byId('stop').hidden = isOver(found) || found.stopping;
  byId('start').disabled = !isOver(found) || !isReady();
  byId('compare-lines').hidden = isOver(found) || !lines.length;
  byId('compare-lines').textContent = lines.join('\n');
  if (found.state === 'done') finished(found.result);
}

function finished(found) {
  const { sentence: said, answer, methods } = found.comparison;
  const interval = (one) => (one ? `${one.value.toPrecision(3)} (${one.low.toPrecision(3)} to ${one.high.toPrecision(3)})` : '');
  const rows = methods.map((one) => [one.name, interval(one.rmse), interval(one.behind), one.why ? '' : one.seconds.toFixed(1), one.why]);
  const heads = ['method', 'error estimated', 'dB behind', 'seconds', ''];
  const row = (tag, cells) => element('tr', {}, ...cells.map((text) => element(tag, { textContent: text })));
  byId('comparison-said').textContent = said;
  byId('comparison-answer').textContent = answer;
  byId('ranking').replaceChildren(row('th', heads), ...rows.map((cells) => row('td', cells)));
  byId('grid').src = mine(`/run/${run.key}/shown/comparison.png`);
  byId('compare-command').textContent = found.command;
  byId('comparison').hidden = false;
  byId('run-said').textContent = `Compared in ${found.comparison.seconds.toFixed(0)} s.`;
}

export const stop = () => run.stop();

export function begin() {
  byId('start').addEventListener('click', () => location.hash === '#compare' && start());
}
