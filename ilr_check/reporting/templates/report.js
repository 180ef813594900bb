"use strict";
(() => {
  const root = document.documentElement;
  root.classList.replace("no-js", "js");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const say = (text) => { document.getElementById("said").textContent = text; };

  // ---- drawings: the page's colours in place of the tokens ("measured-0", "margin-0/band") ----
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const OPACITY = { band: 0.22, fill: 0.35 };
  function colour(token) {
    const [name, alpha] = token.split("/");
    probe.style.color = `var(--${name})`;
    const rgb = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).join(",");
    return alpha ? `rgba(${rgb},${OPACITY[alpha]})` : `rgb(${rgb})`;
  }
  function coloured(value) {
    if (Array.isArray(value)) return value;
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) =>
      [key, typeof inner === "string" && key.endsWith("color") ? colour(inner) : coloured(inner)]));
  }
  function layout(own, width) {
    const narrow = width < 520;
    const axis = {
      gridcolor: colour("rule"), linecolor: colour("muted"), tickcolor: colour("muted"), zeroline: false,
      showline: true, ticks: "outside", automargin: true, nticks: narrow ? 6 : 10,
    };
    const merged = (mine) => ({ ...axis, ...mine, title: { ...mine.title, standoff: 8, font: { size: narrow ? 12 : 13 } } });
    return {
      ...own, xaxis: merged(own.xaxis), yaxis: merged(own.yaxis),
      autosize: true, margin: { l: narrow ? 44 : 60, r: 12, t: 8, b: 46 }, hovermode: "closest", dragmode: narrow ? false : "zoom",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("reference-0"), activecolor: colour("ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12.5, color: colour("ink") },
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("rule"), font: { color: colour("ink") }, namelength: -1 },
    };
  }
  // Only what works offline: a picture, zoom, pan, back.
  const BUTTONS = [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]];
  const options = (width) => ({
    responsive: true, displaylogo: false, displayModeBar: width < 520 ? false : "hover", modeBarButtons: BUTTONS,
  });
  // A figure that is shown a second time has the data of the first.
  const dataOf = (figure) => figure.querySelector(".drawing") || document.getElementById(figure.dataset.drawing);
  const drawings = window.Plotly ? all("figure.plot").filter(dataOf).map((figure) => ({
    figure, canvas: figure.querySelector(".canvas"), drawn: false, source: JSON.parse(dataOf(figure).textContent),
  })) : [];
  function draw(drawing) {
    const { canvas, source, figure } = drawing;
    const data = source.data.map(coloured);
    all(".series", figure).forEach((button) => {
      const shown = button.getAttribute("aria-pressed") === "true";
      data[button.dataset.trace].visible = shown;
    });
    Plotly[drawing.drawn ? "react" : "newPlot"](canvas, data, layout(source.layout, canvas.clientWidth), options(canvas.clientWidth));
    drawing.drawn = true;
  }
  // First what is in view; the rest one by one, so that sixty figures do not freeze the page.
  // What is folded up has no width; it is drawn when it is opened.
  const waiting = drawings.filter((drawing) => !drawing.figure.closest("details:not([open])"));
  function drawNext() {
    const next = waiting.shift();
    if (!next) { root.dataset.drawn = "all"; return; }
    draw(next);
    setTimeout(drawNext, 0);
  }
  drawNext();
  all("details.question").forEach((question) => question.addEventListener("toggle", () => {
    drawings.filter((drawing) => !drawing.drawn && question.open && question.contains(drawing.figure)).forEach(draw);
  }));
  const redraw = () => drawings.filter((drawing) => drawing.drawn).forEach(draw);
  all(".series").forEach((button) => button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    draw(drawings.find((drawing) => drawing.figure.contains(button)));
  }));

  // ---- colour scheme: automatic, light, dark ----
  const SCHEMES = { auto: "◐ auto", light: "☀ light", dark: "☾ dark" };
  const toggle = document.getElementById("theme");
  function remembered() { try { return localStorage.getItem("ilr-check-scheme"); } catch { return null; } }
  function remember(scheme) { try { localStorage.setItem("ilr-check-scheme", scheme); } catch { /* private mode */ } }
  function setScheme(scheme) {
    if (scheme === "auto") delete root.dataset.scheme; else root.dataset.scheme = scheme;
    toggle.textContent = SCHEMES[scheme];
    toggle.setAttribute("aria-label", `Colour scheme: ${scheme === "auto" ? "automatic" : scheme}`);
    redraw();
  }
  const stored = remembered();
  setScheme(stored in SCHEMES ? stored : "auto");
  toggle.addEventListener("click", () => {
    const names = Object.keys(SCHEMES);
    const next = names[(names.indexOf(root.dataset.scheme || "auto") + 1) % names.length];
    setScheme(next);
    remember(next);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // ---- verdict table: records of a claim, filter by verdict ----
  all(".expand").forEach((button) => button.addEventListener("click", () => {
    const open = document.getElementById(button.getAttribute("aria-controls")).classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  }));
  all(".tile").forEach((tile) => tile.addEventListener("click", () => {
    const on = tile.getAttribute("aria-pressed") !== "true";
    all(".tile").forEach((other) => other.setAttribute("aria-pressed", String(on && other === tile)));
    const rows = all(".claim-row");
    rows.forEach((row) => { row.hidden = on && row.dataset.verdict !== tile.dataset.filter; });
    say(`${rows.filter((row) => !row.hidden).length} claims shown`);
  }));

  // ---- a link into a closed record opens it ----
  function openTarget() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const details = target.closest("details");
    if (details) { details.open = true; target.scrollIntoView(); }
  }
  addEventListener("hashchange", openTarget);
  openTarget();

  // ---- copying the replay line ----
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
    say("Copied the replay line");
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  }));

  // ---- paper: light, everything open, every figure drawn, as it was afterwards ----
  let before = null;
  addEventListener("beforeprint", () => {
    before = { scheme: root.dataset.scheme, closed: all("details:not([open])") };
    root.dataset.scheme = "light";
    before.closed.forEach((details) => { details.open = true; });
    drawings.forEach(draw);
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    if (before.scheme) root.dataset.scheme = before.scheme; else delete root.dataset.scheme;
    before.closed.forEach((details) => { details.open = false; });
    before = null;
    redraw();
  });
})();
