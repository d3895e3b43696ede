// What is to be done: the picture, the task, the mask, and how.

import { byId, clock, element, get, heeding, image, later, mine, post, say } from './ask.js';

export const problem = { picture: '', name: '', mask: '', psf: '', invert: false, size: null };

let viewer = null;
let changed = () => {};

export const task = () => document.querySelector('input[name=task]:checked').value;

// What the server needs to know to begin.
export const asked = (more) => ({
  task: task(),
  picture: problem.picture,
  mask: task() === 'inpaint' ? problem.mask : '',
  invert_mask: problem.invert,
  psf: problem.psf,
  sigma: byId('sigma').value.trim(),
  factor: byId('factor').value,
  kind: byId('kind').value,
  method: byId('method').value,
  effort: byId('effort').value,
  samples: byId('samples').value || 0,
  ...more,
});

// A file is taken once those before it are there: a mask dropped right after its picture belongs to that picture.
let before = Promise.resolve();
const inTurn = (take) => {
  const one = heeding(take);
  return (given) => (before = before.then(() => one(given)));
};

const send = (file, role) => post(mine(`/file?role=${role}&name=${encodeURIComponent(file.name)}`), file);

async function taken(found) {
  Object.assign(problem, { picture: found.file, name: found.name, mask: '', psf: '', invert: false, size: found });
  const channels = found.channels > 1 ? `, ${found.channels} channels` : '';
  byId('picture-said').textContent = found.name;
  byId('picture-facts').textContent = [`${found.width} × ${found.height}${channels}, ${found.type}`, ...found.notes].join('; ');
  byId('sigma').value = '';
  sigmaSaid();
  viewer.mask = viewer.overlay = null;
  viewer.show({ before: await image(mine(`/file/${found.file}`)), after: null, marks: null });
  byId('empty').hidden = true;
  maskSaid({ said: [] });
  byId('psf-said').textContent = '';
  changed();
}

// What is seen of noise, and what becomes of it unless something is typed.
const LEFT = {
  denoise: 'Noise of other kinds is looked for, too; a number here is taken as it is.',
  inpaint: 'Known pixels stay as they are; with a number, or auto, they are denoised.',
  upscale: 'It is taken into account where it is clear; a number here is taken as it is.',
  deblur: 'A number here is taken as it is.',
};

function sigmaSaid() {
  const level = (problem.size?.sigma ?? []).map((value) => value.toPrecision(3)).join(', ');
  byId('sigma').placeholder = level && !level.includes(',') ? `about ${level}` : 'estimated';
  byId('sigma-said').textContent = level ? `White noise of about ${level} is seen. ${LEFT[task()]}` : '';
}

const takePicture = inTurn(async (file) => {
  byId('picture-said').textContent = `${file.name} is being read ...`;
  byId('picture-facts').textContent = '';
  try {
    await taken(await send(file, 'picture'));
  } catch (error) {
    byId('picture-said').textContent = problem.name || 'Drop a picture here, or choose one';
    throw error;
  }
});

function maskSaid(found) {
  const share = found.share === undefined ? 'White or painted is missing.' : `${(100 * found.share).toPrecision(3)}% is missing.`;
  byId('mask-said').textContent = [share, ...found.said].join(' ');
  byId('mask-doubt').hidden = !found.doubtful;
  byId('mask-download').hidden = !problem.mask;
  if (problem.mask) Object.assign(byId('mask-download'), { href: mine(`/file/${problem.mask}?as=sent`), download: '' });
}

async function lookAtMask() {
  const found = await post(mine('/mask'), { picture: problem.picture, mask: problem.mask, invert: problem.invert });
  viewer.show({ overlay: await image(`${mine(`/file/${problem.mask}`)}?${Date.now()}`) });
  maskSaid(found);
  changed();
}

const takeMask = inTurn(async (file) => {
  if (!problem.picture) throw new Error('Give a picture first: a mask belongs to one.');
  const former = problem.mask;
  problem.mask = (await send(file, 'mask')).file;
  problem.invert = false;
  viewer.mask = null;
  try {
    await lookAtMask();
  } catch (error) {
    problem.mask = former;
    throw error;
  }
});

// A painted mask is sent when the hand rests.
const sendPainted = later(inTurn(async () => {
  if (!viewer.isPainted) {
    problem.mask = '';
    maskSaid({ said: [] });
    changed();
    return;
  }
  const file = new File([await viewer.maskFile()], `${problem.name.replace(/\.[^.]*$/, '')}-mask.png`);
  problem.mask = (await send(file, 'mask')).file;
  problem.invert = false;
  maskSaid(await post(mine('/mask'), { picture: problem.picture, mask: problem.mask }));
  changed();
}), 400);

const takePsf = inTurn(async (file) => {
  const found = await send(file, 'psf');
  problem.psf = found.file;
  byId('psf-said').textContent = `${file.name}: ${found.width} × ${found.height}`;
  changed();
});

