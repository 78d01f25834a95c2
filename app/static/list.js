/* Tables: opening rows, choosing rows, and the keyboard. */
(() => {
  "use strict";
  const { $, $$, fill, openDialog, searchable } = window.kontor;
  const boxes = (list) => $$("input[name=rowid]", list);
  let lastBox = null;

  /* ---- Choosing rows ------------------------------------------------------------------------------------------ */

  function chosen(list) {
    return boxes(list).filter((box) => box.checked);
  }

  function showChosen(list) {
    const all = boxes(list), picked = chosen(list), bar = $("[data-bulk]", list), head = $("[data-choose-all]", list);
    if (!bar) return;
    all.forEach((box) => box.closest("tr").classList.toggle("is-chosen", box.checked));
    head.checked = picked.length > 0 && picked.length === all.length;
    head.indeterminate = picked.length > 0 && picked.length < all.length;
    bar.classList.toggle("is-open", picked.length > 0);
    const count = $("[data-count]", bar), whole = $("[data-choose-matching]", bar);
    count.textContent = fill(count.dataset.count, { count: picked.length });
    if (whole) whole.hidden = picked.length < all.length;
    showVerbs(bar, picked);
    bar.chosenNames = picked.map((box) => box.closest("tr").dataset.label);
    chooseMatching(bar, null);
  }

  /* All rows that match, those on other pages, too: the server finds them again by the list's address. */
  function chooseMatching(bar, button) {
    const all = $("input[name=all]", bar);
    if (!all) return;
    all.disabled = !button;
    if (!button) return delete bar.dataset.confirm;
    bar.dataset.confirm = button.dataset.question;
    bar.chosenNames = [];
    $("[data-count]", bar).textContent = button.dataset.chosen;
    button.hidden = true;
  }

  /* Only what can be done to every chosen row is offered. */
  function showVerbs(bar, picked) {
    const offered = $$("[data-verb]", bar).filter((button) => {
      button.hidden = !picked.every((box) => box.dataset.verbs.split(" ").includes(button.value));
      return !button.hidden;
    });
    const asks = $$("[data-asks]", bar).length;
    $("[data-no-verb]", bar).hidden = !picked.length || offered.length + asks > 0;
  }

  function chooseRange(list, box) {
    const all = boxes(list), ends = [all.indexOf(lastBox), all.indexOf(box)].sort((a, b) => a - b);
    if (ends[0] < 0) return;
    all.slice(ends[0], ends[1] + 1).forEach((one) => { one.checked = box.checked; });
  }

  function chooseNone(list) {
    boxes(list).forEach((box) => { box.checked = false; });
    showChosen(list);
  }

  /* ---- Opening rows ------------------------------------------------------------------------------------------- */

  function openRow(row, aside) {
    if (!row.dataset.href) return;
    if (aside) window.open(row.dataset.href, "_blank", "noopener");
    else window.location.assign(row.dataset.href);
  }

  document.addEventListener("click", (event) => {
    const list = event.target.closest("[data-list]");
    if (!list) return;
    const target = event.target;
    if (target.matches("input[name=rowid]")) {
      if (event.shiftKey) chooseRange(list, target);
      lastBox = target;
      return showChosen(list);
    }
    if (target.matches("[data-choose-all]")) {
      boxes(list).forEach((box) => { box.checked = target.checked; });
      return showChosen(list);
    }
    if (target.closest("[data-choose-none]")) return chooseNone(list);
    const whole = target.closest("button[data-choose-matching]");
    if (whole) {
      chooseMatching($("[data-bulk]", list), whole);
      return $("[data-verb]:not([hidden])", list)?.focus();
    }
    const asking = target.closest("button[data-asks]");
    if (asking) {
      const url = new URL(asking.dataset.asks, window.location.href);
      chosen(list).forEach((box) => url.searchParams.append("rowid", box.value));
      return openDialog(url.href);
    }
    const toggle = target.closest("[data-filters]");
    if (toggle) return showFilters(list, toggle.getAttribute("aria-expanded") !== "true", true);
    const chip = target.closest("button[data-changes]");
    if (chip) return change(list, chip.dataset.changes);
    const row = target.closest("tr[data-href]");
    const busy = target.closest("a, button, input, label, select, textarea") || String(getSelection());
    if (row && !busy) openRow(row, event.ctrlKey || event.metaKey);
  });

  /* ---- Sorting by several columns: Shift with a click, or with Enter ------------------------------------------- */

  document.addEventListener("click", (event) => {
    const link = event.shiftKey && event.target.closest(".k-sort");
    if (!link) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const section = link.closest("[data-lazy]");
    if (section) htmx.ajax("GET", link.dataset.also, { target: section, swap: "innerHTML" });
    else window.location.assign(link.dataset.also);
  }, true);

  /* ---- Filters ------------------------------------------------------------------------------------------------- */

  function showFilters(list, open, byHand = false) {
    const toggle = $("[data-filters]", list), panel = $(".k-filters", list);
    if (!panel) return;
    toggle.setAttribute("aria-expanded", String(open));
    panel.classList.toggle("is-open", open);
    if (open) $$("select[data-picks]", panel).forEach(picks);
    if (!byHand) return;
    sessionStorage.setItem(`filters:${list.dataset.list}`, open ? "1" : "");
    if (open) $("input:enabled, select:enabled", panel)?.focus();
  }

  /* Several can be chosen; the list follows when the choice is closed. */
  function picks(select) {
    if (select.tomselect) return;
    const picker = searchable(select);
    let changed = false;
    select.addEventListener("change", () => {
      if (picker.isOpen) changed = true;
      else select.form.requestSubmit();
    });
    picker.on("dropdown_close", () => { if (changed) select.form.requestSubmit(); });
  }

  /* A filter in force is changed where it was made. */
  function change(list, name) {
    if (name === "q") return $("[data-search]", list).select();
    showFilters(list, true, true);
    const inputs = $$(`.k-filters [name="${CSS.escape(name)}"]:enabled`, list);
    const input = inputs.find((one) => one.matches("[data-control]")) || inputs[0];
    (input?.tomselect || input)?.focus();
    if (input?.type === "text" && !input.tomselect) input.select();
  }

  /* The way to ask decides what is sent, and under which name: a word by itself, or what is typed and chosen. */
  function asks(ways) {
    const way = ways.selectedOptions[0].dataset, controls = $$("[data-control]", ways.closest("fieldset"));
    controls.forEach((control, place) => {
      const on = place ? "two" in way : "name" in way;
      if (on && !place) control.name = way.name;
      control.disabled = !on;
      control.tomselect?.[on ? "enable" : "disable"]();
    });
    if (!("name" in way) || controls.some((control) => !control.disabled && control.value)) return ways.form.requestSubmit();
    (controls[0].tomselect || controls[0]).focus();
  }

  document.addEventListener("change", (event) => { if (event.target.matches("[data-ways]")) asks(event.target); });

  $$("[data-list]").forEach((list) => {
    showChosen(list);
    const isWide = matchMedia("(min-width: 768px)").matches; // on a phone it would stand before the rows it has found
    if (isWide && sessionStorage.getItem(`filters:${list.dataset.list}`)) showFilters(list, true);
  });
  document.addEventListener("htmx:load", (event) => $$("[data-list]", event.target).forEach(showChosen));
  window.addEventListener("pageshow", () => $$("[data-list]").forEach(showChosen));

  /* ---- Keyboard --------------------------------------------------------------------------------------------------- */

  function step(by) {
    const current = document.activeElement.closest?.("tbody tr");
    const rows = $$("tbody tr[data-label]", current?.closest("table") || $("[data-list]") || document);
    const next = rows[current ? rows.indexOf(current) + by : 0];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  const keys = {
    "/": () => $("[data-search]")?.focus(),
    "?": () => $("#shortcuts").showModal(),
    f: () => $("[data-filters]")?.click(),
    j: () => step(1),
    k: () => step(-1),
    x: (row) => $("input[name=rowid]", row || document.createElement("i"))?.click(),
    e: (row) => row?.querySelector("[data-edit]")?.click(),
    n: () => $("[data-add]")?.click(),
    Enter: (row) => row && row === document.activeElement && openRow(row),
    Escape: (row) => $$("[data-list]").forEach(chooseNone),
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open], .dropdown-menu.show, :popover-open")) return;
    const deed = keys[event.key];
    if (!deed || !$("#shortcuts-on").checked) return;
    const row = document.activeElement.closest?.("tbody tr[data-label]");
    if (event.key === "Enter" && row !== document.activeElement) return;
    event.preventDefault();
    deed(row);
  });
})();
