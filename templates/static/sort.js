// The whole layer on each of its pages, sorted.
"use strict";

(() => {
  const box = document.querySelector("[data-orders]");
  const filter = box.closest(".filter");
  const grid = document.querySelector(".mosaic");
  const page = [...grid.childNodes];
  const { root } = document.querySelector("[data-root]").dataset;

  /* A page from a disk may not fetch. */
  let loaded;
  const load = () =>
    (loaded ??= new Promise((onload, onerror) => {
      document.head.append(Object.assign(document.createElement("script"), { src: box.dataset.orders, onload, onerror }));
    }));

  /* As the template makes it; words are escaped. */
  function tile(number, { facts, status, sizes, face, words, marks }) {
    const { layer, called } = atlasOrders;
    const own = `${root}${layer}/${number}`;
    const folder = face ? root + face.replace("####", `${number}`.padStart(4, 0)) : own;
    const [width, height, large] = sizes ?? [];
    const picture = `<picture><source type="image/avif" srcset="${folder}/thumb.avif ${width}w, ${folder}/picture.avif ${large}w"><img src="${folder}/thumb.jpg" width="${width}" height="${height}" alt="" loading="lazy" decoding="async"></picture>`;
    const mark = status === "ok" ? "" : ` <span class="status ${status}">${status}</span>`;
    return `<li data-facts="${facts}"><a class="tile" href="${own}/index.html">${sizes ? picture : '<span class="empty"></span>'}<span class="label"><span class="away">${called} </span>${number}${mark}${marks ? ` <span class="marks" role="img" aria-label="${marks[1]}" data-signs="${marks[0]}"></span>` : ""}${words && ` <span class="said">${words}</span>`}</span></a></li>`;
  }

  function tiles(order) {
    const { numbers, kinds, kind, orders, words, word } = atlasOrders;
    const pick = (list, letters, at) => list[letters.charCodeAt(at) - 48];
    const found = new Map(numbers.map((number, at) => [number, { ...pick(kinds, kind, at), words: pick(words, word, at) }]));
    return orders[order].map((number) => tile(number, found.get(number))).join("");
  }

  async function sort() {
    try {
      if (box.value) await load();
    } catch {
      loaded = null; // the next try loads it again
      box.value = "";
      filter.querySelector("output").textContent = "The order cannot be loaded.";
      return;
    }
    const order = (grid.dataset.order = box.value);
    if (order) grid.innerHTML = tiles(order);
    else grid.replaceChildren(...page);
    for (const part of document.querySelectorAll(".pages, h1 .part")) part.hidden = !!order;
    const words = [...grid.children].flatMap(({ dataset }) => dataset.facts.split(" "));
    for (const option of filter.querySelectorAll("[value]:not([value=''])"))
      option.textContent = `${option.value} (${words.filter((word) => word === option.value).length})`;
    filter.dispatchEvent(new Event("change")); // new tiles are filtered, and get their size
  }

  box.onchange = sort;
  if (box.value) sort(); // a browser may bring back what was chosen
})();
