// Conveniences: the page also works without them.
"use strict";

(() => {
  const PAUSED = "contentq-live-paused";
  const region = () => document.getElementById("live");

  // Whether an update would discard the user's input or focus.
  const inUse = (live) => {
    if (live.contains(document.activeElement) && document.activeElement !== live) return true;
    if (live.querySelector("details[open]")) return true;
    const fields = live.querySelectorAll("input:not([type=hidden]), textarea, select");
    return [...fields].some((field) =>
      field.type === "checkbox" ? field.checked !== field.defaultChecked
        : field.tagName !== "SELECT" && field.value !== field.defaultValue);
  };

  document.addEventListener("htmx:configRequest", (event) => {
    const live = region();
    if (event.target !== live) return;
    if (document.hidden || localStorage.getItem(PAUSED) || inUse(live)) event.preventDefault();
  });

  for (const kind of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(kind, () => document.body.classList.add("is-stale"));
  }
  document.addEventListener("htmx:afterSwap", () => document.body.classList.remove("is-stale"));

  const button = document.getElementById("live-switch");
  if (button && region()) {
    const show = () => button.setAttribute("aria-pressed", String(Boolean(localStorage.getItem(PAUSED))));
    button.hidden = false;
    button.addEventListener("click", () => {
      if (localStorage.getItem(PAUSED)) localStorage.removeItem(PAUSED);
      else localStorage.setItem(PAUSED, "yes");
      show();
    });
    show();
  }

  // Times are in UTC; a tooltip shows the local time.
  document.addEventListener("mouseover", (event) => {
    const time = event.target instanceof Element && event.target.closest("time[datetime]:not([title])");
    if (time) time.title = new Date(time.dateTime).toLocaleString(document.documentElement.lang);
  });
})();
