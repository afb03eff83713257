// The frame around the views: language, token, routes, and new loads as they come.
import { get, listen, setToken } from './api.js';
import { make, show } from './dom.js';
import { choose, language, LANGUAGES, preferred, t } from './text.js';
import { load } from './load.js';
import { loads } from './loads.js';
import { map } from './map.js';
import { today } from './today.js';
import { trucks } from './trucks.js';
import { upload } from './upload.js';

const VIEWS = { '': today, loads, load, trucks, map, upload };
const main = document.getElementById('main'), live = document.getElementById('live'), dialog = document.getElementById('token');
let view = {}, turn = 0, listening = null;

function say(state) {
  live.classList.toggle('on', state);
  live.textContent = t(state ? 'live' : 'not_live');
}

function label() {
  for (const each of document.querySelectorAll('[data-text]')) each.textContent = t(each.dataset.text);
  for (const each of document.querySelectorAll('[data-label]')) each.setAttribute('aria-label', t(each.dataset.label));
  const other = LANGUAGES.find((name) => name !== language());
  const button = document.getElementById('language');
  button.textContent = { en: 'English', id: 'Bahasa Indonesia' }[other];
  button.lang = other;
  say(live.classList.contains('on'));
}

async function route(focus = true) {
  const [name = '', ...rest] = location.hash.replace(/^#\/?/, '').split('/');
  const mine = ++turn;
  view.leave?.();
  view = {};
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === `#/${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const place = make('div');
  try {
    const shown = await (VIEWS[name] ?? today)(place, decodeURIComponent(rest.join('/')));
    if (mine !== turn) { shown?.leave?.(); return; }
    view = shown ?? {};
  } catch (problem) {
    if (problem.status === 401) { askToken(); return; }
    show(place, make('p', { className: 'wrong', role: 'alert' }, problem.message), make('button', { type: 'button', onclick: () => route() }, t('again')));
  }
  if (mine === turn) {
    show(main, place);
    document.title = `${place.querySelector('h1')?.textContent ?? ''} – volest`;
    if (focus) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
  }
}

function askToken() {
  if (!dialog.open) dialog.showModal();
}

async function start(focus) {
  try {
    const me = await get('/v1/me');
    document.getElementById('demo').hidden = !me.demo;
  } catch (problem) {
    if (problem.status === 401) { askToken(); return; }
  }
  attend();
  await route(focus);
}

function attend() {
  listening?.abort();
  listening = new AbortController();
  listen((told) => view.load?.(told), say, listening.signal);
}

document.getElementById('language').addEventListener('click', async () => {
  await choose(LANGUAGES.find((name) => name !== language()));
  label();
  route(false);
});

dialog.addEventListener('cancel', (event) => event.preventDefault());
dialog.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  setToken(document.getElementById('secret').value.trim());
  try {
    await get('/v1/me');
    dialog.close();
    start(true);
  } catch (problem) {
    document.getElementById('token_wrong').textContent = problem.message;
  }
});

await choose(preferred());
label();
addEventListener('hashchange', () => route());
// A page that a browser keeps for the way back must not keep its connection: there are six.
addEventListener('pagehide', () => listening?.abort());
addEventListener('pageshow', (event) => { if (event.persisted) attend(); });
start(false);
