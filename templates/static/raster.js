/* The player of neurons in reading order: scrubbed on its grid by pointer and keys. */
"use strict";

const section = document.querySelector(".video");
const find = (selector) => section.querySelector(selector);
const { layer, feature, grid, cells, stride, fps, picture, field, jump } = JSON.parse(find(".player").dataset.player);
const [rows, cols] = cells;
const last = rows * cols - 1;
const [video, board, play, ask, box] = ["video", ".board", ".play", ".ask", "svg svg"].map(find);
let now = last; // the frame that is named and, once its seek has ended, shown
let wanted = null; // the frame to seek to next
let sure; // a finger is not, at its first move: it may be about to scroll the page
let timer;

const clamp = (value, most) => Math.max(0, Math.min(most, value));
const add = (parent, role) => parent.appendChild(Object.assign(document.createElement("div"), { role }));

/* The grid has the focus, and names the cell that is current. */
const squares = [];
for (let row = 0; row < rows; row++) {
  const line = add(board, "row");
  for (let col = 0; col < cols; col++) {
    const square = add(line, "gridcell");
    square.ariaLabel = `${row}, ${col}`;
    square.id = `cell-${squares.push(square)}`;
  }
}

function show(k) {
  squares.forEach((square, at) => {
    square.classList.toggle("in", at <= k);
    square.ariaSelected = at === k;
  });
  board.setAttribute("aria-activedescendant", squares[k].id);
  now = k;
  find(".where code").textContent = `${layer}[${feature}, ${neuronOf(k).join(", ")}]`;
  find(".where span").textContent = `frame ${k + 1} of ${last + 1}`;
  mark(neuronOf(k).map((at) => at * jump));
}

/* The last neuron of a cell. */
function neuronOf(k) {
  return [Math.floor(k / cols), k % cols].map((cell, side) => Math.min((cell + 1) * stride, grid[side]) - 1);
}

/* Draw neuron (0, 0)'s field, moved by so many pixels and cut off at the picture's edges. */
function mark([down, right]) {
  const [width, height] = picture;
  const [y, bottom] = [field[0], field[2]].map((edge) => clamp(edge + down, height));
  const [x, end] = [field[1], field[3]].map((edge) => clamp(edge + right, width));
  const covers = bottom - y === height && end - x === width;
  const edges = { x, y, width: covers ? 0 : end - x, height: bottom - y };
  for (const key in edges) box.setAttribute(key, edges[key]);
  find(".boxed").hidden = covers;
  find(".covered").hidden = !covers;
}

function scrub(k) {
  video.pause();
  seek(k);
  clearTimeout(timer);
  timer = setTimeout(() => history.replaceState(null, "", `#${neuronOf(k)}`), 400);
}

function seek(k) {
  show(k);
  wanted = k;
  if (video.preload === "none") {
    video.preload = "auto";
    video.load();
  }
  follow();
}

/* To a frame's middle, since at its edge the one before may show; one seek at a time, then the newest. */
function follow() {
  if (wanted === null || video.seeking || !video.readyState) return;
  video.currentTime = (wanted + 0.5) / fps;
  wanted = null;
}

function point({ type, buttons, clientX, clientY }) {
  const { left, top, width, height } = board.getBoundingClientRect();
  const row = clamp(Math.floor(((clientY - top) / height) * rows), rows - 1);
  const col = clamp(Math.floor(((clientX - left) / width) * cols), cols - 1);
  const k = row * cols + col;
  if (buttons || type === "pointerup") scrub(k);
  else if (video.paused && k !== now) seek(k); // a mouse that passes by leaves the address as it is
}

function press(event) {
  const col = now % cols;
  const page = cols * Math.ceil(rows / 4);
  const to = {
    ArrowLeft: now - 1,
    ArrowRight: now + 1,
    ArrowUp: now - cols,
    ArrowDown: now + cols,
    PageUp: Math.max(now - page, col),
    PageDown: Math.min(now + page, last + 1 - cols + col),
    Home: event.ctrlKey ? 0 : now - col,
    End: event.ctrlKey ? last : now - col + cols - 1,
  }[event.key];
  if (event.altKey || event.metaKey || (to === undefined && event.key !== " ")) return;
  event.preventDefault();
  if (to === undefined) toggle();
  else if (to === clamp(to, last)) scrub(to);
}

function toggle() {
  if (!video.paused) return video.pause();
  seek(now === last ? 0 : now);
  video.play().catch(() => {}); // paused before it began
}

function run() {
  play.textContent = video.paused ? "Play" : "Pause";
  if (video.paused) return;
  if (!video.seeking && wanted === null) show(clamp(Math.floor(video.currentTime * fps), last));
  requestAnimationFrame(run);
}

/* Go to the neuron that the address names. */
function read() {
  const [, row, col] = /^#(\d+),(\d+)$/.exec(location.hash) ?? [];
  if (!(row < grid[0] && col < grid[1])) return;
  unfold();
  board.parentElement.scrollIntoView();
  video.pause();
  seek(Math.floor(row / stride) * cols + Math.floor(col / stride));
}

function unfold() {
  section.classList.add("on");
  ask.hidden = true;
}

new IntersectionObserver(([seen]) => {
  if (seen.isIntersecting) video.poster = video.dataset.poster; // at first view nothing of the video is loaded
}).observe(video);
video.controls = false;
video.onloadedmetadata = video.onseeked = follow;
video.onplay = run;
video.onpause = () => scrub(now);
video.onerror = () => section.classList.add("broken");
board.onpointerdown = (event) => {
  board.setPointerCapture(event.pointerId);
  sure = event.pointerType === "mouse";
  if (sure) point(event);
};
board.onpointermove = (event) => {
  if (sure || !event.buttons) point(event);
  sure = true;
};
board.onpointerup = point;
board.onkeydown = press;
play.onclick = toggle;
find("select").onchange = ({ target }) => (video.defaultPlaybackRate = video.playbackRate = target.value);
ask.onclick = () => {
  unfold();
  board.focus();
};
window.onhashchange = read;

show(last);
if (matchMedia("(prefers-reduced-motion: reduce)").matches) ask.hidden = false;
else unfold();
read();
