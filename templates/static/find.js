// Search, a random feature, the pages before and after, the filter of a layer's page.
"use strict";

(() => {
  const { root } = document.currentScript.dataset; // the way to the site's folder
  const make = (tag, facts, ...inside) => {
    const made = Object.assign(document.createElement(tag), facts);
    made.append(...inside);
    return made;
  };

  /* A script, since a page from a disk may not fetch. */
  let index;
  async function load() {
    index ??= new Promise((onload, onerror) => {
      document.head.append(make("script", { src: `${root}static/index.js`, onload, onerror }));
    }).then(() => unpack(atlasIndex));
    return index.catch(() => (index = null)); // the next try loads it again
  }

  /* Pages, then features. */
  function unpack({ states, colours, words, layers, pages }) {
    const found = pages.map(([title, page, about]) => ({ title, page, about }));
    const pick = (list, letters, k) => list[letters.charCodeAt(k) - 48];
    for (const { name, region, branches, numbers, state, colour, word, faces } of layers) {
      let k = 0;
      for (const range of numbers.split(",")) {
        const [first, last = first] = range.split("-").map(Number);
        for (let number = first; number <= last; number++, k++) {
          const [branch] = branches.findLast(([, begin]) => begin <= number);
          const facts = [branch, pick(states, state, k), pick(colours, colour, k), pick(words, word, k)].filter(Boolean);
          const folder = `${name}/${number}/`;
          found.push({
            title: `${name} ${number}`,
            page: `${folder}index.html`,
            thumb: !facts.includes("pending") && `${faces[number] ?? folder}thumb.jpg`,
            about: facts.join(" · "),
            more: `${region} ${branch.replace(/branch|dbl/g, " $& ")}`,
          });
        }
      }
    }
    return found.map((one) => ({ ...one, head: fold(one.title), words: fold(one.title, one.about, one.more) }));
  }

  /* Words between spaces. */
  function fold(...texts) {
    return ` ${texts.join(" ")} `.toLowerCase().replaceAll("×", "x").replace(/[\s_[\],:]+/g, " ");
  }

  /* What has a query's numbers and beginnings of its words, in its title first; of a slice's "[654, 3" only 654. */
  function search(all, query) {
    const words = fold(query.replace(/(\[[^,\]]*),[^\]]*/g, "$1")).match(/\S+/g) ?? [];
    const sought = words.map((word) => (/^\d+$/.test(word) ? ` ${word} ` : ` ${word}`));
    const fits = (text) => sought.length && sought.every((word) => text.includes(word));
    const rank = ({ title, head }) => (fits(head) ? title.length : 99);
    return all.filter((one) => fits(one.words)).sort((one, other) => rank(one) - rank(other));
  }

  const dialog = document.querySelector(".finder");
  const [input, close, status, list] = ["input", "button", "p", "ul"].map((tag) => dialog.querySelector(tag));

  async function show() {
    const all = await load();
    if (!all) return (status.textContent = "The index cannot be loaded.");
    const found = search(all, input.value);
    list.replaceChildren(...found.slice(0, 24).map(row));
    const hint = all.some((one) => one.thumb) ? "" : "No feature is rendered yet.";
    status.textContent = input.value ? `${found.length} found, ${list.childElementCount} listed` : hint;
  }

  function row({ title, page, about, thumb }) {
    const text = make("span", {}, make("b", {}, title), make("small", {}, about));
    const image = thumb && make("img", { loading: "lazy", width: 48, height: 48, alt: "", src: root + thumb });
    return make("li", {}, make("a", { href: root + page }, image || "", text));
  }

  function open(query) {
    input.value = query;
    dialog.showModal();
    show();
  }

  async function surprise() {
    const shown = (await load())?.filter((one) => one.thumb);
    const one = shown?.at(Math.random() * shown.length);
    if (one) location = root + one.page;
    else open(""); // it says why
  }

  input.oninput = show;
  close.onclick = () => dialog.close();
  dialog.onkeydown = (event) => {
    const { key, target } = event;
    const stops = [input, ...list.querySelectorAll("a")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (step) stops.at((stops.indexOf(target) + step) % stops.length).focus();
    else if (key === "Enter" && target === input) stops[1]?.click();
    else return;
    event.preventDefault();
  };
  document.onkeydown = (event) => {
    const { key, target } = event;
    if (event.altKey || event.ctrlKey || event.metaKey || dialog.open || target.closest("input:not(.tabs input), select")) return;
    const rel = { ArrowLeft: "prev", ArrowRight: "next" }[key];
    if (rel && !event.shiftKey && !target.closest("video, .tabs, [tabindex]")) document.querySelector(`[rel=${rel}]`)?.click();
    if (key !== "/") return;
    event.preventDefault();
    open("");
  };

  /* What is hidden where there are no scripts. */
  const filter = document.querySelector(".filter");
  const filters = document.querySelectorAll(".filter select:not([data-orders])");
  const chosen = () => Array.from(filters, (box) => box.value).filter(Boolean);
  for (const tool of document.querySelectorAll("[data-find]")) {
    const { find } = tool.dataset;
    tool.hidden = false;
    tool.onclick = find === "random" ? surprise : () => open([find, ...(find && chosen())].join(" "));
  }
  if (!filter) return;
  filter.hidden = false;
  filter.onchange = () => {
    const tiles = [...document.querySelectorAll("[data-facts]")];
    const words = chosen();
    const has = ({ dataset }) => words.every((word) => dataset.facts.split(" ").includes(word));
    for (const tile of tiles) tile.hidden = !has(tile);
    const output = filter.querySelector("output"); // none where there is nothing to choose from
    const [some, all] = [tiles.filter(has), tiles].map(({ length }) => length.toLocaleString("en"));
    const where = document.querySelector(".mosaic").dataset.order ? "" : " on this page";
    if (output) output.textContent = `${some} of ${all}${where}`;
  };
  filter.onchange(); // a browser may bring back what was chosen
})();
