'use strict';
// Features come as 8-bit codes on turned axes (see feature_codec.py); cosines are computed here.
const data = JSON.parse(document.getElementById('data').textContent);
const size = data.size;
const ramp = bytes(data.ramp);  // 256 RGB triples
const state = { image: 0, x: 0.5, y: 0.5, view: 'affinity', scale: 'own', photo: 0.25 };
const panels = [];  // one for each network
let current = null;  // decoded features of the image shown
let loading = 0;

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

async function inflate(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Response(stream).arrayBuffer();
}

// Unit features (size * size, axes) of the map interpolated as torch does (bilinear, pixel centres).
async function decode(packed) {
  const [height, width] = packed.grid;
  const cells = height * width;
  const buffer = await inflate(packed.data);
  const lengths = new Float32Array(buffer, 0, cells);
  const codes = new Int8Array(buffer, 4 * cells);
  const axes = codes.length / cells;
  const features = new Float32Array(size * size * axes);
  const rows = places(height);
  const columns = places(width);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const [top, bottom, down] = rows[i];
      const [left, right, across] = columns[j];
      const corners = [
        [top * width + left, (1 - down) * (1 - across)],
        [top * width + right, (1 - down) * across],
        [bottom * width + left, down * (1 - across)],
        [bottom * width + right, down * across],
      ];
      const start = (i * size + j) * axes;
      let square = 0;
      for (let axis = 0; axis < axes; axis++) {
        let sum = 0;
        for (const [cell, weight] of corners) {
          const value = codes[axis * cells + cell] * packed.step + (axis ? 0 : packed.mean);
          sum += weight * lengths[cell] * value;
        }
        features[start + axis] = sum;
        square += sum * sum;
      }
      const norm = Math.max(Math.sqrt(square), 1e-12);
      for (let axis = 0; axis < axes; axis++) features[start + axis] /= norm;
    }
  }
  return { features, axes };
}

function places(count) {
  return Array.from({ length: size }, (_, index) => {
    const source = Math.max(0, ((index + 0.5) * count) / size - 0.5);
    const low = Math.min(Math.floor(source), count - 1);
    return [low, Math.min(low + 1, count - 1), source - low];
  });
}

function cell(share, count) {
  return Math.min(count - 1, Math.max(0, Math.floor(share * count)));
}

// Cosines of the chosen point with all places, (size * size).
function affinity({ features, axes }) {
  const point = (cell(state.y, size) * size + cell(state.x, size)) * axes;
  const cosines = new Float32Array(size * size);
  for (let place = 0; place < cosines.length; place++) {
    let sum = 0;
    for (let axis = 0; axis < axes; axis++) {
      sum += features[point + axis] * features[place * axes + axis];
    }
    cosines[place] = sum;
  }
  return { values: cosines, rows: size, columns: size, border: 0 };
}

function consistency(network) {
  const { grid, data: text, border } = data.images[state.image].lsc[network];
  const values = new Float32Array(bytes(text).buffer);
  return { values, rows: grid[0], columns: grid[1], border };
}

