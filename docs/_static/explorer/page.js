// The page: a slider per key, limits and curves of the paper's three detectors.
"use strict";
(() => {
  const root = document.getElementById("explorer");
  const LEVELS = [0.6827, 0.9, 0.95, 0.99, 0.9973], GRID = 101, CURVE = 161;
  const range = (low, high, points) => Array.from({ length: points }, (_, i) => low + ((high - low) * i) / (points - 1));
  const common = { exposure: ROWS.exposure, signalWidth: ROWS.signal, backgroundWidth: ROWS.background };
  const settings = ROWS.detectors.map(({ mass, distance, efficiency, background }) => ({ mass, distance, efficiency, background }));
  const chosen = { level: ROWS.level, names: [0, 1] };

  function add(parent, name, attributes = {}, text = "") {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  // A slider of a number: logarithmic around its value, or even between two ends.
  function slider(parent, holder, key, label, ends) {
    const line = add(parent, "label", {}, `${label} `), output = add(line, "output");
    const own = holder[key], input = add(line, "input", { type: "range", min: -100, max: 100, step: 1 });
    const value = at => at === start ? own : Number((ends ? ends[0] + ((ends[1] - ends[0]) * (at + 100)) / 200
      : own * 30 ** (at / 100)).toPrecision(3));
    const start = ends ? Math.round((200 * (own - ends[0])) / (ends[1] - ends[0]) - 100) : 0;
    const show = () => { output.textContent = holder[key]; input.setAttribute("aria-valuetext", `${holder[key]}`); };
    input.value = start;
    input.addEventListener("input", () => { holder[key] = value(Number(input.value)); show(); draw(); });
    show();
  }

  function select(parent, label, options, index, change) {
    const made = add(add(parent, "label", {}, `${label} `), "select");
    options.forEach((text, at) => add(made, "option", { value: at }, text));
    made.value = index;
    made.addEventListener("change", () => { change(Number(made.value)); draw(); });
  }

  const controls = add(root, "div", { class: "controls" }), shown = add(root, "div", { class: "shown" });
  const study = add(controls, "fieldset");
  add(study, "legend", {}, "Study");
  ["coupling", "second coupling"].forEach((label, at) =>
    select(study, label, ROWS.couplings, at, index => { chosen.names[at] = index; }));
  select(study, "confidence level", LEVELS.map(each => `${Number((100 * each).toFixed(2))} %`), LEVELS.indexOf(ROWS.level),
    index => { chosen.level = LEVELS[index]; });
  slider(study, common, "exposure", "exposure (years)");
  slider(study, common, "signalWidth", "uncertainty of the signal", [0, 0.2]);
  slider(study, common, "backgroundWidth", "uncertainty of the background", [0, 0.2]);
  ROWS.detectors.forEach((detector, at) => {
    const part = add(controls, "fieldset");
    add(part, "legend", { class: `detector-${at}` }, detector.label);
    slider(part, settings[at], "mass", "mass (kg)");
    slider(part, settings[at], "distance", "distance (m)");
    slider(part, settings[at], "efficiency", "efficiency", [0.05, 1]);
    slider(part, settings[at], "background", "background (counts/keV/kg/day)");
  });
  const table = add(shown, "table"), figures = ["\u0394\u03c7\u00b2 of the coupling", "region of both couplings"].map(label => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    shown.append(svg);
    return svg;
  });

  const raised = n => [...String(n)].map(sign => "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"["-0123456789".indexOf(sign)]).join("");
  const unit = at => `${ROWS.couplings[at]} (10${raised(Math.round(Math.log10(ROWS.scales[at])))} e)`;
  const text = pieces => pieces.map(([low, high]) => `[${low.toPrecision(3)}, ${high.toPrecision(3)}]`).join(" or ");
  const outer = low => { // a round number beyond an end
    const size = 1.5 * Math.abs(low), power = 10 ** Math.floor(Math.log10(size));
    return Math.sign(low) * power * [1, 1.5, 2, 3, 5, 7, 10].find(n => n * power >= size);
  };

  function extent(values, room) {
    const low = Math.min(0, ...values), high = Math.max(0, ...values);
    return [low - room * (high - low), high + room * (high - low)];
  }

  // The lines around chi^2 < level: a box around both limits is widened until it holds them, then drawn tightly.
  function region(products, level, limits) {
    const grid = box => {
      const [x, y] = box.map(each => range(...each, GRID));
      return { x, y, surface: CHI2.grid(products, x, y) };
    };
    const below = row => row.some(value => value < level);
    let box = limits.map(each => extent(each, 0.5)), drawn = grid(box);
    for (let n = 0; n < 8; n++) {
      const { surface } = drawn;
      const edges = [[below(surface.map(row => row[0])), below(surface.map(row => row[GRID - 1]))],
        [below(surface[0]), below(surface[GRID - 1])]];
      if (!edges.flat().some(Boolean)) break;
      box = box.map(([a, b], axis) => [a - (edges[axis][0] ? (b - a) / 2 : 0), b + (edges[axis][1] ? (b - a) / 2 : 0)]);
      drawn = grid(box);
    }
    const lines = PLOT.contour(drawn.surface, drawn.x, drawn.y, level);
    const tight = grid([0, 1].map(axis => extent(lines.flat().map(point => point[axis]), 0.06)));
    return PLOT.contour(tight.surface, tight.x, tight.y, level);
  }

  function draw() {
    const [first, second] = chosen.names, one = CHI2.level(chosen.level, 1), two = CHI2.level(chosen.level, 2);
    const grams = names => ROWS.detectors.map((detector, at) =>
      CHI2.gram(detector, { ...common, ...settings[at], nominalExposure: ROWS.exposure }, names));
    const products = { [first]: grams([first]), [second]: grams([second]) };
    const limits = [first, second].map(name => products[name].map(each => CHI2.pieces(each, one)));
    table.replaceChildren();
    const row = (cells, kind) => { const line = add(table, "tr"); cells.forEach(cell => add(line, kind, {}, cell)); };
    row(["detector", unit(first), unit(second)], "th");
    ROWS.detectors.forEach(({ label }, at) => row([label, text(limits[0][at]), text(limits[1][at])], "td"));

    const ends = limits[0].flat(2).filter(Number.isFinite);
    const x = [outer(Math.min(...ends)), outer(Math.max(...ends))];
    const curve = PLOT.frame(figures[0], { x, y: [0, 3.5 * one], xLabel: unit(first), yLabel: "\u0394\u03c7\u00b2" });
    PLOT.path(curve, [x.map(each => [each, one])], { class: "level" });
    products[first].forEach((each, at) =>
      PLOT.path(curve, [range(...x, CURVE).map(value => [value, CHI2.chi2(each, [value])])], { class: `detector-${at}` }));

    figures[1].replaceChildren();
    if (first === second) return;
    const both = grams([first, second]);
    const regions = both.map((products, at) => region(products, two, limits.map(each => each[at].flat().filter(Number.isFinite))));
    const plain = [0, 1].map(axis => extent(regions.flat(2).map(point => point[axis]), 0.08));
    const plane = PLOT.frame(figures[1], { x: plain[0], y: plain[1], xLabel: unit(first), yLabel: unit(second) });
    regions.forEach((lines, at) => PLOT.path(plane, lines, { class: `detector-${at}` }));
    PLOT.path(plane, [[[0, 0], [0, 0]]], { class: "standard-model" });
  }

  draw();
})();
