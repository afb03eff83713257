// Elements in a line each; text is always text.

export function make(name, attributes = {}, ...children) {
  const found = ['svg', 'g', 'path', 'rect', 'circle', 'line', 'text', 'polygon', 'title'].includes(name) && attributes.svg !== false
    ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'svg' || value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) found.addEventListener(key.slice(2), value);
    else found.setAttribute(key === 'className' ? 'class' : key, value === true ? '' : value);
  }
  found.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return found;
}

export const show = (place, ...children) => place.replaceChildren(...children.flat().filter(Boolean));
