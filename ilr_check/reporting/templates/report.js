"use strict";
(() => {
  const root = document.documentElement;
  root.classList.replace("no-js", "js");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const say = (text) => { byId("said").textContent = text; };

  // ---- figures: a browser with scripts keeps <noscript> as text, so a drawing costs nothing until it is opened ----
  function insert(within) {
    all("noscript.later", within).forEach((stored) => {
      const holder = document.createElement("div");
      holder.innerHTML = stored.textContent;
      stored.replaceWith(...holder.childNodes);
    });
  }
  function unfold(details) {
    insert(details);
    // A question shows a figure of its claim again.
    all(".again:empty", details).forEach((place) => {
      const figure = byId(place.dataset.figure);
      if (!figure) return;
      insert(figure);
      all(".legend, svg.fig", figure).forEach((part) => place.append(part.cloneNode(true)));
    });
    details.dispatchEvent(new CustomEvent("opened", { bubbles: true }));
  }
  const folded = all("details.claim, details.question");
  folded.forEach((details) => details.addEventListener("toggle", () => { if (details.open) unfold(details); }));

  // ---- colour scheme: automatic, light, dark ----
  const SCHEMES = { auto: "◐ auto", light: "☀ light", dark: "☾ dark" };
  const toggle = byId("theme");
  const recoloured = () => document.dispatchEvent(new CustomEvent("recoloured"));
  function remembered() { try { return localStorage.getItem("ilr-check-scheme"); } catch { return null; } }
  function remember(scheme) { try { localStorage.setItem("ilr-check-scheme", scheme); } catch { /* private mode */ } }
  function setScheme(scheme) {
    if (scheme === "auto") delete root.dataset.scheme; else root.dataset.scheme = scheme;
    toggle.textContent = SCHEMES[scheme];
    toggle.setAttribute("aria-label", `Colour scheme: ${scheme === "auto" ? "automatic" : scheme}`);
    recoloured();
  }
  const stored = remembered();
  setScheme(stored in SCHEMES ? stored : "auto");
  toggle.addEventListener("click", () => {
    const names = Object.keys(SCHEMES);
    const next = names[(names.indexOf(root.dataset.scheme || "auto") + 1) % names.length];
    setScheme(next);
    remember(next);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recoloured);

  // ---- search and filter: rows of the first figure and claims, kept in the address as #?q=...&verdict=... ----
  const search = byId("search");
  const tiles = all(".tile");
  const items = all("[data-claim], .claim-row");
  const texts = new Map();
  const textOf = (item) => {
    if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
    return texts.get(item);
  };
  function pressed() { return tiles.find((tile) => tile.getAttribute("aria-pressed") === "true")?.dataset.filter || ""; }
  function apply() {
    const words = search ? search.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
    const verdict = pressed();
    const claims = new Map();
    items.forEach((item) => {
      const fits = (!verdict || item.dataset.verdict === verdict) && words.every((word) => textOf(item).includes(word));
      const key = item.dataset.claim || item;
      claims.set(key, fits || claims.get(key) || false);
    });
    items.forEach((item) => { item.hidden = !claims.get(item.dataset.claim || item); });
    const shown = [...claims.values()].filter(Boolean).length;
    const none = byId("none-shown");
    if (none) none.hidden = shown > 0 || !claims.size;
    return shown;
  }
  function keep() {
    const query = new URLSearchParams();
    if (search && search.value) query.set("q", search.value);
    if (pressed()) query.set("verdict", pressed());
    history.replaceState(null, "", query.size ? `#?${query}` : location.pathname);
    say(`${apply()} shown`);
  }
  function press(word) { tiles.forEach((tile) => tile.setAttribute("aria-pressed", String(tile.dataset.filter === word))); }
  tiles.forEach((tile) => tile.addEventListener("click", () => {
    press(tile.getAttribute("aria-pressed") === "true" ? "" : tile.dataset.filter);
    keep();
  }));
  if (search) search.addEventListener("input", keep);

  // ---- laws of the gate: their findings below their row ----
  all(".expand").forEach((button) => button.addEventListener("click", () => {
    const open = byId(button.getAttribute("aria-controls")).classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  }));

  // ---- an address that ends in a name opens what it names ----
  function openTarget() {
    const name = decodeURIComponent(location.hash.slice(1));
    if (name.startsWith("?")) {
      const query = new URLSearchParams(name.slice(1));
      if (search) search.value = query.get("q") || "";
      press(query.get("verdict") || "");
      apply();
      return;
    }
    const target = name && byId(name);
    if (!target) return;
    for (let details = target.closest("details"); details; details = details.parentElement.closest("details")) {
      details.hidden = false;
      details.open = true;
      if (details.matches(".claim, .question")) unfold(details);
    }
    target.scrollIntoView();
  }
  addEventListener("hashchange", openTarget);
  openTarget();

  // ---- keys ----
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.matches("input, textarea, select")) {
      if (event.key === "Escape" && event.target === search) { search.value = ""; keep(); search.blur(); }
      return;
    }
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "j" || event.key === "k") {
      const claims = all("details.claim").filter((claim) => !claim.hidden);
      const at = claims.indexOf(document.activeElement.closest("details.claim"));
      const next = claims[event.key === "j" ? at + 1 : at < 0 ? claims.length - 1 : at - 1];
      if (next) { next.querySelector("summary").focus(); next.scrollIntoView(); }
    } else if (event.key === "e") {
      const claims = all("details.claim");
      const open = !claims.some((claim) => claim.open);
      claims.forEach((claim) => { claim.open = open; });
    }
  });

  // ---- copying a command ----
  async function copy(text) {
    try { await navigator.clipboard.writeText(text); return; } catch { /* not allowed here: the old way */ }
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  all(".copy").forEach((button) => button.addEventListener("click", async () => {
    await copy(button.parentElement.querySelector("code").textContent);
    button.textContent = "Copied";
    say("Copied the command");
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  }));

  // ---- paper: light, every claim open with its figures, as it was afterwards ----
  let before = null;
  addEventListener("beforeprint", () => {
    before = { scheme: root.dataset.scheme, closed: all("details.claim:not([open])") };
    root.dataset.scheme = "light";
    recoloured();
    before.closed.forEach((details) => { details.open = true; unfold(details); });
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    if (before.scheme) root.dataset.scheme = before.scheme; else delete root.dataset.scheme;
    before.closed.forEach((details) => { details.open = false; });
    before = null;
    recoloured();
  });
  root.dataset.ready = "yes";
  performance.mark("ready");
})();
