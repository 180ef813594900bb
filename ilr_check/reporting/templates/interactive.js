"use strict";
// Drawings by Plotly, in the colours of the page in place of the tokens ("measured-0", "margin-0/band").
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
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
  const drawings = all("figure.plot").map((figure) => ({ figure, canvas: figure.querySelector(".canvas"), drawn: false }));
  function draw(drawing) {
    const { canvas, figure } = drawing;
    drawing.source ??= JSON.parse(figure.querySelector(".drawing").textContent);
    const data = drawing.source.data.map(coloured);
    all(".series", figure).forEach((button) => {
      data[button.dataset.trace].visible = button.getAttribute("aria-pressed") === "true";
    });
    Plotly[drawing.drawn ? "react" : "newPlot"](canvas, data, layout(drawing.source.layout, canvas.clientWidth), options(canvas.clientWidth));
    drawing.drawn = true;
  }
  // What is folded up has no width; it is drawn when it is opened.
  document.addEventListener("opened", (event) => {
    drawings.filter((drawing) => !drawing.drawn && event.target.contains(drawing.figure)).forEach(draw);
  });
  document.addEventListener("recoloured", () => drawings.filter((drawing) => drawing.drawn).forEach(draw));
  all(".series").forEach((button) => button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    draw(drawings.find((drawing) => drawing.figure.contains(button)));
  }));
})();
