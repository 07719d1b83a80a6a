// Keyboard shortcuts of the review page, which also works without them.
"use strict";

(() => {
  const OFF = "contentq-review-keys-off";
  const KEYS = { a: "approve", r: "note", j: "next", k: "previous" };
  const button = document.getElementById("keys-switch");
  const form = document.getElementById("decision");
  let isSent = false;

  if (button) {
    const show = () => button.setAttribute("aria-pressed", String(!localStorage.getItem(OFF)));
    button.hidden = false;
    button.addEventListener("click", () => {
      if (localStorage.getItem(OFF)) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, "yes");
      show();
    });
    show();
  }

  // Submit only once each time the page is shown, even if a key is pressed repeatedly.
  if (form) {
    form.addEventListener("submit", (event) => {
      if (isSent) event.preventDefault();
      isSent = true;
    });
  }
  window.addEventListener("pageshow", () => { isSent = false; });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (localStorage.getItem(OFF)) return;
    const field = event.target instanceof Element && event.target.closest("input, select, textarea");
    if (field) {
      if (event.key === "Escape") field.blur();
      return;
    }
    const target = document.getElementById(KEYS[event.key.toLowerCase()] || "");
    if (!target) return;
    event.preventDefault();
    if (target.id === "note") target.focus();
    else target.click();
  });
})();
