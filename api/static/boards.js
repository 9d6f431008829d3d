// Shows the panels of Grafana, light or dark as the page is, also when that changes.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");

function showPanels() {
  for (const frame of document.querySelectorAll("iframe[data-light]")) {
    const wanted = dark.matches ? frame.dataset.dark : frame.dataset.light;
    if (frame.getAttribute("src") !== wanted) frame.src = wanted;
  }
}

showPanels();
dark.addEventListener("change", showPanels);
