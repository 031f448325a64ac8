// Finding: the search ("/"), a random feature, and the filter of a layer's page.
"use strict";

(() => {
  const { root } = document.currentScript.dataset; // the way from this page to the site's folder
  const make = (tag, facts, ...inside) => {
    const made = Object.assign(document.createElement(tag), facts);
    made.append(...inside);
    return made;
  };

  /* The index is a script, since a page from a disk may not fetch; loaded when it is first wanted. */
  let index;
  function load() {
    return (index ??= new Promise((done) => {
      const onload = () => done(unpack(atlasIndex));
      document.head.append(make("script", { src: `${root}static/index.js`, onload }));
    }));
  }

  /* Everything that can be found: pages, then features in the network's order. */
  function unpack({ states, tints, layers, pages }) {
    const found = pages.map(([title, page, about]) => ({ title, page, about }));
    const pick = (list, letters, k) => list[letters.charCodeAt(k) - 48];
    for (const { name, region, branches, numbers, state, tint } of layers) {
      let k = 0;
      for (const range of numbers.split(",")) {
        const [first, last = first] = range.split("-").map(Number);
        for (let number = first; number <= last; number++, k++) {
          const [branch] = branches.findLast(([, begin]) => begin <= number);
          const facts = [branch, pick(states, state, k), pick(tints, tint, k)].filter(Boolean);
          const folder = `${name}/${number}/`;
          found.push({
            title: `${name} ${number}`,
            page: `${folder}index.html`,
            thumb: !facts.includes("pending") && `${folder}thumb.jpg`,
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

  /* What has the numbers of a query and beginnings of all its words; first what has them in its title, as "6b 654". */
  function search(all, query) {
    const words = fold(query.split(",")[0]).match(/\S+/g) ?? [];
    const sought = words.map((word) => (/^\d+$/.test(word) ? ` ${word} ` : ` ${word}`));
    const fits = (text) => sought.length && sought.every((word) => text.includes(word));
    const rank = ({ title, head }) => (fits(head) ? title.length : 99);
    return all.filter((one) => fits(one.words)).sort((one, other) => rank(one) - rank(other));
  }

  const dialog = document.querySelector(".finder");
  const [input, close, status, list] = ["input", "button", "p", "ul"].map((tag) => dialog.querySelector(tag));

  async function show() {
    const found = search(await load(), input.value);
    list.replaceChildren(...found.slice(0, 24).map(row));
    status.textContent = input.value && `${found.length} found, ${list.childElementCount} listed`;
  }

  function row({ title, page, about, thumb }) {
    const link = make("a", { href: root + page });
    if (thumb) link.append(make("img", { loading: "lazy", width: 48, height: 48, alt: "", src: root + thumb }));
    link.append(make("span", {}, make("b", {}, title), make("small", {}, about)));
    return make("li", {}, link);
  }

  function open(query) {
    input.value = query;
    dialog.showModal();
    show();
  }

  async function surprise() {
    const shown = (await load()).filter((one) => one.thumb);
    if (shown.length) location = root + shown[Math.floor(Math.random() * shown.length)].page;
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
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, textarea, select, dialog")) return;
    event.preventDefault();
    open("");
  });

  /* What is hidden where there are no scripts. */
  const filter = document.querySelector(".filter");
  const chosen = () => Array.from(filter?.querySelectorAll("select") ?? [], (box) => box.value).filter(Boolean);
  for (const tool of document.querySelectorAll("[data-find]")) {
    const { find } = tool.dataset;
    tool.hidden = false;
    tool.onclick = find === "random" ? surprise : () => open([find, ...(find && chosen())].join(" "));
  }
  if (!filter) return;
  filter.hidden = false;
  filter.onchange = () => {
    const tiles = [...document.querySelectorAll("[data-facts]")];
    const has = ({ dataset }) => chosen().every((word) => dataset.facts.split(" ").includes(word));
    for (const tile of tiles) tile.hidden = !has(tile);
    filter.querySelector("output").textContent = `${tiles.filter(has).length} of ${tiles.length} on this page`;
  };
  filter.onchange(); // a browser may bring back what was chosen before
})();
