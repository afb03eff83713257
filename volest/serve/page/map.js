// Where the waste comes from: the city's districts if the service knows their borders, and a circle for each.
import { get } from './api.js';
import { make, show } from './dom.js';
import { amount, number, range, t } from './text.js';

const WIDE = 720, HIGH = 560, EDGE = 60;

export async function map(main) {
  const { items, has_borders: hasBorders } = await get('/v1/districts');
  const borders = hasBorders ? await get('/v1/districts.geojson') : null;
  const placed = items.filter((row) => row.lat !== null && row.lon !== null);
  const head = (key, className) => make('th', { scope: 'col', className }, t(key));
  const rows = items.map((row) => make('tr', {}, make('td', {}, row.district ?? t('unknown')), make('td', { className: 'n' }, number(row.loads)),
    make('td', { className: 'n' }, amount('volume_m3', row.volume_m3), make('div', { className: 'note' }, range('volume_m3', row.volume_m3))),
    make('td', { className: 'n' }, amount('tonnes', row.net_mass_kg)), make('td', { className: 'n' }, amount('wet_mass_fraction', row.wet_mass_fraction))));
  show(main, make('h1', {}, t('nav_map')), make('div', { className: 'two' },
    make('section', { className: 'card' }, placed.length || borders ? picture(placed, borders) : make('p', { className: 'quiet' }, t('no_places')), make('p', { className: 'note' }, t('map_note'))),
    make('section', { className: 'card scroll', tabindex: '0', role: 'region', 'aria-label': t('nav_map') }, make('table', {}, make('thead', {}, make('tr', {}, head('col_district'), head('col_loads', 'n'), head('col_volume', 'n'), head('col_tonnes', 'n'), head('wet', 'n'))), make('tbody', {}, rows)))));
  return {};
}

function rings(geometry) {
  if (geometry?.type === 'Polygon') return geometry.coordinates;
  return geometry?.type === 'MultiPolygon' ? geometry.coordinates.flat() : [];
}

function picture(placed, borders) {
  const shapes = (borders?.features ?? []).map((feature) => rings(feature.geometry));
  const all = [...placed.map((row) => [row.lon, row.lat]), ...shapes.flat(2)];
  const [lons, lats] = [all.map((p) => p[0]), all.map((p) => p[1])];
  const middle = [(Math.min(...lons) + Math.max(...lons)) / 2, (Math.min(...lats) + Math.max(...lats)) / 2];
  const shrink = Math.cos((middle[1] * Math.PI) / 180), span = Math.max((Math.max(...lons) - Math.min(...lons)) * shrink / (WIDE - 2 * EDGE), (Math.max(...lats) - Math.min(...lats)) / (HIGH - 2 * EDGE), 1e-6);
  const at = ([lon, lat]) => [WIDE / 2 + ((lon - middle[0]) * shrink) / span, HIGH / 2 - (lat - middle[1]) / span];
  const outline = (ring) => `M${ring.map((p) => at(p).map((v) => v.toFixed(1)).join(' ')).join('L')}Z`;
  const most = Math.max(...placed.map((row) => row.volume_m3?.value ?? 0), 1e-9);
  const km = 111.2 * span, length = [0.5, 1, 2, 5, 10, 20].find((n) => n / km > 60) ?? 50;
  const chart = make('svg', { className: 'chart', viewBox: `0 0 ${WIDE} ${HIGH}`, role: 'img', 'aria-label': t('map_label') }, make('title', {}, t('map_label')), make('rect', { width: WIDE, height: HIGH, fill: '#eef3f1' }),
    shapes.map((each) => make('path', { d: each.map(outline).join(''), fill: '#fff', stroke: '#6b7a77', 'fill-rule': 'evenodd' })));
  for (const row of placed) {
    const [x, y] = at([row.lon, row.lat]), r = 6 + 34 * Math.sqrt((row.volume_m3?.value ?? 0) / most);
    chart.append(make('circle', { cx: x, cy: y, r, fill: '#0a4a57', 'fill-opacity': 0.75, stroke: '#fff' }, make('title', {}, `${row.district}: ${amount('volume_m3', row.volume_m3)}`)),
      make('text', { x, y: y + r + 15, 'text-anchor': 'middle', fill: '#14211f' }, row.district));
  }
  chart.append(make('path', { d: `M20 ${HIGH - 24}v6h${length / km}v-6`, fill: 'none', stroke: '#14211f', 'stroke-width': 2 }), make('text', { x: 20, y: HIGH - 30 }, `${number(length, length < 1 ? 1 : 0)} km`), make('text', { x: WIDE - 24, y: 24, 'text-anchor': 'middle' }, '↑ ', t('north')));
  return chart;
}
