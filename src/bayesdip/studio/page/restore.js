// The page Restore: start, watch, stop, and look at the result.

import { stop as stopCompare } from './compare.js';
import { byId, element, get, heeding, image, later, mine } from './ask.js';
import { plot } from './plot.js';
import { asked, isReady, plansAgain, prepare, problem } from './problem.js';
import { Run, isOver, sentence } from './run.js';
import { Viewer } from './viewer.js';

const FILM = 250; // milliseconds a sample
let pictures = 0;
let result = null;
let live = {}; // what is shown of a run that goes on, by layer
let layer = 'mean';
let film = 0;
let number = 0;
let spread = null;
let restored = '';

const address = (name) => mine(`/run/${run.key}/shown/${name}`);
const run = new Run((key, found) => shown(key, found));

function onlyMean() {
  layer = 'mean';
  for (const button of document.querySelectorAll('.layer')) {
    button.hidden = button.dataset.layer !== 'mean';
    button.setAttribute('aria-pressed', !button.hidden);
  }
}

function clear() {
  result = spread = null;
  live = {};
  pictures = 0;
  stopFilm();
  for (const id of ['viewing', 'trace-figure', 'result', 'doubt-row', 'film']) byId(id).hidden = true;
  onlyMean();
  byId('pixel').replaceChildren();
  byId('layer-said').textContent = '';
  viewer.show({ after: null, marks: null });
}

const start = heeding(async () => {
  clear();
  restored = problem.picture;
  byId('plan').textContent = '';
  byId('run').hidden = false;
  byId('run-said').textContent = 'Getting ready ...';
  byId('run').scrollIntoView({ block: 'nearest' }); // on a phone it lies below the form
  await run.begin(asked());
});

async function shown(key, found) {
  byId('run').hidden = false;
  byId('run-said').textContent = sentence(found);
  byId('run').classList.toggle('warning', found.state === 'failed');
  byId('stop').hidden = isOver(found) || found.stopping;
  byId('start').disabled = !isOver(found) || !isReady();
  bar(found);
  if (found.progress?.pictures > pictures) {
    pictures = found.progress.pictures;
    const layers = ['mean', ...found.progress.layers];
    const files = { mean: 'mean.png', std: 'std.png', sample: 'sample0.png' };
    const images = await Promise.all(layers.map((name) => image(`${address(files[name])}?${pictures}`).catch(() => null)));
    if (key === run.key && !result) {
      layers.forEach((name, i) => {
        live[name] = images[i] ?? live[name];
        document.querySelector(`[data-layer=${name}]`).hidden = !live[name];
      });
      if (live[layer]) viewer.show({ after: live[layer] });
    }
    byId('viewing').hidden = false;
  }
  if (found.progress?.trace?.length > 1) {
    byId('trace-figure').hidden = false;
    plot(byId('trace'), [{ points: found.progress.trace }], { level: 1 });
  }
  if (found.state === 'done') await finished(found.result);
}

function bar(found) {
  byId('bar').hidden = isOver(found);
  const { elapsed, remaining } = found.progress ?? {};
  if (remaining === null || remaining === undefined) byId('bar').removeAttribute('value');
  else byId('bar').value = elapsed / (elapsed + remaining || 1);
}

async function finished(found) {
  result = found;
  const [before, after] = await Promise.all([image(address('before.png')), image(`${address('mean.png')}?end`)]);
  result.layers = { mean: after };
  onlyMean();
  viewer.show({ before, after, overlay: null });
  byId('viewing').hidden = false;
  const { summary } = found;
  byId('run-said').textContent = `${summary.method}, ${summary.seconds.toFixed(1)} s, ${summary.stopped}. ${found.coverage.replaceAll('+-', '±')}`;
  byId('why').textContent = summary.why;
  byId('findings').replaceChildren(...[...summary.findings.map((one) => one.text), ...found.notes].map((text) => element('li', { textContent: text })));
  byId('get-picture').href = mine(`/run/${run.key}/picture`);
  byId('get-std').href = address('std.tif');
  byId('get-std').hidden = !found.files.std;
  byId('get-report').href = mine(`/run/${run.key}/report`);
  repeats(found);
  byId('result').hidden = false;
  if (found.uncertainty) await withUncertainty(found);
  const hasSamples = found.samples > 0;
  document.querySelector('[data-layer=sample]').hidden = byId('film').hidden = !hasSamples;
  if (hasSamples) result.samples = await Promise.all(Array.from({ length: found.samples }, (_, i) => image(address(`sample${i}.png`))));
}

function repeats(found) {
  byId('command').textContent = found.command;
  byId('python').textContent = found.python;
  const whole = 'Beside these files, the lines below give the same picture again.';
  byId('repeat-said').textContent = found.summary.stopped === 'interrupted' ? 'This run was stopped: the lines below go on to its end.' : whole;
  const given = Object.entries(found.given).map(([role, name]) =>
    element('a', { className: 'button', download: '', href: mine(`/run/${run.key}/given/${role}`), textContent: name }));
  byId('repeat-files').replaceChildren(...given);
  URL.revokeObjectURL(byId('get-python').href);
  const file = new Blob([found.python], { type: 'text/x-python' });
  Object.assign(byId('get-python'), { href: URL.createObjectURL(file), download: found.files.picture.replace(/\.[^.]*$/, '.py') });
}

