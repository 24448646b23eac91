// Brings what is below #live up to date when the store has changed. The page works without it.
"use strict";
const note = document.querySelector("[data-live]");
const isFirstPage = !new URLSearchParams(location.search).has("before");
if (note && isFirstPage && document.getElementById("live")) {
  const button = document.createElement("button"), state = document.createElement("span");
  let isLive = true, known = null, failed = false, shownAt = Date.now();
  button.type = "button";
  button.className = "quiet";
  button.addEventListener("click", () => { isLive = !isLive; show(); });
  note.append(state, button);
  note.hidden = false;

  function show() {
    note.classList.toggle("on", isLive && !failed);
    state.textContent = !isLive ? "Paused" : failed ? "No connection" : "Live";
    button.textContent = isLive ? "Pause" : "Go on";
  }

  function nameOf(element) {
    return element && (element.id ? "#" + CSS.escape(element.id) : element.getAttribute("href") && `a[href="${CSS.escape(element.getAttribute("href"))}"]`);
  }

  async function replace() {
    const response = await fetch(location.href.split("#")[0], { cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    const next = new DOMParser().parseFromString(await response.text(), "text/html");
    const old = document.getElementById("live"), fresh = next.getElementById("live");
    if (!fresh || getSelection().toString()) return;
    for (const details of old.querySelectorAll("details[id]")) {
      const same = next.getElementById(details.id);
      if (same) same.open = details.open;
    }
    const focused = old.contains(document.activeElement) && nameOf(document.activeElement);
    old.replaceWith(document.adoptNode(fresh));
    if (focused) fresh.querySelector(focused)?.focus({ preventScroll: true });
    const count = document.querySelector("header nav"), newCount = next.querySelector("header nav");
    if (count && newCount && !count.contains(document.activeElement)) count.replaceWith(document.adoptNode(newCount));
    shownAt = Date.now();
  }

  async function look() {
    if (isLive && !document.hidden) {
      try {
        const response = await fetch("/changes", { cache: "no-store" });
        if (!response.ok) throw new Error(response.statusText);
        const changes = await response.text();
        // the ages of events are brought up to date, too
        if ((known !== null && changes !== known) || Date.now() - shownAt > 30000) await replace();
        known = changes;
        failed = false;
      } catch {
        failed = true;
      }
      show();
    }
    setTimeout(look, 2000);
  }

  show();
  look();
}
