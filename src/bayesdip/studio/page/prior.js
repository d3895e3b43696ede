// The page Prior: change a network, and see kernel, spectrum and draws change.

import { byId, element, heeding, later, mine, post } from './ask.js';
import { plot } from './plot.js';

// What of a network can be changed here; its text may say more.
const SETTINGS = {
  skip: { scales: [5, 0, 6], filter_size: [3, 1, 7, 2], slope: [0.2, 0, 1, 0.1], upsample: ['bilinear', 'nearest', 'transposed'] },
  decoder: { scales: [5, 0, 6], filter_size: [3, 1, 7, 2], slope: [0.2, 0, 1, 0.1], upsample: ['bilinear', 'nearest', 'transposed'] },
  shuffle: { scales: [5, 0, 6], filter_size: [3, 1, 7, 2], slope: [0.2, 0, 1, 0.1] },
};

// A network from layers begins as a small decoder.
const LAYERS = ['conv 3', 'norm', 'relu 0.2', 'up bilinear', 'conv 3', 'norm', 'relu 0.2', 'up bilinear'];
const ADDED = ['conv 3', 'norm', 'relu 0.2', 'gelu', 'erf', 'up bilinear', 'up nearest', 'up transposed', 'down stride', 'down average'];
let layers = [];

function showLayers() {
  const one = (text, i) => element('button', {
    type: 'button', textContent: `${text} \u00d7`, title: 'Take this layer out', onclick: () => changeLayers(layers.filter((_, k) => k !== i)),
  });
  const add = element('select', { onchange: (event) => changeLayers([...layers, event.target.value]) });
  add.append(element('option', { textContent: 'add a layer ...', value: '' }), ...ADDED.map((value) => element('option', { value, textContent: value })));
  add.setAttribute('aria-label', 'Add a layer');
  byId('arch-settings').replaceChildren(...layers.map(one), add);
}

function changeLayers(changed) {
  layers = changed;
  showLayers();
  byId('arch-text').value = `layers: ${layers.join(', ')}`;
  show();
}

function choose(name) {
  if (name === 'layers') {
    changeLayers([...LAYERS]);
    return;
  }
  const fields = Object.entries(SETTINGS[name]).map(([key, choice]) => {
    const isList = typeof choice[0] === 'string';
    const field = isList
      ? element('select', {}, ...choice.map((value) => element('option', { value, textContent: value })))
      : element('input', { type: 'number', value: choice[0], min: choice[1], max: choice[2], step: choice[3] ?? 1 });
    field.dataset.key = key;
    field.addEventListener('input', written);
    return element('label', {}, `${key.replace('_', ' ')} `, field);
  });
  byId('arch-settings').replaceChildren(...fields);
  written();
}

function written() {
  const words = [...byId('arch-settings').querySelectorAll('[data-key]')].map((field) => {
    const value = field.tagName === 'SELECT' ? `'${field.value}'` : field.value;
    return `${field.dataset.key}=${value}`;
  });
  byId('arch-text').value = `${byId('arch').value}(${words.join(', ')})`;
  show();
}

const show = later(heeding(async () => {
  const found = await post(mine('/prior'), {
    arch: byId('arch-text').value, width: Number(byId('width').value), seed: Number(byId('seed').value),
  });
  const line = (values) => values.map((value, lag) => [lag, value]);
  const layers = found.layers.map((one) => ({ points: line(one.kernel), pale: true }));
  plot(byId('kernel-plot'), [...layers, { points: line(found.kernel) }], { from: 0 });
  const { frequency, power } = found.spectrum;
  plot(byId('spectrum-plot'), [{ points: frequency.map((x, i) => [x, power[i]]) }], { log: true });
  for (const kind of ['network', 'process']) {
    const draws = Array.from({ length: found.draws }, (_, i) =>
      element('img', { src: `${mine(`/prior/${kind}${i}.png`)}?${Date.now()}`, width: 192, height: 192, alt: `Draw ${i + 1} of the ${kind}` }));
    byId(`${kind}-draws`).replaceChildren(...draws);
  }
}), 250);

let begun = false;

export function begin() {
  if (begun) return;
  begun = true;
  byId('arch').append(...[...Object.keys(SETTINGS), 'layers'].map((value) => element('option', { value, textContent: value === 'layers' ? 'from layers' : value })));
  byId('arch').onchange = () => choose(byId('arch').value);
  for (const id of ['arch-text', 'width', 'seed']) byId(id).addEventListener('input', show);
  byId('network').addEventListener('submit', (event) => event.preventDefault());
  choose('skip');
}
