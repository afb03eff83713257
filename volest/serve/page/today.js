// The first view: today's figures, its hours, the latest loads, wet and dry from day to day.
import { get } from './api.js';
import { hours, trend } from './charts.js';
import { make, show } from './dom.js';
import { figure, flags, loadRow, loadTable, quantity } from './parts.js';
import { number, t } from './text.js';

const LATEST = 12, DAYS = 14;

export async function today(main) {
  const since = new Date(Date.now() - DAYS * 86400e3).toISOString().slice(0, 10);
  const [told, loads, days] = await Promise.all([get('/v1/today'), get(`/v1/loads?limit=${LATEST}`), get(`/v1/summaries?by=day&since=${since}T00:00:00Z`)]);
  const cards = make('div', { className: 'cards' }), bars = make('div', {}), latest = loadTable(loads.items.map((load) => loadRow(load)));
  const draw = (now) => {
    show(cards,
      figure(t('loads_today'), number(now.loads), t('from_trucks', { n: number(now.trucks) }), now.rejected ? t('rejected_n', { n: number(now.rejected) }) : null),
      quantity(t('volume_today'), 'volume_m3', now.volume_m3),
      quantity(t('mass_today'), 'tonnes', now.net_mass_kg),
      quantity(t('wet_today'), 'wet_mass_fraction', now.wet_mass_fraction));
    show(bars, hours(now.hours), make('p', {}, Object.entries(now.flags).flatMap(([name, n]) => [...flags([name]), `${number(n)}  `])));
  };
  draw(told);
  const rows = days.items.filter((row) => row.key);
  show(main, make('h1', {}, t('nav_today')), cards,
    make('div', { className: 'two' },
      make('section', { className: 'card' }, make('h2', {}, t('latest')), latest.whole, make('p', {}, make('a', { href: '#/loads' }, t('all_loads')))),
      make('div', {},
        make('section', { className: 'card' }, make('h2', {}, t('hours_title')), bars),
        make('section', { className: 'card' }, make('h2', {}, t('trend_wet')),
          trend(rows.map((row) => ({ key: row.key, quantity: row.wet_mass_fraction })), t('trend_wet'), { times: 100, top: 100, colour: '#1c5f8f', marks: [{ at: 0.6, text: t('class_wet') }, { at: 0.4, text: t('class_dry') }] })),
        make('section', { className: 'card' }, make('h2', {}, t('trend_volume')),
          trend(rows.map((row) => ({ key: row.key, quantity: row.volume_m3 })), t('trend_volume'))))));
  let due = null;
  return {
    load(load) {
      latest.body.querySelector(`[data-load="${CSS.escape(load.load_id)}"]`)?.remove();
      latest.body.prepend(loadRow(load, true));
      while (latest.body.children.length > LATEST) latest.body.lastChild.remove();
      due ??= setTimeout(async () => { due = null; try { draw(await get('/v1/today')); } catch { /* the next load asks again */ } }, 1000);
    },
    leave() { clearTimeout(due); },
  };
}
