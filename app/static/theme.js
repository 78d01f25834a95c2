/* Loaded in the head, before anything is painted: the chosen theme, and the sign that scripts run. */
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let choice = "auto";
  try { choice = localStorage.getItem("kontor-theme") || "auto"; } catch { /* storage is off: auto it is */ }

  function apply() {
    root.dataset.theme = choice;
    root.dataset.bsTheme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  }

  window.kontorTheme = (next) => {
    choice = next;
    try { localStorage.setItem("kontor-theme", next); } catch { /* lasts as long as the page */ }
    apply();
  };

  root.classList.add("k-js");
  dark.addEventListener("change", apply);
  apply();
})();
