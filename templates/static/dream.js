// The picture after a dream lies over the one before, from where a slider says; on paper it stands beside it.
"use strict";

for (const slider of document.querySelectorAll(".dream input")) {
  const box = slider.closest(".dream");
  const after = box.querySelector("figure + figure");

  const show = () => {
    box.style.setProperty("--cut", `${slider.value}%`);
    slider.ariaValueText = `before ${slider.value} %, after ${100 - slider.value} %`;
  };

  const follow = (event) => {
    const { left, width } = after.getBoundingClientRect();
    slider.value = (100 * (event.clientX - left)) / width;
    show();
  };

  slider.oninput = show;
  after.onpointerdown = (event) => {
    after.setPointerCapture(event.pointerId);
    follow(event);
  };
  after.onpointermove = (event) => {
    if (after.hasPointerCapture(event.pointerId)) follow(event);
  };
  after.ondragstart = () => false;
  show();
}
