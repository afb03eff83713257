// The service: requests with the token of this tab, problems as errors, and new loads as they come.

export class Problem extends Error {
  constructor(status, told) {
    super(told.detail ?? told.title ?? `HTTP ${status}`);
    this.status = status;
    this.retry = told.retry;
  }
}

const KEY = 'volest-token';
export const setToken = (secret) => sessionStorage.setItem(KEY, secret);

function headers(more = {}) {
  const secret = sessionStorage.getItem(KEY);
  return secret ? { ...more, Authorization: `Bearer ${secret}` } : more;
}

async function checked(answer) {
  if (answer.ok) return answer;
  let told = {};
  try { told = await answer.json(); } catch { /* what stands before the service may answer otherwise */ }
  throw new Problem(answer.status, { ...told, retry: answer.headers.get('Retry-After') });
}

export async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(options.headers), cache: 'no-store' });
  return checked(answer);
}

export const get = async (path) => (await ask(path)).json();

// Calls `told(load)` for each new load and `state(isLive)`, until `signal` aborts; goes on from the last after a break.
export async function listen(told, state, signal) {
  let last = '';
  for (let wait = 1; !signal.aborted; wait = Math.min(2 * wait, 30)) {
    try {
      const answer = await ask('/v1/stream', { signal, headers: last ? { 'Last-Event-ID': last } : {} });
      state(true);
      wait = 1;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = '', part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (rest + part.value).split('\n\n');
        rest = events.pop();
        for (const event of events) {
          const field = (name) => event.split('\n').find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
          last = field('id') ?? last;
          if (field('event') === 'load') told(JSON.parse(field('data')));
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) { state(false); return; }
    }
    state(false);
    await new Promise((done) => setTimeout(done, 1000 * wait));
  }
}
