/* How our pages behave: questions, the dialog, forms, themes. Words come from the page (#k-words), never from here. */
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const words = () => $("#k-words")?.dataset ?? {};
  const fill = (text, values) => (text || "").replace(/\{(\w+)\}/g, (_, key) => values[key]);

  /* ---- Messages --------------------------------------------------------------------------------------------- */

  function said(text, tone) {
    const note = $("#k-note").content.firstElementChild.cloneNode(true);
    note.className = `k-note k-note-${tone}`;
    if (tone === "success") $("use", note).setAttribute("href", $("use", note).getAttribute("href").replace("alert-circle", "circle-check"));
    $("[data-text]", note).textContent = text;
    return note;
  }

  function say(text, tone = "danger") {
    const note = said(text, tone);
    const box = $("#dialog")?.open ? $("#dialog [data-problems]") : null;
    (box || $("#flashes")).replaceChildren(note);
    note.scrollIntoView({ block: "nearest" });
  }

  /* ---- A question before a deed ------------------------------------------------------------------------------- */

  function ask({ title, text, names = [], label, danger = false }) {
    const box = $("#confirm");
    $("[data-title]", box).textContent = title;
    $("[data-text]", box).textContent = text;
    const shown = names.slice(0, 5);
    if (names.length > 5) shown.push(fill(words().more, { count: names.length - 5 }));
    $("[data-names]", box).replaceChildren(...shown.map((name) => {
      const item = document.createElement("li");
      item.textContent = name;
      return item;
    }));
    const yes = $("[value=yes]", box);
    yes.textContent = label;
    yes.className = `btn ${danger ? "btn-danger" : "btn-primary"}`;
    box.returnValue = "";
    box.showModal();
    (danger ? $("[value=no]", box) : yes).focus();
    return new Promise((resolve) => {
      box.addEventListener("close", () => resolve(box.returnValue === "yes"), { once: true });
    });
  }

  /* ---- The dialog: one form at a time, fetched from the server -------------------------------------------------- */

  let typed = false, stale = false; // stale: what was done in the dialog shows on the page only when it is loaded anew

  function openDialog(url) {
    htmx.ajax("GET", url, { target: "#dialog-body", swap: "innerHTML" });
  }

  function showDialog() {
    const dialog = $("#dialog");
    if (!dialog.open) dialog.showModal();
    const first = $("[aria-invalid=true]", dialog) || $("[autofocus]", dialog)
      || $("input:not([type=hidden]), select, textarea", $(".k-dialog-content", dialog) || dialog);
    focus(first);
  }

  function focus(field) {
    const picker = field?.tomselect;
    if (!picker) return field?.focus();
    picker.settings.openOnFocus = false; // whoever opens a dialog is not to see its fields behind a list of choices
    picker.focus();
    setTimeout(() => { picker.settings.openOnFocus = true; }, 50);
  }

  async function closeDialog() {
    const w = words();
    if (typed && !await ask({ title: w.discardTitle, text: w.discardText, label: w.discard, danger: true })) return;
    typed = false;
    $("#dialog").close();
    $("#dialog-body").replaceChildren();
    if (stale) window.location.reload();
  }

  const dialog = $("#dialog");
  dialog?.addEventListener("input", () => { typed = true; });
  dialog?.addEventListener("change", () => { typed = true; });
  dialog?.addEventListener("cancel", (event) => { event.preventDefault(); closeDialog(); });
  dialog?.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if ($(":popover-open", dialog)) return; // it closes that alone, by itself
    event.preventDefault();
    if (!$(".dropdown-active", dialog)) closeDialog();
  });

  /* ---- Talking to the server ------------------------------------------------------------------------------------ */

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = $("meta[name=csrf-token]")?.content ?? "";
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, shouldSwap } = event.detail;
    if (shouldSwap && /<html[\s>]/i.test(xhr.responseText.slice(0, 500))) {
      event.detail.shouldSwap = false; // a whole page, for instance the sign-in after the session ended
      window.location.assign(xhr.responseURL);
    }
  });
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (!event.detail.xhr.getResponseHeader("HX-Redirect")) return;
    typed = false;
    event.detail.elt.dataset.leaving = "";
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id !== "dialog-body") return;
    const changed = $("[data-changed]", dialog);
    if (changed) stale = true;
    if (changed || event.detail.requestConfig?.verb === "get") typed = false;
    showDialog();
  });
  document.addEventListener("htmx:beforeRequest", (event) => setBusy(event.detail.elt, true));
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!("leaving" in event.detail.elt.dataset)) setBusy(event.detail.elt, false);
  });
  document.addEventListener("htmx:responseError", (event) => {
    const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
    failed(event, $("[data-error-text]", page)?.textContent.trim() || words()[event.detail.requestConfig.verb === "get" ? "unloaded" : "failed"]);
  });
  document.addEventListener("htmx:sendError", offline);
  document.addEventListener("htmx:timeout", offline);

  function offline(event) {
    failed(event, words()[event.detail.requestConfig.verb === "get" ? "unloaded" : "offline"]);
  }

  function failed(event, text) {
    const lazy = event.detail.target?.closest("[data-lazy]");
    if (!lazy) return say(text);
    const note = $("#k-retry").content.firstElementChild.cloneNode(true);
    $("[data-text]", note).textContent = text;
    lazy.replaceChildren(note);
  }

  /* ---- Downloads: fetched here, so that the page can say how far they are and stop them ------------------------------ */

  async function download(link) {
    const stop = new AbortController(), note = $("#k-download").content.firstElementChild.cloneNode(true);
    $("[data-stop]", note).addEventListener("click", () => stop.abort());
    $("#flashes").prepend(note);
    try {
      const answer = await fetch(link.href, { signal: stop.signal, headers: { "HX-Request": "true" } });
      const elsewhere = answer.headers.get("HX-Redirect");
      if (elsewhere) return window.location.assign(elsewhere);
      const name = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition"))?.[1];
      if (!answer.ok || !name) return window.location.assign(link.href); // the page there says why
      const about = Number(answer.headers.get("X-Size-About"));
      save(await read(answer.body, (size) => tellHowFar(note, size, about)), name);
      note.replaceWith(said(fill(note.dataset.done, { name }), "success"));
    } catch (error) {
      if (error.name === "AbortError") note.remove();
      else note.replaceWith(said(note.dataset.failed, "danger"));
    }
  }

  function tellHowFar(note, size, about) {
    const known = size < about, bar = $("progress", note); // it was but estimated
    const text = known ? note.dataset.far : note.dataset.running;
    $("[data-text]", note).textContent = fill(text, { size: megabytes(size), about: megabytes(about) });
    if (known) Object.assign(bar, { max: about, value: size });
    else bar.removeAttribute("value");
  }

  async function read(body, tell) {
    const parts = [];
    let size = 0;
    for (const reader = body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts);
      parts.push(value);
      tell(size += value.length);
    }
  }

  function save(file, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  function megabytes(size) {
    return (size / 1e6).toLocaleString(document.documentElement.lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  }

  /* ---- Forms ---------------------------------------------------------------------------------------------------- */

  function setBusy(form, busy) {
    if (!(form instanceof HTMLFormElement)) return;
    if (busy) form.dataset.busy = "";
    else delete form.dataset.busy;
    form.setAttribute("aria-busy", String(busy));
    const own = [...form.elements].filter((element) => element.type === "submit");
    own.forEach((button) => button.classList.toggle("is-busy", busy));
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target, button = event.submitter;
    const stop = () => { event.preventDefault(); event.stopPropagation(); };
    if (form.method === "dialog") return;
    if ("busy" in form.dataset) return stop();
    const question = [button?.dataset.confirm, form.dataset.confirm].filter(Boolean).join(" ");
    if (question && !form.agreed) {
      stop();
      const label = (button?.dataset.label || button?.textContent || "").trim();
      const danger = Boolean(button && "danger" in button.dataset);
      form.agreed = await ask({ title: label, text: question, names: form.chosenNames, label, danger });
      if (form.agreed) form.requestSubmit(button);
      return;
    }
    form.agreed = false;
    const sendsItself = form.hasAttribute("hx-post") || "download" in form.dataset || form.target === "_blank";
    if (!sendsItself) setBusy(form, true);
  }, true);
  document.addEventListener("formdata", (event) => {
    if (event.target.method !== "get") return; // addresses stay short: what is empty is not sent
    for (const name of new Set(event.formData.keys())) {
      const said = event.formData.getAll(name).filter((value) => value !== "");
      event.formData.delete(name);
      said.forEach((value) => event.formData.append(name, value));
    }
    const columns = event.formData.getAll("cols");
    if (columns.length > 1) event.formData.set("cols", columns.join(","));
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) $$("form[data-busy]").forEach((form) => setBusy(form, false));
  });

  /* ---- Clicks ----------------------------------------------------------------------------------------------------- */

  const deeds = {
    "data-close": closeDialog,
    "data-dismiss": (element) => element.closest(".k-note").remove(),
    "data-theme-choice": (element) => { window.kontorTheme(element.dataset.themeChoice); markTheme(); },
    "data-print": () => window.print(),
    "data-shortcuts": () => $("#shortcuts").showModal(),
    "data-reload": () => window.location.reload(),
    "data-copy": async (element) => {
      await navigator.clipboard.writeText($(element.dataset.copy).innerText.trim());
      $("[data-copied]", element.parentElement).textContent = words().copied;
    },
    "data-tick": (element) => {
      for (const box of $$("input[type=checkbox]", element.closest("fieldset"))) {
        box.checked = Boolean(element.dataset.tick) && box.matches(element.dataset.tick);
      }
    },
    "data-choice-more": (element) => {
      const list = $("[data-choices]", element.parentElement), line = list.lastElementChild.cloneNode(true);
      $$("input, select", line).forEach((field) => { field.value = ""; });
      list.append(line);
      $("input:not([type=hidden])", line).focus();
    },
    "data-choice-up": (element) => {
      const line = element.closest("li");
      line.previousElementSibling?.before(line);
      element.focus();
    },
    "data-choice-down": (element) => {
      const line = element.closest("li");
      line.nextElementSibling?.after(line);
      element.focus();
    },
    "data-opens": (element) => $(element.dataset.opens).showModal(),
    "data-shuts": (element) => element.closest("dialog").close(),
    "data-reveal": (element) => {
      const input = $(element.dataset.reveal), hidden = input.type === "password";
      input.type = hidden ? "text" : "password";
      element.setAttribute("aria-pressed", String(hidden));
    },
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-modal]");
    const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
    const file = event.target.closest("a[data-download]");
    if (file && plain) {
      event.preventDefault();
      download(file);
      return;
    }
    if (link && plain && window.htmx && dialog) {
      event.preventDefault();
      openDialog(link.href);
      return;
    }
    for (const [name, deed] of Object.entries(deeds)) {
      const element = event.target.closest(`[${name}]`);
      if (!element) continue;
      if (element.matches("a")) event.preventDefault();
      deed(element);
    }
  });

  // While the menu is a drawer it is a dialog, and a dialog needs a name.
  document.addEventListener("show.bs.offcanvas", ({ target }) => target.setAttribute("aria-label", target.dataset.name));
  document.addEventListener("hidden.bs.offcanvas", ({ target }) => target.removeAttribute("aria-label"));

  function markTheme() {
    const choice = document.documentElement.dataset.theme;
    $$("[data-theme-choice]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    });
  }

  /* ---- New content --------------------------------------------------------------------------------------------------- */

  function searchable(select) {
    if (select.tomselect || !window.TomSelect) return select.tomselect;
    const label = select.getAttribute("aria-label") || $(`label[for="${select.id}"]`)?.textContent.trim();
    for (const option of select.options) if (!option.text.trim()) option.text = "–"; // a choice needs a name
    const inPanel = select.closest(".k-filters");
    const picker = new TomSelect(select, {
      plugins: select.multiple ? ["remove_button"] : [],
      maxOptions: 500,
      allowEmptyOption: true,
      dropdownParent: inPanel ? "body" : null, // a panel that scrolls would cut it off
      refreshThrottle: 0, // Enter takes what was typed, however fast it was
      render: { no_results: () => fill(`<div class="no-results">{text}</div>`, { text: words().nothing || "" }) },
    });
    if (inPanel) $("#main").append(picker.dropdown); // whoever reads by landmarks finds it there
    select.setAttribute("aria-hidden", "true"); // the picker speaks for it; nobody needs to hear of both
    if (label) picker.control_input.setAttribute("aria-label", label);
    for (const name of ["aria-describedby", "aria-invalid", "aria-required"]) {
      if (select.hasAttribute(name)) picker.control_input.setAttribute(name, select.getAttribute(name));
    }
    return picker;
  }

  function watchSections(nav) {
    const links = new Map($$("a[href^='#']", nav).map((link) => [link.hash.slice(1), link]));
    const seen = new IntersectionObserver((entries) => {
      const entry = entries.find((one) => one.isIntersecting);
      if (!entry) return;
      links.forEach((link, key) => {
        if (key === entry.target.id) link.setAttribute("aria-current", "location");
        else link.removeAttribute("aria-current");
      });
    }, { rootMargin: "-15% 0px -70% 0px" });
    links.forEach((_, key) => { const section = document.getElementById(key); if (section) seen.observe(section); });
  }

  function filterChoices(input) {
    const list = $(input.dataset.narrows);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLocaleLowerCase();
      $$("[data-narrow]", list).forEach((item) => {
        item.hidden = !(item.dataset.narrow || item.textContent).toLocaleLowerCase().includes(wanted);
      });
    });
  }

  /* Dragging: the list says which form takes the new order. The arrows beside each line do the same by keyboard. */
  function sorts(list) {
    let dragged = null;
    const order = () => $$(":scope > [data-id]", list).map((line) => line.dataset.id).join(",");
    let before = order();
    list.addEventListener("dragstart", (event) => {
      dragged = event.target.closest("[data-id]");
      event.dataTransfer.effectAllowed = "move";
      dragged.classList.add("is-dragged");
    });
    list.addEventListener("dragover", (event) => {
      const over = event.target.closest("[data-id]");
      if (!dragged || !over) return;
      event.preventDefault();
      const box = over.getBoundingClientRect();
      if (over !== dragged) over[event.clientY < box.top + box.height / 2 ? "before" : "after"](dragged);
    });
    list.addEventListener("drop", (event) => event.preventDefault());
    list.addEventListener("dragend", () => {
      const moved = dragged?.dataset.id;
      dragged?.classList.remove("is-dragged");
      dragged = null;
      if (order() === before || !list.dataset.sorts) return; // without a form, the one around it is sent by hand
      before = order();
      const form = $(list.dataset.sorts);
      form.elements.ids.value = before;
      form.elements.moved.value = moved;
      form.requestSubmit();
    });
  }

  /* Dropping a file on the place for it is choosing it. */
  function takesDrops(place) {
    const input = $("input[type=file]", place);
    const over = (on) => (event) => { event.preventDefault(); place.classList.toggle("is-over", on); };
    place.addEventListener("dragover", over(true));
    place.addEventListener("dragleave", over(false));
    place.addEventListener("drop", (event) => {
      over(false)(event);
      if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
    });
  }

  function enliven(root) {
    $$("[data-drop]", root).forEach(takesDrops);
    $$(".k-view-tabs [aria-current]", root).forEach((tab) => { tab.parentElement.scrollLeft = tab.offsetLeft - 48; });
    $$("[data-sorts]", root).forEach(sorts);
    $$("select[data-searchable]", root).forEach(searchable);
    $$("[data-section-nav]", root).forEach(watchSections);
    $$("[data-narrows]", root).forEach(filterChoices);
  }

  function rememberShortcuts(box) {
    try { box.checked = localStorage.getItem("kontor-shortcuts") !== "off"; } catch { /* storage is off */ }
    box.addEventListener("change", () => localStorage.setItem("kontor-shortcuts", box.checked ? "on" : "off"));
  }

  document.addEventListener("htmx:load", (event) => { if (event.target !== document.body) enliven(event.target); });
  enliven(document);
  focus($("main [aria-invalid=true]")); // a page that comes back with errors begins with the first of them
  markTheme();
  $$("#shortcuts-on").forEach(rememberShortcuts);

  window.kontor = { $, $$, fill, words, say, ask, openDialog, searchable };
})();
