// A run of this visitor, from its start to its end: asked about twice a second.

import { clock, get, mine, post } from './ask.js';

const EVERY = 400;

export class Run {
  // `shown(key, state)` is called with every answer, and once more when the run is over.
  constructor(shown) {
    this.shown = shown;
    this.key = '';
  }

  async begin(asked) {
    const { run } = await post(mine('/run'), asked);
    this.follow(run);
    return run;
  }

  follow(key) {
    this.key = key;
    this.look(key);
  }

  async look(key) {
    let found;
    try {
      found = await get(mine(`/run/${key}`));
    } catch (error) {
      found = { state: 'failed', failed: { text: error.message } };
    }
    if (key !== this.key) return;
    await this.shown(key, found);
    if (found.state === 'waiting' || found.state === 'running') setTimeout(() => this.look(key), EVERY);
  }

  stop() {
    return post(mine(`/run/${this.key}/stop`));
  }
}

export const isOver = (found) => found.state === 'done' || found.state === 'failed';

export function sentence(found) {
  if (found.state === 'waiting') return found.place === 1 ? 'Waiting: one run goes first.' : `Waiting: ${found.place} runs go first.`;
  if (found.state === 'failed') return found.failed.text;
  if (found.stopping && !isOver(found)) return 'Stopping; the best so far is being written ...';
  if (found.state === 'done') return '';
  const { phase, step, steps, elapsed, remaining, estimate, method } = found.progress;
  if (!phase) return 'Getting ready ...';
  const parts = [method ? `${method}: ${phase}` : phase];
  if (steps) parts.push(`${step} of ${steps}`);
  if (estimate) parts.push(`about ${clock(estimate.seconds)} in all, at most ${Math.round(estimate.memory / 2 ** 20)} MiB`);
  if (elapsed) parts.push(`${clock(elapsed)} so far`);
  if (remaining !== null && remaining !== undefined) parts.push(`${clock(remaining)} left`);
  return `${parts.join(', ')}.`;
}
