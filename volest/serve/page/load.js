// One load: its figures, 3-D, its budget and flags in plain words, its ticket.
import { ask, get } from './api.js';
import { make, show } from './dom.js';
import { flags, quantity, status } from './parts.js';
import { number, t, time, word } from './text.js';

const SOURCES = ['hidden', 'pose', 'reference', 'range', 'surface'];

export async function load(main, id) {
  const path = `/v1/loads/${encodeURIComponent(id)}`;
  const told = await get(path), { result } = told;
  const place = make('div', { className: 'view' }), heading = [t('load_of', { truck: told.truck_id }), ' ', status(result.status)];
  show(main, make('h1', {}, heading),
    result.status === 'rejected' ? make('p', { className: 'wrong' }, result.reasons.join('; ')) : make('div', { className: 'cards' },
      quantity(t('col_volume'), 'volume_m3', result.volume_m3, result.fill_ratio === null ? null : t('fill', { percent: number(100 * result.fill_ratio) })),
      quantity(t('col_mass'), 'net_mass_kg', result.net_mass_kg),
      quantity(t('density'), 'bulk_density_kg_m3', result.bulk_density_kg_m3),
      quantity(t('wet'), 'wet_mass_fraction', result.wet_mass_fraction, `${t('col_class')}: ${word('class', result.waste_class ?? 'open')}`)),
    make('div', { className: 'two' },
      make('section', { className: 'card' }, make('h2', {}, t('view_title')), place),
      make('div', {},
        make('section', { className: 'card' }, make('h2', {}, t('facts')), facts(told)),
        result.volume_budget_m3 ? make('section', { className: 'card' }, make('h2', {}, t('budget_title')), budget(result.volume_budget_m3)) : null,
        make('section', { className: 'card' }, make('h2', {}, t('flags_title')), said(result)),
        make('p', { className: 'actions' }, make('button', { type: 'button', onclick: () => ticket(path) }, t('ticket'))))));
  let view = null;
  if (told.has_scene) view = await draw(place, `${path}/scene`);
  else show(place, make('p', { className: 'quiet' }, t('no_scene')));
  return { leave: () => view?.dispose() };
}

function facts(told) {
  const row = (key, value) => [make('dt', {}, t(key)), make('dd', {}, value)];
  return make('dl', { className: 'facts' }, row('col_time', time(told.time)), row('col_truck', told.truck_id), row('col_district', told.district ?? '–'),
    row('source', told.source ? word('waste', told.source) : '–'), row('seen', told.result.seen_fraction === null ? '–' : `${number(100 * told.result.seen_fraction)} %`),
    row('number', told.load_id), row('code', told.ticket_code.replace(/(.{4})(?=.)/g, '$1-')));
}

function budget(parts) {
  const most = Math.max(...SOURCES.map((name) => parts[name]), 1e-9), worst = SOURCES.find((name) => parts[name] === most) ?? SOURCES[0];
  return make('div', {}, make('dl', { className: 'budget' }, SOURCES.flatMap((name) => [
    make('dt', {}, t(`budget_${name}`)), make('dd', {}, make('meter', { min: 0, max: most, value: parts[name], 'aria-label': t(`budget_${name}`) })),
    make('dd', {}, `± ${number(parts[name], 3)} m³`)])), make('p', { className: 'note' }, t(`mend_${worst}`)));
}

const said = (result) => (result.flags.length ? make('ul', {}, result.flags.map((name) => make('li', {}, flags([name]), ' ', t(`means_${name}`) === `means_${name}` ? '' : t(`means_${name}`))))
  : make('p', { className: 'quiet' }, t('no_flags')));

async function draw(place, path) {
  show(place, make('p', { className: 'quiet' }, t('loading')));
  const [bytes, scene] = await Promise.all([ask(path).then((answer) => answer.arrayBuffer()), import('./scene.js')]);
  return scene.open(place, scene.unpack(bytes));
}

// The ticket is asked for with the token of this tab, and shown in a window of its own.
async function ticket(path) {
  const shown = window.open('', '_blank');
  const answer = await ask(`${path}/ticket?lang=${document.documentElement.lang}`);
  shown.document.open();
  shown.document.write(await answer.text());
  shown.document.close();
}
