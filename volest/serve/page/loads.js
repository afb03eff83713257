// All loads, newest first, by truck, district and status; those that come are put on top.
import { get } from './api.js';
import { make, show } from './dom.js';
import { loadRow, loadTable } from './parts.js';
import { t, word } from './text.js';

const PAGE = 50;

export async function loads(main) {
  const [trucks, districts] = await Promise.all([get('/v1/trucks'), get('/v1/districts')]);
  const told = {}, list = loadTable([]), more = make('button', { type: 'button', className: 'quiet', onclick: () => fill() }, t('more'));
  const none = make('p', { className: 'quiet', hidden: true }, t('no_loads'));
  let next = null, asked = 0;
  const fill = async (fresh = false) => {
    const turn = ++asked;
    const query = new URLSearchParams({ ...told, limit: PAGE, ...(fresh || !next ? {} : { cursor: next }) });
    const answer = await get(`/v1/loads?${query}`);
    if (turn !== asked) return;
    if (fresh) list.body.replaceChildren();
    list.body.append(...answer.items.map((load) => loadRow(load)));
    next = answer.next;
    more.hidden = next === null;
    none.hidden = list.body.children.length > 0;
  };
  const choice = (name, label, values, shown = (value) => value) => make('label', {}, t(label),
    make('select', { onchange: (event) => { if (event.target.value) told[name] = event.target.value; else delete told[name]; fill(true); } },
      make('option', { value: '' }, t('all')), values.map((value) => make('option', { value }, shown(value)))));
  show(main, make('h1', {}, t('nav_loads')),
    make('div', { className: 'filters' },
      choice('truck_id', 'col_truck', trucks.items.map((truck) => truck.truck_id)),
      choice('district', 'col_district', districts.items.map((row) => row.district).filter(Boolean)),
      choice('status', 'col_status', ['ok', 'degraded', 'rejected'], (value) => word('status', value))),
    make('section', { className: 'card' }, list.whole, none, more));
  await fill(true);
  return {
    load(load) {
      const fits = (!told.truck_id || told.truck_id === load.truck_id) && (!told.district || told.district === load.district) && (!told.status || told.status === load.result.status);
      if (!fits) return;
      list.body.querySelector(`[data-load="${CSS.escape(load.load_id)}"]`)?.remove();
      list.body.prepend(loadRow(load, true));
      none.hidden = true;
    },
  };
}
