// The health of each truck: drift, window, age of the empty bed's scan.
import { get } from './api.js';
import { make, show } from './dom.js';
import { flags } from './parts.js';
import { number, t, time } from './text.js';

const OLD_DAYS = 180;

export async function trucks(main) {
  const { items } = await get('/v1/trucks');
  show(main, make('h1', {}, t('nav_trucks')), items.length ? make('div', { className: 'cards' }, items.map(card)) : make('p', { className: 'quiet' }, t('no_trucks')));
  return {};
}

function card(truck) {
  const row = (key, value) => [make('dt', {}, t(key)), make('dd', {}, value)];
  const [length, width, height] = truck.bed_m ?? [];
  const warn = (is, text) => make('span', { className: is ? 'degraded' : 'ok' }, text);
  const age = truck.reference_age_days;
  return make('section', { className: 'card' }, make('h2', {}, truck.truck_id),
    make('dl', { className: 'facts' },
      row('bed', length === undefined ? '–' : `${number(length, 1)} × ${number(width, 1)} × ${number(height, 1)} m, ${number(truck.struck_capacity_m3, 1)} m³`),
      row('sensors', (truck.sensors ?? []).join(', ') || '–'),
      row('commissioned', truck.commissioned ? t('yes') : t('no')),
      row('reference_age', age === null ? '–' : warn(age > OLD_DAYS, t('days', { n: number(age) }))),
      row('tare', truck.tare_kg === null ? '–' : `${number(truck.tare_kg)} kg`),
      row('window', truck.window_dirt === null ? '–' : warn(truck.window_dirt > 0, t(truck.window_dirt > 0 ? 'window_dirty' : 'window_clean'))),
      row('drift', truck.drift === null ? t('drift_unknown') : drift(truck.drift, warn)),
      row('last_seen', time(truck.last_seen))),
    make('p', {}, flags(truck.flags)));
}

function drift(told, warn) {
  if (told.flags.length) return flags(told.flags);
  const found = [];
  if (told.sensor_m) found.push(`${number(1000 * told.sensor_m.value)} mm`);
  if (told.scale_kg) found.push(`${number(told.scale_kg.value)} kg`);
  return warn(false, found.length ? `${t('drift_none')} (${found.join(', ')})` : t('drift_none'));
}
