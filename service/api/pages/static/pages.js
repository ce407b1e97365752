// What the pages do beyond HTML: they show how sweeps go on without being loaded again, and number
// the lines of a sweep file. All of them work without it.
"use strict";

const PAUSE_MS = 2000;

// Parts with data-live are replaced by those of the same page, asked for again.
function live() {
  const parts = [...document.querySelectorAll("[data-live]")];
  if (!parts.length) return;
  const shown = new Map(parts.map((part) => [part.id, part.innerHTML]));
  const away = document.getElementById("away");

  async function look() {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      // The session is over, or the sweep is gone: the page itself says so.
      if (answer.redirected || answer.status === 404) return location.reload();
      if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      away.hidden = answer.ok;
    } catch {
      away.hidden = false;
    }
  }

  function show(page) {
    document.title = page.title;
    for (const part of parts) {
      const html = page.getElementById(part.id)?.innerHTML;
      if (html === undefined || html === shown.get(part.id) || isInUse(part)) continue;
      shown.set(part.id, html);
      replace(part, html);
    }
  }

  async function keepLooking() {
    await look();
    setTimeout(keepLooking, PAUSE_MS);
  }
  setTimeout(keepLooking, PAUSE_MS);
  document.addEventListener("visibilitychange", look);
}

// Nothing is taken from under somebody's fingers.
function isInUse(part) {
  const inputs = [...part.querySelectorAll("input")];
  const isTyping = inputs.some((one) => one === document.activeElement || one.value !== one.defaultValue);
  return isTyping || (!getSelection().isCollapsed && part.contains(getSelection().anchorNode));
}

// Focus, what is unfolded and how far a log was scrolled stay.
function replace(part, html) {
  const focused = part.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
  const log = part.querySelector("pre.log");
  const isAtEnd = !log || log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  const top = log?.scrollTop ?? 0;
  part.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  const fresh = part.querySelector("pre.log");
  if (fresh) fresh.scrollTop = isAtEnd ? fresh.scrollHeight : top;
  if (focused) [...part.querySelectorAll("a, button, summary, [tabindex]")].find((one) => keyOf(one) === focused)?.focus();
}

function keyOf(element) {
  return [element.tagName, element.id, element.getAttribute("href"), element.closest("form")?.getAttribute("action")].join(" ");
}

// Line numbers beside a sweep file, those with a mistake marked; a mistake leads to its line.
function number() {
  const text = document.getElementById("spec");
  if (!text) return;
  const gutter = document.createElement("div");
  gutter.className = "gutter";
  gutter.setAttribute("aria-hidden", "true");
  text.before(gutter);
  const links = [...document.querySelectorAll("[data-line]")];
  const wrong = new Set(links.map((link) => Number(link.dataset.line)));

  function draw() {
    const count = text.value.split("\n").length;
    if (gutter.childElementCount !== count) {
      gutter.replaceChildren(...Array.from({ length: count }, (_, place) => {
        const line = document.createElement("span");
        line.textContent = place + 1;
        if (wrong.has(place + 1)) line.className = "wrong";
        return line;
      }));
    }
    gutter.scrollTop = text.scrollTop;
  }
  text.addEventListener("input", draw);
  text.addEventListener("scroll", draw);
  draw();

  for (const link of links) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const lines = text.value.split("\n");
      const place = Number(link.dataset.line) - 1;
      const start = lines.slice(0, place).join("\n").length + (place ? 1 : 0);
      text.focus();
      text.setSelectionRange(start, start + (lines[place] ?? "").length);
      text.scrollTop = (text.scrollHeight / lines.length) * Math.max(place - 5, 0);
    });
  }
}

for (const here of document.querySelectorAll("[data-here]")) here.textContent = location.origin;
document.querySelector("[data-focus]")?.focus();
for (const log of document.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
number();
live();