async function copy({ target }) {
  const text = byId(target.dataset.of).textContent;
  await navigator.clipboard.writeText(text);
  const said = target.textContent;
  target.textContent = 'Copied';
  setTimeout(() => { target.textContent = said; }, 1500);
}

async function withUncertainty(found) {
  const [levels, coloured] = await Promise.all([image(address('spread.png')), image(address('std.png'))]);
  result.layers.std = coloured;
  document.querySelector('[data-layer=std]').hidden = false;
  byId('doubt-row').hidden = false;
  byId('doubt').value = 255;
  const canvas = Object.assign(document.createElement('canvas'), { width: levels.width, height: levels.height });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(levels, 0, 0);
  spread = context.getImageData(0, 0, levels.width, levels.height);
  mark();
}

// Pixels whose interval is wider than chosen are marked.
function mark() {
  if (!spread) return;
  const least = Number(byId('doubt').value);
  const { top, reach } = result.uncertainty;
  if (least === 255) {
    byId('doubt-said').value = 'nowhere';
    viewer.show({ marks: null });
    return;
  }
  const { width, height, data } = spread;
  const marks = new ImageData(width, height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] <= least) continue;
    count += 1;
    marks.data.set([255, 120, 0, 170], i);
  }
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  canvas.getContext('2d').putImageData(marks, 0, 0);
  byId('doubt-said').value = `${((reach * top * least) / 255).toPrecision(3)}: ${((100 * count) / (width * height)).toPrecision(2)}% of the pixels`;
  viewer.show({ marks: canvas });
}

function showLayer(name) {
  stopFilm();
  layer = name;
  for (const button of document.querySelectorAll('.layer')) button.setAttribute('aria-pressed', button.dataset.layer === name);
  if (!result) {
    if (live[name]) viewer.show({ after: live[name] });
    return;
  }
  if (name === 'sample') number = (number + 1) % result.samples.length;
  viewer.show({ after: name === 'sample' ? result.samples[number] : result.layers[name] });
  layerSaid();
}

// What the colours of the uncertainty mean, and which sample is shown.
function layerSaid() {
  const texts = {
    mean: '',
    std: result.uncertainty && `Standard deviation: black is 0, the brightest colour ${result.uncertainty.top.toPrecision(3)} or more.`,
    sample: `Sample ${number + 1} of ${result.samples?.length}: a picture that is as likely as the restored one says.`,
  };
  byId('layer-said').textContent = texts[layer];
}

function showSample() {
  number = (number + 1) % result.samples.length;
  viewer.show({ after: result.samples[number] });
  layerSaid();
}

function stopFilm() {
  clearInterval(film);
  film = 0;
  byId('film').setAttribute('aria-pressed', false);
}

function toggleFilm() {
  if (film) {
    stopFilm();
    return;
  }
  showLayer('sample');
  byId('film').setAttribute('aria-pressed', true);
  film = setInterval(showSample, FILM);
}

const numbers = (values) => values.map((value) => (value === null ? 'none' : String(value))).join(', ');

const look = later(async (row, column) => {
  if (!result && !pictures) return; // nothing has come of the run yet
  const found = await get(mine(`/run/${run.key}/pixel?row=${row}&column=${column}`)).catch(() => null);
  if (!found) return;
  if (!found.mean) return;
  const facts = [['pixel', `row ${row}, column ${column}`], ['before', numbers(found.before)], [result ? 'restored' : 'so far', numbers(found.mean)]];
  if (found.std) facts.push([result ? '± std' : '± std so far, not calibrated', numbers(found.std)]);
  if (found.low) facts.push(['90% interval', found.low.map((low, i) => `${low} to ${found.high[i]}`).join('; ')]);
  if (found.samples) facts.push(['samples', found.samples.slice(0, 8).map(numbers).join(' | ')]);
  const fact = ([name, value]) =>
    element('div', { className: name === 'samples' ? 'wide' : '' }, element('dt', { textContent: name }), element('dd', { textContent: value }));
  byId('pixel').replaceChildren(...facts.map(fact));
}, 60);

const viewer = new Viewer(byId('view'), look, () => {});

function changed() {
  const busy = run.key && !byId('stop').hidden;
  byId('start').disabled = busy || !isReady();
  plansAgain();
}

export async function begin(runs) {
  await prepare(viewer, () => {
    if (result && problem.picture !== restored) {
      clear();
      byId('run').hidden = true;
    }
    changed();
  });
  byId('start').addEventListener('click', () => location.hash !== '#compare' && start());
  byId('stop').addEventListener('click', heeding(() => (location.hash === '#compare' ? stopCompare() : run.stop())));
  byId('cut').oninput = (event) => { viewer.cut = event.target.value / 1000; viewer.draw(); };
  byId('doubt').oninput = mark;
  byId('in').onclick = () => viewer.zoomBy(1.5);
  byId('out').onclick = () => viewer.zoomBy(1 / 1.5);
  byId('fit').onclick = () => viewer.fit();
  byId('film').onclick = toggleFilm;
  for (const button of document.querySelectorAll('.copy')) {
    button.hidden = !navigator.clipboard; // a browser has none for a page that comes unencrypted from another machine
    button.onclick = heeding(copy);
  }
  for (const button of document.querySelectorAll('.layer')) button.onclick = () => showLayer(button.dataset.layer);
  if (runs.length) {
    byId('empty').hidden = true;
    run.follow(runs[runs.length - 1]);
  }
}
