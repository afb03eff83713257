// Small pictures as SVG: bars of a day's hours, and a quantity from day to day with its interval.
import { make } from './dom.js';
import { day, number, t } from './text.js';

const WIDE = 640, HIGH = 210, LEFT = 44, BOTTOM = 24, TOP = 12;

// A round number at or above, for the top of an axis.
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 2.5, 5, 10].find((step) => step * power >= value);
}

function frame(label, top, digits) {
  const lines = [0, 0.5, 1].flatMap((part) => {
    const y = HIGH - BOTTOM - part * (HIGH - BOTTOM - TOP);
    return [make('line', { x1: LEFT, x2: WIDE, y1: y, y2: y, stroke: '#c3cdca' }),
      make('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, number(part * top, digits))];
  });
  return make('svg', { className: 'chart', viewBox: `0 0 ${WIDE} ${HIGH}`, role: 'img', 'aria-label': label }, make('title', {}, label), lines);
}

export function hours(values) {
  const top = ceiling(Math.max(...values)), step = (WIDE - LEFT) / 24, full = HIGH - BOTTOM - TOP;
  const chart = frame(t('hours_title'), top, top < 5 ? 1 : 0);
  values.forEach((value, hour) => {
    const high = (value / top) * full, x = LEFT + hour * step;
    if (value > 0) chart.append(make('rect', { x: x + 2, y: HIGH - BOTTOM - high, width: step - 4, height: high, fill: '#0a4a57' },
      make('title', {}, `${hour}:00 – ${number(value, 2)} m³`)));
    if (hour % 3 === 0) chart.append(make('text', { x: x + step / 2, y: HIGH - 7, 'text-anchor': 'middle' }, String(hour)));
  });
  return chart;
}

// `rows`: {key, quantity}; `limits`: what is marked across, as the classes of wetness.
export function trend(rows, label, { times = 1, top = null, marks = [], colour = '#0a4a57', digits = 0 } = {}) {
  const known = rows.filter((row) => row.quantity);
  const most = top ?? ceiling(times * Math.max(0, ...known.map((row) => row.quantity.upper95)));
  const chart = frame(label, most, digits), step = (WIDE - LEFT) / Math.max(rows.length, 1);
  const y = (value) => HIGH - BOTTOM - (Math.min(Math.max(times * value, 0), most) / most) * (HIGH - BOTTOM - TOP);
  for (const mark of marks) {
    chart.append(make('line', { x1: LEFT, x2: WIDE, y1: y(mark.at), y2: y(mark.at), stroke: '#42514e', 'stroke-dasharray': '5 4' }),
      make('text', { x: WIDE - 4, y: y(mark.at) - 4, 'text-anchor': 'end' }, mark.text));
  }
  rows.forEach((row, index) => {
    const x = LEFT + (index + 0.5) * step;
    if (index % Math.ceil(rows.length / 8) === 0) chart.append(make('text', { x, y: HIGH - 7, 'text-anchor': 'middle' }, day(row.key)));
    if (!row.quantity) return;
    const { value, lower95, upper95 } = row.quantity;
    chart.append(
      make('line', { x1: x, x2: x, y1: y(lower95), y2: y(upper95), stroke: colour, 'stroke-width': 3, opacity: 0.5 }),
      make('circle', { cx: x, cy: y(value), r: 5, fill: colour }, make('title', {}, `${day(row.key)}: ${number(times * value, 1)} (${number(times * lower95, 1)} – ${number(times * upper95, 1)})`)),
    );
  });
  return chart;
}
