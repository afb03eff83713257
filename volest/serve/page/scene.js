// A load in 3-D (volest/serve/scene.py packs it): bed, surface, what is hidden, points. Drawn when something changes.
import { make, show } from './dom.js';
import { number, t } from './text.js';

const OUTSIDE = 0, HIDDEN = 2;
const TURN = 0.15, NEARER = 0.85;

export function unpack(bytes) {
  const view = new DataView(bytes), magic = String.fromCharCode(...new Uint8Array(bytes, 0, 4));
  if (magic !== 'VSC1') throw new Error(`found ${magic}, expected a scene`);
  const size = view.getUint32(4, true), head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, size)));
  const cells = head.rows * head.cols, at = 8 + size;
  return { head, bed: new Float32Array(bytes, at, cells), surface: new Float32Array(bytes, at + 4 * cells, cells), kind: new Uint8Array(bytes, at + 8 * cells, cells),
    points: Int16Array.from({ length: 3 * head.points }, (_, i) => view.getInt16(at + 9 * cells + 2 * i, true)) };
}

export async function open(place, scene) {
  const canvas = make('canvas', { tabindex: '0', role: 'img', 'aria-label': t('view_label') });
  let view;
  try { view = await inSpace(canvas, scene); } catch { view = fromAbove(canvas, scene); }
  const button = (key, act) => make('button', { type: 'button', className: 'quiet', onclick: act }, t(key));
  const key = (name) => make('li', {}, make('span', { className: `swatch-${name}` }), t(`key_${name}`));
  show(place, canvas, make('ul', { className: 'key' }, key('seen'), key('hidden'), key('bed'), view.turn ? key('points') : null),
    view.turn ? make('div', { className: 'turn' }, button('turn_left', () => view.turn(-TURN, 0)), button('turn_right', () => view.turn(TURN, 0)), button('nearer', () => view.zoom(NEARER)), button('further', () => view.zoom(1 / NEARER)), button('from_above', view.above)) : make('p', { className: 'note' }, t('no_webgl')),
    make('p', { className: 'note' }, t('view_note')));
  view.start();
  return view;
}

async function inSpace(canvas, scene) {
  const [THREE, { OrbitControls }] = await Promise.all([import('./vendor/three.module.min.js'), import('./vendor/OrbitControls.js')]);
  const renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true });
  const world = new THREE.Scene(), camera = new THREE.PerspectiveCamera(40, 1, 0.05, 100);
  camera.up.set(0, 0, 1);
  const { head } = scene, far = 1.1 * Math.hypot(head.cols * head.cell_m, head.rows * head.cell_m);
  const middle = new THREE.Vector3(head.x0_m + 0.5 * head.cols * head.cell_m, head.y0_m + 0.5 * head.rows * head.cell_m, 0.4 * head.top_m);
  world.add(new THREE.HemisphereLight('#ffffff', '#8fa39e', 1.6));
  const sun = new THREE.DirectionalLight('#ffffff', 1.8);
  sun.position.set(-3, -5, 8);
  world.add(sun, sheet(THREE, scene, scene.bed, () => [0.43, 0.5, 0.48], 0.55), sheet(THREE, scene, scene.surface, (kind) => (kind === HIDDEN ? [0.44, 0.04, 0.26] : [0.68, 0.38, 0.035]), 1), rim(THREE, head), cloud(THREE, scene));
  const controls = new OrbitControls(camera, canvas);
  controls.target.copy(middle);
  const draw = () => renderer.render(world, camera);
  const place = (x, y, z) => {
    camera.position.copy(middle).add(new THREE.Vector3(x, y, z).divideScalar(Math.min(1, camera.aspect / 1.4)));
    controls.update(); draw(); };
  const spherical = new THREE.Spherical(), swing = new THREE.Quaternion().setFromUnitVectors(camera.up, new THREE.Vector3(0, 1, 0));
  const turn = (theta, phi) => {
    spherical.setFromVector3(camera.position.clone().sub(middle).applyQuaternion(swing));
    spherical.theta += theta;
    spherical.phi = Math.min(Math.max(spherical.phi + phi, 0.02), 1.55);
    camera.position.setFromSpherical(spherical).applyQuaternion(swing.clone().invert()).add(middle);
    controls.update();
    draw();
  };
  const zoom = (factor) => { camera.position.sub(middle).multiplyScalar(factor).add(middle); controls.update(); draw(); };
  const keys = { ArrowLeft: () => turn(-TURN, 0), ArrowRight: () => turn(TURN, 0), ArrowUp: () => turn(0, -TURN), ArrowDown: () => turn(0, TURN), '+': () => zoom(NEARER), '-': () => zoom(1 / NEARER), Home: () => place(0.55 * far, -0.8 * far, 0.75 * far) };
  canvas.addEventListener('keydown', (event) => { if (keys[event.key]) { event.preventDefault(); keys[event.key](); } });
  controls.addEventListener('change', draw);
  const fit = new ResizeObserver(() => {
    const { clientWidth: w, clientHeight: h } = canvas;
    if (!w || !h) return;
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    renderer.setSize(w, h, false);
    camera.aspect = w / h;
    camera.updateProjectionMatrix();
    draw();
  });
  return { turn, zoom, above: () => place(0, -0.01, 1.15 * far), start: () => { camera.aspect = canvas.clientWidth / Math.max(canvas.clientHeight, 1); keys.Home(); fit.observe(canvas); },
    dispose: () => { fit.disconnect(); controls.dispose(); world.traverse((part) => { part.geometry?.dispose(); part.material?.dispose(); }); renderer.dispose(); renderer.forceContextLoss(); } };
}

