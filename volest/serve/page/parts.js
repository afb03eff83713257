// What several views show: a load's row, flags in plain words, a figure with its interval.
import { make } from './dom.js';
import { amount, range, t, time, word } from './text.js';

export const figure = (title, big, small, note) => make('section', { className: 'card' },
  make('h2', {}, title), make('div', { className: 'figure' }, big), make('div', { className: 'range' }, small ?? ''), note ? make('div', { className: 'note' }, note) : null);

export function quantity(title, kind, told, note) {
  const [value, ...unit] = amount(kind, told).split(' ');
  return figure(title, [value, make('small', {}, unit.join(' '))], told ? t('interval95', { range: range(kind, told) }) : t('unknown'), note);
}

export const status = (name) => make('span', { className: `flag ${name}` }, word('status', name));
export const flags = (names) => names.map((name) => make('span', { className: 'flag degraded' }, word('flag', name)));

export function loadRow(load, isNew = false) {
  const { result } = load;
  const [volume, mass] = [result.volume_m3, result.net_mass_kg];
  return make('tr', { className: isNew ? 'new' : null, 'data-load': load.load_id },
    make('td', { className: 'tight' }, make('a', { href: `#/load/${encodeURIComponent(load.load_id)}` }, time(load.time))),
    make('td', { className: 'tight' }, load.truck_id),
    make('td', { className: 'wide' }, load.district ?? '–'),
    make('td', { className: 'n' }, amount('volume_m3', volume), make('div', { className: 'note' }, range('volume_m3', volume))),
    make('td', { className: 'n' }, amount('net_mass_kg', mass), make('div', { className: 'note wide' }, range('net_mass_kg', mass))),
    make('td', { className: 'wide' }, result.status === 'rejected' ? '–' : word('class', result.waste_class ?? 'open')),
    make('td', {}, status(result.status), make('span', { className: 'wide' }, flags(result.flags))));
}

export function loadTable(rows) {
  const head = (key, className) => make('th', { scope: 'col', className }, t(key));
  const body = make('tbody', {}, rows);
  const table = make('table', {}, make('thead', {}, make('tr', {}, head('col_time'), head('col_truck'), head('col_district', 'wide'), head('col_volume', 'n'), head('col_mass', 'n'), head('col_class', 'wide'), head('col_status'))), body);
  return { whole: make('div', { className: 'scroll', tabindex: '0', role: 'region', 'aria-label': t('nav_loads') }, table), body };
}
