// Tells the figures of the day under the pointer, or of the one that the arrow keys chose. They are
// read from the table of days beside the chart: nothing is computed here.
"use strict";

function readDays(table) {
  const heads = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  return [...table.tBodies[0].rows].map((row) => ({
    title: row.cells[0].textContent,
    unpriced: row.dataset.unpriced,
    figures: [...row.cells].slice(1).map((cell, place) => ({
      label: heads[place],
      value: cell.firstElementChild.textContent,
      used: !cell.firstElementChild.classList.contains("nil"),
      isTotal: place === heads.length - 1,
    })),
  }));
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function describe(day) {
  const list = document.createElement("dl");
  for (const { label, value, used, isTotal } of day.figures) {
    if (!used && !isTotal) continue;
    const className = isTotal ? "sum" : "";
    list.append(element("dt", label, className), element("dd", value, className));
  }
  if (day.unpriced) list.append(element("dt", "Unpriced usages"), element("dd", day.unpriced));
  return [element("p", day.title), list];
}

function attach(chart) {
  const days = readDays(document.getElementById(chart.dataset.days));
  const cursor = chart.querySelector(".chart-cursor");
  const tip = chart.querySelector(".chart-tip");
  let shown = null;

  // The place of the bars on the screen, in pixels, for the rendering that is on show.
  function place() {
    const picture = [...chart.querySelectorAll(":scope > svg")].find((svg) => svg.clientWidth);
    const scale = picture.clientWidth / picture.viewBox.baseVal.width;
    const of = (name) => Number(picture.dataset[name]) * scale;
    const height = picture.viewBox.baseVal.height * scale;
    return { left: of("left"), width: of("plot"), top: of("top"), height: height - of("top") - of("bottom") };
  }

  function hide() {
    shown = null;
    cursor.hidden = tip.hidden = true;
  }

  function show(number) {
    const plot = place();
    const step = plot.width / days.length;
    if (number !== shown) tip.replaceChildren(...describe(days[number]));
    shown = number;
    cursor.hidden = tip.hidden = false;
    const middle = plot.left + (number + 0.5) * step;
    Object.assign(cursor.style, {
      left: `${middle - Math.max(step, 3) / 2}px`,
      width: `${Math.max(step, 3)}px`,
      top: `${plot.top}px`,
      height: `${plot.height}px`,
    });
    const room = chart.clientWidth - tip.offsetWidth;
    const right = middle + 14;
    const left = right <= room ? right : middle - 14 - tip.offsetWidth;
    tip.style.left = `${Math.min(Math.max(left, 0), Math.max(room, 0))}px`;
    tip.style.top = `${plot.top}px`;
  }

  chart.addEventListener("pointermove", (event) => {
    const plot = place();
    const x = event.clientX - chart.getBoundingClientRect().left - plot.left;
    if (x < 0 || x >= plot.width) hide();
    else show(Math.floor((x / plot.width) * days.length));
  });
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const last = days.length - 1;
    const now = shown ?? (event.key === "ArrowRight" ? -1 : last + 1);
    const next = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") hide();
    if (next === undefined) return;
    event.preventDefault();
    show(Math.min(Math.max(next, 0), last));
  });
}

document.querySelectorAll(".chart").forEach(attach);
