// Words, numbers and times in the language that is chosen.

export const LANGUAGES = ['id', 'en'];
const texts = {};
let chosen = 'id';

export async function choose(language) {
  chosen = LANGUAGES.includes(language) ? language : 'id';
  if (!texts[chosen]) texts[chosen] = await (await fetch(`/static/texts/${chosen}.json`)).json();
  document.documentElement.lang = chosen;
  localStorage.setItem('volest-language', chosen);
}

export const language = () => chosen;

export function preferred() {
  const told = localStorage.getItem('volest-language') ?? navigator.language.slice(0, 2);
  return LANGUAGES.includes(told) ? told : 'id';
}

export function t(key, told = {}) {
  const text = texts[chosen][key];
  return text === undefined ? key : text.replace(/\{(\w+)\}/g, (_, name) => String(told[name] ?? ''));
}

export const word = (kind, name) => (name === null || name === undefined ? t('unknown') : t(`${kind}_${name}`) === `${kind}_${name}` ? name : t(`${kind}_${name}`));

export function number(value, digits = 0) {
  if (value === null || value === undefined) return '–';
  return new Intl.NumberFormat(chosen, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export const QUANTITIES = {
  volume_m3: { unit: 'm³', digits: 2, times: 1 },
  net_mass_kg: { unit: 'kg', digits: 0, times: 1 },
  tonnes: { unit: 't', digits: 2, times: 0.001 },
  bulk_density_kg_m3: { unit: 'kg/m³', digits: 0, times: 1 },
  wet_mass_fraction: { unit: '%', digits: 0, times: 100 },
};

export function amount(kind, quantity) {
  const { unit, digits, times } = QUANTITIES[kind];
  return quantity ? `${number(times * quantity.value, digits)} ${unit}` : '–';
}

export function range(kind, quantity) {
  const { digits, times } = QUANTITIES[kind];
  return quantity ? `${number(times * quantity.lower95, digits)} – ${number(times * quantity.upper95, digits)}` : '';
}

// Of today the hour is enough.
export function time(text) {
  if (!text) return '–';
  const then = new Date(text), clock = { hour: '2-digit', minute: '2-digit', hour12: false };
  const isToday = then.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(chosen, isToday ? clock : { day: 'numeric', month: 'short', ...clock }).format(then);
}

export const day = (key) => new Intl.DateTimeFormat(chosen, { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(`${key}T00:00:00Z`));