// A height map as triangles between the middles of its cells.
function sheet(THREE, { head, kind }, height, colour, opacity) {
  const { rows, cols, cell_m: cell } = head, corners = [], colours = [], faces = [];
  for (let y = 0, i = 0; y < rows; ++y) for (let x = 0; x < cols; ++x, ++i) {
    corners.push(head.x0_m + x * cell, head.y0_m + y * cell, Number.isFinite(height[i]) ? height[i] : 0);
    colours.push(...colour(kind[i]));
    const around = [i, i + 1, i + cols, i + cols + 1];
    if (x + 1 < cols && y + 1 < rows && around.every((j) => kind[j] !== OUTSIDE && Number.isFinite(height[j]))) faces.push(i, i + 1, i + cols + 1, i, i + cols + 1, i + cols);
  }
  const shape = new THREE.BufferGeometry();
  shape.setAttribute('position', new THREE.Float32BufferAttribute(corners, 3));
  shape.setAttribute('color', new THREE.Float32BufferAttribute(colours, 3));
  shape.setIndex(faces);
  shape.computeVertexNormals();
  return new THREE.Mesh(shape, new THREE.MeshStandardMaterial({ vertexColors: true, roughness: 0.9, side: THREE.DoubleSide, transparent: opacity < 1, opacity }));
}

function rim(THREE, head) {
  const corners = [...head.bed_outline, head.bed_outline[0]];
  const line = (heights) => new THREE.Line(new THREE.BufferGeometry().setFromPoints(corners.map(([x, y], i) => new THREE.Vector3(x, y, heights[i]))), new THREE.LineBasicMaterial({ color: '#14211f' }));
  const group = new THREE.Group();
  group.add(line(corners.map(() => head.top_m)), line(corners.map(() => 0)));
  for (const [x, y] of head.bed_outline) group.add(new THREE.Line(new THREE.BufferGeometry().setFromPoints([new THREE.Vector3(x, y, 0), new THREE.Vector3(x, y, head.top_m)]), new THREE.LineBasicMaterial({ color: '#14211f' })));
  return group;
}

function cloud(THREE, scene) {
  const shape = new THREE.BufferGeometry();
  shape.setAttribute('position', new THREE.Float32BufferAttribute(Float32Array.from(scene.points, (mm) => 0.001 * mm), 3));
  return new THREE.Points(shape, new THREE.PointsMaterial({ color: '#0a4a57', size: 1.3, sizeAttenuation: false, transparent: true, opacity: 0.6 }));
}

// Without WebGL: heights from above, light where it is high.
function fromAbove(canvas, { head, surface, kind }) {
  const paint = () => {
    canvas.width = head.cols;
    canvas.height = head.rows;
    canvas.classList.add('flat');
    const pen = canvas.getContext('2d'), image = pen.createImageData(head.cols, head.rows);
    for (let y = 0; y < head.rows; ++y) for (let x = 0; x < head.cols; ++x) {
      const i = y * head.cols + x, at = 4 * ((head.rows - 1 - y) * head.cols + x), part = Math.min(Math.max(surface[i] / (1.2 * head.top_m), 0), 1);
      const colour = kind[i] === HIDDEN ? [176, 51, 138] : [70 + 170 * part, 60 + 130 * part, 30 + 60 * part];
      image.data.set([...colour, kind[i] === OUTSIDE ? 0 : 255], at);
    }
    pen.putImageData(image, 0, 0);
    canvas.setAttribute('aria-label', `${t('view_label')} ${number(head.top_m, 2)} m`);
  };
  return { start: paint, dispose: () => {} };
}