const takeExample = inTurn(async (key) => {
  const found = await post(mine(`/example/${key}`));
  document.querySelector(`input[name=task][value=${found.task}]`).checked = true;
  showTask();
  await taken(found.picture);
  for (const [name, value] of Object.entries(found.options)) byId(name).value = value;
  if (found.mask) {
    problem.mask = found.mask.file;
    await lookAtMask();
  }
  if (found.psf) {
    problem.psf = found.psf.file;
    byId('psf-said').textContent = `${found.psf.name}: ${found.psf.width} × ${found.psf.height}`;
  }
  changed();
});

function showTask() {
  for (const part of document.querySelectorAll('[data-task]')) part.hidden = part.dataset.task !== task();
  if (task() !== 'inpaint') useTool('');
  sigmaSaid();
  changed();
}

function useTool(tool) {
  viewer.tool = viewer.tool === tool ? '' : tool;
  for (const name of ['paint', 'erase']) byId(name).setAttribute('aria-pressed', viewer.tool === name);
  byId('viewer').classList.toggle('painting', Boolean(viewer.tool));
  if (viewer.tool) byId('viewer').scrollIntoView({ block: 'nearest' }); // on a phone it lies below the form
  if (viewer.tool && viewer.overlay) {
    // Strokes are added to the mask that was dropped.
    viewer.newMask();
    viewer.mask.getContext('2d').drawImage(viewer.overlay, 0, 0);
    viewer.overlay = null;
  }
  viewer.draw();
}

const options = (id, values) => byId(id).append(...values.map((value) => element('option', { value, textContent: value })));

// Which run waits for an answer: one that is older than what is chosen now is not shown.
let planned = 0;
const plan = later(async () => {
  const mine_ = ++planned;
  const said = (text) => { if (mine_ === planned) byId('plan').textContent = text; };
  if (!isReady() || byId('start').disabled) return said('');
  try {
    const found = await post(mine('/plan'), asked());
    if (!found.method) return said('');
    const lasts = found.seconds === null ? 'How long it takes is said once it runs.' : `It takes about ${clock(found.seconds)}.`;
    return said(`Start runs ${found.method}: ${found.why}. ${lasts}`);
  } catch (error) {
    return said(error.message);
  }
}, 500);

// Say what would run now.
export function plansAgain() {
  planned += 1;
  byId('plan').textContent = '';
  plan();
}

export async function prepare(its, whenChanged) {
  viewer = its;
  changed = whenChanged;
  viewer.painted = sendPainted;
  const choices = await get('/api/choices');
  options('method', choices.methods);
  options('effort', choices.efforts);
  options('kind', choices.kinds);
  byId('effort').value = 'balanced';
  for (const id of ['picture', 'mask', 'psf']) byId(id).accept = choices.endings.join(',');
  for (const [key, one] of Object.entries(choices.examples)) {
    byId('examples').append(element('button', { type: 'button', textContent: one.title, onclick: () => takeExample(key) }));
  }
  const drop = byId('drop');
  for (const name of ['dragover', 'dragenter']) addEventListener(name, (event) => { event.preventDefault(); drop.classList.add('over'); });
  for (const name of ['dragleave', 'drop']) addEventListener(name, () => drop.classList.remove('over'));
  addEventListener('drop', (event) => {
    event.preventDefault();
    const file = event.dataTransfer.files[0];
    if (file) (event.target.closest?.('[data-task=inpaint]') ? takeMask : takePicture)(file);
  });
  const choosing = { picture: takePicture, mask: takeMask, psf: takePsf };
  for (const [id, take] of Object.entries(choosing)) {
    byId(id).addEventListener('change', async (event) => {
      const file = event.target.files[0];
      if (file && file.size > choices.limits.bytes) say(`${file.name} has more than ${Math.round(choices.limits.bytes / 1e6)} MB: expected a smaller one.`);
      else if (file) await take(file);
      event.target.value = '';
    });
  }
  for (const choice of document.querySelectorAll('input[name=task]')) choice.addEventListener('change', showTask);
  byId('paint').onclick = () => useTool('paint');
  byId('erase').onclick = () => useTool('erase');
  byId('clear').onclick = () => {
    viewer.mask = viewer.overlay = null;
    problem.mask = '';
    maskSaid({ said: [] });
    viewer.draw();
    changed();
  };
  byId('brush').oninput = (event) => { byId('brush-said').value = viewer.brush = Number(event.target.value); };
  byId('invert').onclick = heeding(async () => { problem.invert = !problem.invert; await lookAtMask(); });
  for (const id of ['sigma', 'method', 'effort', 'samples', 'factor', 'kind']) byId(id).addEventListener('input', plansAgain);
  showTask();
}

// Whether there is all that a run needs.
export function isReady() {
  const { picture, mask, psf, size } = problem;
  if (!picture) return false;
  if (task() === 'inpaint') return Boolean(mask) || size.missing > 0;
  return task() !== 'deblur' || Boolean(psf);
}
