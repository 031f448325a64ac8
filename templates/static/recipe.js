// The curves of a recipe, read off step by step: with the slider and its keys, or by pointing at a curve.
"use strict";

const box = document.querySelector(".recipes");
const figures = [...box.querySelectorAll(".recipe")];
const [select, slider, readout] = ["select", "input", ".readout"].map((found) => box.querySelector(found));
let facts;

const mix = ([first, last], step, steps) => +((first * (steps - step) + last * step) / steps).toPrecision(3);

function show() {
  const { steps: all, octaves, ends: [left, right, bottom] } = facts;
  let step = +slider.value;
  const x = left + ((right - left) * step) / all;
  for (const line of box.querySelectorAll(".marker")) line.setAttribute("d", `M${x} 0V${bottom}`);
  const at = octaves.findIndex(([, steps]) => step < steps || ((step -= steps), false));
  const [size, steps, rate, blur] = octaves[at];
  const blurred = blur ? `blur ${mix(blur, step, steps)} px` : "no blur";
  const there = `octave ${at + 1}, ${size} px, rate ${mix(rate, step, steps)}, ${blurred}`;
  readout.textContent = slider.ariaValueText = `step ${slider.value} of ${all}: ${there}`;
}

function choose() {
  figures.forEach((figure, at) => (figure.hidden = at !== select.selectedIndex));
  facts = JSON.parse(figures[select.selectedIndex].dataset.recipe);
  slider.max = facts.steps - 1;
  show();
}

for (const chart of box.querySelectorAll("svg")) {
  chart.onpointermove = ({ clientX }) => {
    const { left: start, width } = chart.getBoundingClientRect();
    const [left, right] = facts.ends;
    const x = ((clientX - start) / width) * chart.viewBox.baseVal.width;
    slider.value = ((x - left) / (right - left)) * facts.steps;
    show();
  };
}

box.querySelector("details")?.replaceWith(...figures.slice(1));
box.querySelector(".controls").hidden = false;
select.onchange = choose;
slider.oninput = show;
choose();
