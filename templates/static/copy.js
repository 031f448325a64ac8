// A button beside each command that copies it; without scripts there is none.
"use strict";

for (const block of document.querySelectorAll("main pre")) {
  const code = block.firstElementChild;
  const button = document.createElement("button");
  const say = (words) => (button.textContent = words);
  button.className = "copy";
  button.ariaLive = "polite";
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(code.textContent.trim());
      say("Copied");
    } catch {
      getSelection().selectAllChildren(code); // there is no clipboard here
      say("Selected");
    }
  };
  say("Copy");
  block.prepend(button);
}
