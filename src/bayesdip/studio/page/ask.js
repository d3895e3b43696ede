// Asking the server, and telling the visitor what it refused.

const message = document.getElementById('message');
let visit = '';

export const byId = (id) => document.getElementById(id);

export function say(text) {
  message.textContent = text;
  message.hidden = !text;
}

async function answered(response) {
  const found = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(found.error || `The server answered ${response.status}.`);
  return found;
}

export async function get(path) {
  return answered(await fetch(path));
}

export async function post(path, body) {
  const isFile = body instanceof Blob;
  return answered(await fetch(path, { method: 'POST', body: isFile ? body : JSON.stringify(body ?? {}) }));
}

// The address of something that belongs to this tab.
export const mine = (rest) => `/api/visit/${visit}${rest}`;

// Begin a visit, or go on with that of the address: a page that is loaded again finds its runs.
export async function arrive() {
  const kept = new URLSearchParams(location.search).get('visit');
  if (kept) {
    visit = kept;
    try {
      return (await post(mine('/stay'), { detached: detached() })).runs;
    } catch {
      visit = '';
    }
  }
  visit = (await post('/api/visit')).visit;
  const address = new URL(location);
  address.searchParams.set('visit', visit);
  history.replaceState(null, '', address);
  return [];
}

const detached = () => byId('detached').checked;

export function keepInTouch() {
  const stay = () => post(mine('/stay'), { detached: detached() }).catch((error) => say(error.message));
  setInterval(stay, 60_000);
  byId('detached').addEventListener('change', stay);
  addEventListener('pagehide', () => navigator.sendBeacon(mine('/close')));
  addEventListener('pageshow', (event) => event.persisted && stay());
}

// Run something that may be refused, and say so.
export const heeding = (work) => async (...given) => {
  try {
    say('');
    return await work(...given);
  } catch (error) {
    say(error.message);
    return undefined;
  }
};

export function clock(seconds) {
  if (seconds === null || seconds === undefined) return '';
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function image(address) {
  return new Promise((resolve, reject) => {
    const found = new Image();
    found.onload = () => resolve(found);
    found.onerror = () => reject(new Error('A picture could not be loaded.'));
    found.src = address;
  });
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export const later = (work, milliseconds) => {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
};