// Value of a map at a place of the photo; NaN on the rim that a map of crops leaves out.
function valueAt(map, x, y) {
  const inside = (share) => (share - map.border) / (1 - 2 * map.border);
  const [u, v] = [inside(x), inside(y)];
  if (u < 0 || v < 0 || u > 1 || v > 1) return NaN;
  return map.values[cell(v, map.rows) * map.columns + cell(u, map.columns)];
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function show(value) {
  return Number.isNaN(value) ? 'none' : value.toFixed(2).replace('-', '\u2212');
}

async function loadImage(index) {
  const source = data.images[index];
  const photo = new Image();
  photo.src = source.photo;
  const [, ...networks] = await Promise.all([photo.decode(), ...source.maps.map(decode)]);
  const grey = document.createElement('canvas');
  grey.width = photo.naturalWidth;
  grey.height = photo.naturalHeight;
  const context = grey.getContext('2d');
  context.drawImage(photo, 0, 0);
  const pixels = context.getImageData(0, 0, grey.width, grey.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const level = (pixels.data[i] + pixels.data[i + 1] + pixels.data[i + 2]) / 3;
    pixels.data.fill(100 + 0.6 * level, i, i + 3);  // pale, or it would darken the map's colours
  }
  context.putImageData(pixels, 0, 0);
  return { photo, grey, networks };
}

function mark(context, side) {
  const [x, y] = [state.x * side, state.y * side];
  for (const [colour, width] of [['#ffffff', 5], ['#d55e00', 2.5]]) {
    context.beginPath();
    context.arc(x, y, side / 45, 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = (width * side) / 448;
    context.stroke();
  }
}

function drawMap(panel, map, low, high) {
  const small = document.createElement('canvas');
  small.width = map.columns;
  small.height = map.rows;
  const pixels = new ImageData(map.columns, map.rows);
  map.values.forEach((value, index) => {
    const level = Math.round((255 * (value - low)) / Math.max(high - low, 1e-9));
    const colour = 3 * Math.min(255, Math.max(0, level));
    pixels.data.set([ramp[colour], ramp[colour + 1], ramp[colour + 2], 255], 4 * index);
  });
  small.getContext('2d').putImageData(pixels, 0, 0);
  const { canvas } = panel;
  const side = canvas.width;
  const context = canvas.getContext('2d');
  context.globalAlpha = 1;
  context.imageSmoothingEnabled = true;
  context.drawImage(current.grey, 0, 0, side, side);
  const rim = map.border * side;
  if (rim) {  // no value here: the photo fades
    context.fillStyle = 'rgba(255, 255, 255, 0.6)';
    context.fillRect(0, 0, side, side);
    context.drawImage(current.grey, (rim * current.grey.width) / side,
      (rim * current.grey.height) / side, (1 - 2 * map.border) * current.grey.width,
      (1 - 2 * map.border) * current.grey.height, rim, rim, side - 2 * rim, side - 2 * rim);
  }
  context.globalAlpha = 1 - state.photo;
  context.imageSmoothingEnabled = state.view === 'affinity';
  context.drawImage(small, rim, rim, side - 2 * rim, side - 2 * rim);
  context.globalAlpha = 1;
  mark(context, side);
  panel.low.textContent = show(low);
  panel.high.textContent = show(high);
  panel.map = map;
}

function draw() {
  if (!current) return;
  const photo = document.getElementById('source');
  const context = photo.getContext('2d');
  context.drawImage(current.photo, 0, 0, photo.width, photo.height);
  mark(context, photo.width);
  const lsc = state.view === 'lsc';
  const maps = panels.map((_, n) => (lsc ? consistency(n) : affinity(current.networks[n])));
  const ranges = maps.map((map) => extent(map.values));
  const common = [Math.min(...ranges.map((r) => r[0])), Math.max(...ranges.map((r) => r[1]))];
  panels.forEach((panel, n) => {
    const [low, high] = state.scale === 'own' ? ranges[n] : common;
    drawMap(panel, maps[n], low, lsc ? high : 1);
  });
  report(null);
  const what = lsc ? 'consistency' : 'mean cosine';
  const numbers = panels.map((panel, n) => `${data.networks[n]}: ${what} `
    + show(lsc ? valueAt(panel.map, state.x, state.y) : mean(panel.map.values)));
  document.getElementById('status').textContent = `Point at ${Math.round(100 * state.x)} % from the `
    + `left, ${Math.round(100 * state.y)} % from the top. ${numbers.join('. ')}.`;
  const { image, x, y, view, scale } = state;
  history.replaceState(null, '', '#' + new URLSearchParams({
    image, x: x.toFixed(3), y: y.toFixed(3), view, scale }));
  document.body.dataset.ready = `${image} ${view} ${x.toFixed(3)} ${y.toFixed(3)}`;
}

// Numbers beside the names: at the pointer where there is one, else of the whole map.
function report(pointer) {
  const lsc = state.view === 'lsc';
  for (const panel of panels) {
    if (!panel.map) continue;
    const at = pointer ?? (lsc ? [state.x, state.y] : null);
    const label = pointer ? 'at pointer' : lsc ? 'at point' : 'mean';
    const value = at ? valueAt(panel.map, ...at) : mean(panel.map.values);
    panel.value.textContent = `${label} ${show(value)}`
      + (lsc && !pointer ? `, mean ${show(mean(panel.map.values))}` : '');
  }
}

async function choose(index) {
  state.image = index;
  document.querySelectorAll('#thumbs button').forEach((button, n) => {
    button.setAttribute('aria-pressed', String(n === index));
  });
  document.getElementById('photo-name').textContent = data.images[index].name;
  const turn = ++loading;  // a slower, earlier choice must not win
  const loaded = await loadImage(index);
  if (turn !== loading) return;
  current = loaded;
  draw();
}

function moveTo(x, y) {
  state.x = Math.min(1, Math.max(0, x));
  state.y = Math.min(1, Math.max(0, y));
  draw();
}

function shares(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function addPanel(name, map) {
  const figure = document.createElement('figure');
  figure.className = 'panel';
  const caption = document.createElement('figcaption');
  const title = document.createElement('span');
  title.className = 'name';
  title.textContent = name;
  const value = document.createElement('span');
  value.className = 'value';
  caption.append(title, value);
  const canvas = document.createElement('canvas');
  canvas.className = 'map';
  canvas.width = canvas.height = 672;
  canvas.addEventListener('click', (event) => moveTo(...shares(event)));
  canvas.addEventListener('pointermove', (event) => report(shares(event)));
  canvas.addEventListener('pointerleave', () => report(null));
  figure.append(caption, canvas);
  document.getElementById('panels').append(figure);
  if (!map) {
    const foot = document.createElement('p');
    foot.className = 'foot';
    foot.id = 'photo-name';
    figure.append(foot);
    return { canvas, value, foot };
  }
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `Map of ${name}; its numbers are read out with the photo`);
  const scale = document.createElement('div');
  scale.className = 'ramp';
  const [low, high] = [document.createElement('span'), document.createElement('span')];
  const colours = document.createElement('canvas');
  colours.width = 256;
  colours.height = 1;
  const pixels = new ImageData(256, 1);
  for (let i = 0; i < 256; i++) {
    pixels.data.set([ramp[3 * i], ramp[3 * i + 1], ramp[3 * i + 2], 255], 4 * i);
  }
  colours.getContext('2d').putImageData(pixels, 0, 0);
  scale.append(low, colours, high);
  figure.append(scale);
  return { canvas, value, low, high, map: null };
}

function onKey(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const move = moves[event.key];
  if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const step = (event.shiftKey ? 5 : 1) / size;
  moveTo(state.x + move[0] * step, state.y + move[1] * step);
}

function build() {
  const thumbs = document.getElementById('thumbs');
  data.images.forEach((image, index) => {
    const button = document.createElement('button');
    button.type = 'button';
    const picture = document.createElement('img');
    picture.src = image.photo;
    picture.alt = image.name;
    button.append(picture);
    button.addEventListener('click', () => choose(index));
    thumbs.append(button);
  });
  const source = addPanel('Photo', false);
  source.canvas.id = 'source';
  source.canvas.tabIndex = 0;
  source.canvas.setAttribute('role', 'application');
  source.canvas.setAttribute('aria-label', 'Photo with the chosen point: arrow keys move it');
  source.canvas.addEventListener('keydown', onKey);
  for (const name of data.networks) panels.push(addPanel(name, true));
  const columns = Math.min(4, panels.length + 1);
  document.getElementById('panels').style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  for (const name of ['view', 'scale']) {
    document.getElementById(name).addEventListener('change', (event) => {
      state[name] = event.target.value;
      draw();
    });
  }
  document.getElementById('photo').addEventListener('input', (event) => {
    state.photo = event.target.value / 100;
    draw();
  });
}

// A link to this page may name what to show: #image=2&x=0.4&y=0.6&view=lsc&scale=common
function start() {
  build();
  if (!('DecompressionStream' in window)) {
    const warning = document.getElementById('warning');
    warning.textContent = 'This browser cannot unpack the features: use one of 2023 or later '
      + '(Chrome 80, Firefox 113, Safari 16.4).';
    warning.hidden = false;
    return;
  }
  const wanted = new URLSearchParams(location.hash.slice(1));
  const share = (name) => {
    const value = Number.parseFloat(wanted.get(name));
    return value >= 0 && value <= 1 ? value : state[name];
  };
  [state.x, state.y] = [share('x'), share('y')];
  for (const name of ['view', 'scale']) {
    const input = document.querySelector(`#${name} input[value="${CSS.escape(wanted.get(name))}"]`);
    if (input && !(name === 'view' && document.getElementById('view').hidden)) {
      input.checked = true;
      state[name] = input.value;
    }
  }
  const image = Number.parseInt(wanted.get('image'), 10);
  choose(image >= 0 && image < data.images.length ? image : 0);
}

start();
