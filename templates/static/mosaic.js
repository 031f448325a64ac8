// A layer's mosaic: the size of its pictures, a walk by arrow keys, and each picture large.
"use strict";

(() => {
  const grid = document.querySelector(".mosaic");
  const sizes = { s: "72px", m: "144px", l: "288px" };
  const buttons = [...document.querySelectorAll(".sizes button")];

  function resize(size) {
    grid.dataset.size = size;
    for (const source of grid.querySelectorAll("source")) source.sizes = sizes[size];
    for (const button of buttons) button.ariaPressed = button.dataset.size === size;
  }

  for (const button of buttons) {
    button.onclick = () => {
      const { size } = button.dataset;
      resize(size);
      keep(size);
    };
  }

  document.querySelector(".filter").addEventListener("change", () => resize(grid.dataset.size));

  /* A browser may refuse to remember. */
  function keep(size) {
    try {
      localStorage.setItem("size", size);
    } catch {}
  }

  try {
    const kept = localStorage.getItem("size");
    if (kept in sizes) resize(kept);
  } catch {}

  const shown = () => [...grid.querySelectorAll("li:not([hidden]) > .tile")];
  const rowLength = (tiles) => tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;

  grid.onkeydown = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const tiles = shown();
    const at = tiles.indexOf(document.activeElement);
    const row = rowLength(tiles);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row, Home: -at, End: tiles.length - 1 - at }[
      event.key
    ];
    if (event.key === " ") open(tiles[at]);
    else if (step !== undefined) tiles[at + step]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page before and after have the same keys
  };

  /* The dialog shows the picture of the tile that has the focus. */
  const dialog = document.querySelector(".lightbox");
  const [figure, caption] = ["figure", "figcaption"].map((sought) => dialog.querySelector(sought));
  const [before, after, close] = dialog.querySelectorAll("button");
  let current;

  function open(tile) {
    const picture = tile?.querySelector("picture")?.cloneNode(true);
    if (!picture) return;
    current = tile;
    for (const source of picture.querySelectorAll("source")) source.sizes = "100vw";
    const image = picture.querySelector("img");
    image.loading = "eager";
    image.alt = tile.textContent.trim();
    figure.querySelector("picture")?.remove();
    figure.prepend(picture);
    const link = document.createElement("a");
    link.textContent = image.alt;
    link.href = tile.href;
    caption.replaceChildren(link);
    const tiles = shown();
    before.disabled = tile === tiles[0];
    after.disabled = tile === tiles.at(-1);
    if (!dialog.open) dialog.showModal();
  }

  function walk(step) {
    const tiles = shown();
    open(tiles[tiles.indexOf(current) + step]);
  }

  before.onclick = () => walk(-1);
  after.onclick = () => walk(1);
  close.onclick = () => dialog.close();
  dialog.onclose = () => current.focus();
  dialog.onkeydown = (event) => {
    const { key } = event;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    event.stopPropagation(); // as above
    if (step) walk(step);
    else if (key === " " && document.activeElement.tagName !== "BUTTON") dialog.close();
  };
  dialog.onclick = ({ target }) => target === dialog && dialog.close(); // beside the picture

  let from;
  dialog.onpointerdown = ({ clientX }) => (from = clientX);
  dialog.onpointerup = ({ clientX }) => {
    const way = clientX - from;
    if (Math.abs(way) > 40) walk(way < 0 ? 1 : -1);
  };
})();
