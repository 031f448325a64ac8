// The map of features: a plane of pictures that is moved and zoomed by pointer, wheel and keys.
"use strict";

(() => {
  const { columns, rows, tile, layers } = atlasMap;
  const [LARGEST, LENS, NEAR, MARGIN] = [400, 72, 96, 24]; // CSS pixels: a cell, the marked feature, a cell asked for
  const [AT_ONCE, KEPT] = [6, 400]; // pictures that are loaded together, and that are kept though they are not seen
  const [ACROSS, SMALL, FILLED, DIM] = [16, 24, 0.94, 0.15]; // cells of a block's side, pixels of its cell
  const plane = document.querySelector(".plane");
  const tags = ["img", "canvas", ".controls", "select", "output"];
  const [picture, canvas, controls, select, output] = tags.map((one) => plane.querySelector(one));
  const context = canvas.getContext("2d", { alpha: false });

  /* Features by cell, and the blocks of cells, which are drawn as one where they are small. */
  const features = [];
  const byCell = [];
  const blocks = new Map();
  for (const layer of layers) {
    const { name, numbers, cells, faces } = layer;
    let place = 0; // on the layer's sheet
    for (const range of numbers.split(",")) {
      const [first, last = first] = range.split("-").map(Number);
      for (let number = first; number <= last; number++, place++) {
        const cell = cells[place];
        if (cell < 0) continue;
        const [column, row, folder] = [cell % columns, Math.floor(cell / columns), `${name}/${number}/`];
        const links = { title: `${name} ${number}`, hash: `#${name}-${number}`, page: `../${folder}index.html` };
        const feature = (byCell[cell] = { layer, place, column, row, face: faces[number] ?? folder, ...links });
        features.push(feature);
        const [left, top] = [column, row].map((at) => at - (at % ACROSS));
        const key = top * columns + left;
        if (!blocks.has(key)) blocks.set(key, { column: left, row: top, members: [] });
        blocks.get(key).members.push(feature);
      }
    }
  }

  let whole; // all of the map as one picture; undefined if that failed
  let size = 0; // CSS pixels of a cell
  let [left, top, width, height] = [0, 0, 0, 0]; // CSS pixels: where the map begins, and of the canvas
  let marked; // the feature under the pointer or the cross
  let visited; // that of the address
  let crossed = false; // whether the map is moved by keys

  const ratio = () => Math.min(devicePixelRatio, 2); // pixels of the screen in a CSS pixel

  /* Pictures by address in the order of their last use. Of those that are missing, the middle ones are loaded first. */
  const images = new Map();
  const wanted = new Map();
  let loading = 0;
  let used = 0; // in this frame

  function find(path, distance) {
    used++;
    if (!images.has(path)) return void wanted.set(path, distance);
    const image = images.get(path);
    images.delete(path);
    images.set(path, image);
    return image;
  }

  /* A bitmap, since an image is prepared anew each time that it is drawn. */
  const bitmap = (image) => image.decode().then(() => createImageBitmap(image));

  function load() {
    const sorted = [...wanted].sort(([, one], [, other]) => one - other);
    wanted.clear();
    for (const [path] of sorted.slice(0, AT_ONCE - loading)) {
      images.set(path, undefined); // what fails is not tried again
      loading++;
      bitmap(Object.assign(new Image(), { src: `../${path}` }))
        .then((found) => images.set(path, found), () => {})
        .then(() => ask(loading--));
    }
    for (const [path, image] of images) {
      if (images.size <= Math.max(KEPT, used)) break;
      image?.close();
      images.delete(path);
    }
    used = 0;
  }

  /* The best picture of a feature that is there for so many pixels: where in which image it is. */
  function source({ layer, place, column, row, face }, side, distance) {
    const [sheet, own, gap, across] = layer.sheet;
    const isLarge = side > 1.5 * Math.max(own, SMALL * ratio());
    const thumb = isLarge && find(`${face}thumb.avif`, distance);
    const image = (side > 240 && find(`${face}picture.avif`, distance)) || thumb;
    if (image) return [image, 0, 0, image.width];
    const all = side > tile && find(sheet, distance);
    if (all) return [all, ...[place % across, Math.floor(place / across)].map((at) => gap + at * (own + gap)), own];
    return [whole, column * tile, row * tile, tile * FILLED];
  }

  function put(context, [image, left, top, own], x, y, side) {
    if (image) context.drawImage(image, left, top, own, own, x, y, side, side);
  }

  function drawBlock({ column, row, members }) {
    const image = new OffscreenCanvas(ACROSS * SMALL, ACROSS * SMALL);
    const [context, side] = [image.getContext("2d"), SMALL * FILLED];
    for (const one of members)
      put(context, source(one, side), (one.column - column) * SMALL, (one.row - row) * SMALL, side);
    return image;
  }

  /* Drawing, in pixels of the screen. */
  let asked = false;
  function ask() {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  }

  function draw() {
    asked = false;
    const [cell, x, y, across, down] = [size, left, top, width, height].map((one) => one * ratio());
    if (canvas.width !== Math.round(across)) canvas.width = Math.round(across);
    if (canvas.height !== Math.round(down)) canvas.height = Math.round(down);
    const side = Math.max(1, Math.round(cell * FILLED));
    const isSmall = cell <= 1.25 * SMALL;
    const isBlocks = isSmall && side > tile && layers.map(({ sheet }) => find(sheet[0], 0)).every(Boolean);
    const isSeen = (left, top, side) => left + side > 0 && left < across && top + side > 0 && top < down;
    const place = ({ column, row }) => [x + column * cell, y + row * cell];

    Object.assign(context, { globalAlpha: 1, fillStyle: "#141414" });
    context.fillRect(0, 0, across, down);
    context.globalAlpha = select.value ? DIM : 1;
    if (isSmall && !isBlocks && whole) context.drawImage(whole, x, y, columns * cell, rows * cell);
    let most = 1; // block that is made in a frame, and the others in the next ones
    for (const block of isBlocks ? blocks.values() : []) {
      const [left, top] = place(block);
      if (!isSeen(left, top, ACROSS * cell)) continue;
      if (!block.image && most-- > 0) block.image = drawBlock(block);
      if (block.image) context.drawImage(block.image, left, top, ACROSS * cell, ACROSS * cell);
      else put(context, [whole, block.column * tile, block.row * tile, ACROSS * tile], left, top, ACROSS * cell);
    }
    if (most < 0) ask();
    for (const feature of features) {
      const isChosen = feature.layer.name === select.value;
      if (isSmall && !isChosen) continue;
      const [left, top] = place(feature).map(Math.round);
      if (!isSeen(left, top, side)) continue;
      context.globalAlpha = select.value && !isChosen ? DIM : 1;
      put(context, source(feature, side, Math.hypot(left - across / 2, top - down / 2)), left, top, side);
    }
    context.globalAlpha = 1;
    for (const [one, to] of [[visited, side], [marked, Math.max(side, LENS * ratio())]]) {
      if (!one) continue;
      const [left, top] = place(one).map((at) => Math.round(at + (side - to) / 2));
      put(context, source(one, to, 0), left, top, to);
      outline(new Path2D(`M${left} ${top}h${to}v${to}h${-to}z`));
    }
    const arm = 14 * ratio();
    const cross = new Path2D(`M${across / 2 - arm} ${down / 2}h${2 * arm}m${-arm} ${-arm}v${2 * arm}`);
    if (crossed) outline(cross);
    load();
  }

  function outline(path) {
    for (const [strokeStyle, width] of [["#000", 5], ["#fff", 2.5]]) {
      Object.assign(context, { strokeStyle, lineWidth: width * ratio() });
      context.stroke(path);
    }
  }

  /* The view. */
  const clamp = (value, least, most) => Math.max(least, Math.min(most, value));
  const fitting = () => Math.min((width - MARGIN) / columns, (height - MARGIN) / rows, LARGEST);

  function look(x, y, cell = size) {
    size = clamp(cell, fitting(), LARGEST);
    left = clamp(x, width / 2 - columns * size, width / 2); // the middle of the canvas is on the map
    top = clamp(y, height / 2 - rows * size, height / 2);
    ask();
  }

  const center = (column, row, cell) => look(width / 2 - column * cell, height / 2 - row * cell, cell);
  const fit = (cell = fitting()) => center(columns / 2, rows / 2, cell);

  function zoom(factor, x = width / 2, y = height / 2) {
    const cell = clamp(size * factor, fitting(), LARGEST);
    look(x - ((x - left) * cell) / size, y - ((y - top) * cell) / size, cell);
  }

  function mark(feature) {
    if (feature === marked) return;
    marked = feature;
    canvas.style.cursor = feature ? "pointer" : "";
    const { title = "", page = "" } = feature ?? {};
    Object.assign(output.firstChild, { hidden: !feature, textContent: title, href: page });
    ask();
  }

  function markMiddle() {
    const [column, row] = [(width / 2 - left) / size - 0.5, (height / 2 - top) / size - 0.5];
    const far = (one) => Math.hypot(one.column - column, one.row - row);
    mark(features.reduce((best, one) => (far(one) < far(best) ? one : best)));
  }

  function at({ offsetX, offsetY }) {
    const [column, row] = [Math.floor((offsetX - left) / size), Math.floor((offsetY - top) / size)];
    return column >= 0 && column < columns ? byCell[row * columns + column] : undefined;
  }

  /* The address names the feature first, so that the way back leads to it. */
  function open({ hash, page }) {
    history.replaceState(null, "", hash);
    location = page;
  }

  function visit() {
    visited = features.find(({ hash }) => hash === location.hash);
    if (visited) center(visited.column + 0.5, visited.row + 0.5, Math.max(size, NEAR));
    mark(visited);
  }

  /* Pointers: one moves, two zoom. */
  const pointers = new Map();
  let moved = 0;

  canvas.onpointerdown = ({ pointerId, offsetX, offsetY }) => {
    canvas.setPointerCapture(pointerId);
    if (!pointers.size) moved = 0;
    pointers.set(pointerId, [offsetX, offsetY]);
  };

  canvas.onpointermove = (event) => {
    const { pointerId, offsetX, offsetY } = event;
    const [x, y] = pointers.get(pointerId) ?? [];
    crossed = false;
    if (x === undefined) return mark(at(event));
    pointers.set(pointerId, [offsetX, offsetY]);
    moved += Math.hypot(offsetX - x, offsetY - y);
    const [other] = [...pointers].filter(([id]) => id !== pointerId).map(([, place]) => place);
    if (!other) return look(left + offsetX - x, top + offsetY - y);
    const [before, now] = [[x, y], [offsetX, offsetY]].map((one) => Math.hypot(one[0] - other[0], one[1] - other[1]));
    zoom(now / Math.max(before, 1), ...other);
  };

  canvas.onpointerup = (event) => {
    pointers.delete(event.pointerId);
    if (moved > 6 || event.button) return;
    const feature = at(event);
    if (feature && feature === marked) open(feature); // a mouse has marked it before, a finger has not
    mark(feature);
  };
  canvas.onpointercancel = ({ pointerId }) => pointers.delete(pointerId);

  canvas.onwheel = (event) => {
    event.preventDefault();
    const { deltaY, deltaMode, ctrlKey, offsetX, offsetY } = event; // two fingers on a pad are ctrl and the wheel
    zoom(Math.exp(-deltaY * (deltaMode ? 0.06 : ctrlKey ? 0.01 : 0.002)), offsetX, offsetY);
    mark(at(event));
  };

  /* Keys move the map under a cross in the middle. */
  const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const factors = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 };
  canvas.onkeydown = (event) => {
    const { key, altKey, ctrlKey, metaKey } = event;
    if (altKey || ctrlKey || metaKey) return;
    const [x, y] = (steps[key] ?? []).map((way) => way * Math.max(size, 48));
    if (key === "Enter") return marked && open(marked);
    if (steps[key]) look(left + x, top + y);
    else if (factors[key]) zoom(factors[key]);
    else if (key === "0") fit();
    else return;
    event.preventDefault();
    crossed = true;
    markMiddle();
  };
  canvas.onfocus = () => {
    crossed = canvas.matches(":focus-visible");
    if (crossed && !marked) markMiddle();
    ask();
  };
  canvas.onblur = () => ask((crossed = false));

  const [out, closer, all] = controls.querySelectorAll("button");
  out.onclick = () => zoom(1 / 1.5);
  closer.onclick = () => zoom(1.5);
  all.onclick = () => fit();
  select.onchange = ask;

  function start() {
    plane.classList.add("on");
    canvas.hidden = controls.hidden = false;
    onhashchange = visit;
    new ResizeObserver(() => {
      const [least, x, y, isFirst] = [fitting(), width, height, !size];
      [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (isFirst) fit(height > width ? Math.max(fitting(), Math.min(height / rows, 32)) : fitting());
      else if (size <= least) fit();
      else look(left + (width - x) / 2, top + (height - y) / 2);
      if (isFirst) visit();
    }).observe(canvas);
  }

  bitmap(picture).then((found) => (whole = found), () => {}).then(start);
})();
