// Sending a load by hand: scans by dropping or choosing them, a weight, and what the service says to it.
import { ask, get } from './api.js';
import { make, show } from './dom.js';
import { t } from './text.js';

export async function upload(main) {
  const { items } = await get('/v1/trucks');
  const byId = Object.fromEntries(items.map((truck) => [truck.truck_id, truck]));
  const truck = make('select', { id: 'truck', required: true }, items.map((each) => make('option', { value: each.truck_id }, each.truck_id)));
  const gross = make('input', { type: 'number', id: 'gross', min: '0', step: 'any', inputmode: 'decimal' });
  const district = make('input', { type: 'text', id: 'district', maxlength: '200' });
  const files = make('input', { type: 'file', id: 'files', multiple: true });
  const chosen = make('div', {}), answer = make('div', { role: 'status' }), send = make('button', { type: 'submit', disabled: true }, t('send'));
  let scans = [];
  const list = () => {
    const sensors = byId[truck.value]?.sensors ?? [];
    show(chosen, scans.map((scan, i) => make('p', { className: 'actions' }, scan.file.name, sensors.length > 1 ? make('label', {}, t('sensor'), make('select', { onchange: (event) => { scan.sensor = event.target.value; } }, sensors.map((name) => make('option', { value: name, selected: (scan.sensor ?? sensors[Math.min(i, sensors.length - 1)]) === name }, name)))) : null,
      make('button', { type: 'button', className: 'quiet', onclick: () => { scans.splice(i, 1); list(); } }, t('remove')))));
    scans.forEach((scan, i) => { scan.sensor ??= sensors[Math.min(i, sensors.length - 1)]; });
    send.disabled = scans.length === 0;
  };
  const take = (found) => { scans.push(...[...found].map((file) => ({ file }))); list(); };
  const drop = make('div', { className: 'drop', ondragover: (event) => { event.preventDefault(); drop.classList.add('over'); }, ondragleave: () => drop.classList.remove('over'),
    ondrop: (event) => { event.preventDefault(); drop.classList.remove('over'); take(event.dataTransfer.files); } },
  make('p', {}, t('drop')), make('label', {}, t('choose'), files));
  files.addEventListener('change', () => { take(files.files); files.value = ''; });
  truck.addEventListener('change', () => { scans.forEach((scan) => { scan.sensor = undefined; }); list(); });
  const form = make('form', { onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    show(answer, make('p', { className: 'quiet' }, t('sending')));
    const body = new FormData();
    body.append('truck_id', truck.value);
    if (gross.value) body.append('gross_kg', gross.value);
    if (district.value) body.append('district', district.value);
    const many = (byId[truck.value]?.sensors ?? []).length > 1;
    for (const { file, sensor } of scans) body.append(many && sensor ? `scan.${sensor}` : 'scan', file);
    try {
      const load = await (await ask('/v1/loads', { method: 'POST', body })).json();
      scans = [];
      list();
      location.hash = `#/load/${encodeURIComponent(load.load_id)}`;
    } catch (problem) {
      show(answer, make('p', { className: 'wrong', role: 'alert' }, problem.message, problem.retry ? ` ${t('retry', { s: problem.retry })}` : ''));
    }
    send.disabled = scans.length === 0;
  } }, drop, chosen, make('div', { className: 'form' }, make('label', {}, t('col_truck'), truck), make('label', {}, t('gross'), gross), make('label', {}, t('col_district'), district)), make('div', { className: 'actions' }, send), answer);
  show(main, make('h1', {}, t('nav_upload')), items.length ? make('section', { className: 'card' }, form) : make('p', { className: 'quiet' }, t('no_trucks')));
  return {};
}
