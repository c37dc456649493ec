// Axes, lines and level sets in SVG: as much as the page needs.
"use strict";
const PLOT = (() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const WIDTH = 460, HEIGHT = 300, LEFT = 52, BOTTOM = 44, TOP = 12, RIGHT = 12;

  function element(name, attributes, text) {
    const made = document.createElementNS(SPACE, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Round steps of an axis: 1, 2 or 5 times a power of ten, some five of them.
  function ticks(low, high) {
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find(n => n * power >= rough);
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++) found.push(n * step);
    return found;
  }

  const number = value => String(Number(value.toPrecision(6))).replace("-", "\u2212");

  // An empty frame; `x` and `y` are [low, high], the maps turn values into places.
  function frame(svg, { x, y, xLabel, yLabel }) {
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    const across = value => LEFT + ((value - x[0]) / (x[1] - x[0])) * (WIDTH - LEFT - RIGHT);
    const up = value => HEIGHT - BOTTOM - ((value - y[0]) / (y[1] - y[0])) * (HEIGHT - BOTTOM - TOP);
    for (const value of ticks(...x)) {
      svg.append(element("line", { class: "grid", x1: across(value), x2: across(value), y1: TOP, y2: HEIGHT - BOTTOM }));
      svg.append(element("text", { x: across(value), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, number(value)));
    }
    for (const value of ticks(...y)) {
      svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: up(value), y2: up(value) }));
      svg.append(element("text", { x: LEFT - 6, y: up(value) + 4, "text-anchor": "end" }, number(value)));
    }
    const middle = (HEIGHT - BOTTOM + TOP) / 2;
    svg.append(element("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, xLabel));
    svg.append(element("text",
      { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, yLabel));
    const inner = element("svg",
      { x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM, overflow: "hidden" });
    svg.append(inner);
    return { svg: inner, across: value => across(value) - LEFT, up: value => up(value) - TOP };
  }

  function path({ svg, across, up }, lines, attributes) {
    const place = ([x, y]) => `${across(x).toFixed(2)} ${up(y).toFixed(2)}`;
    const d = lines.filter(line => line.length).map(line => `M${line.map(place).join("L")}`).join("");
    svg.append(element("path", { fill: "none", ...attributes, d }));
  }

  // Marching squares: pieces of the line at `level` through values[row][column] at points x and y, joined to lines.
  function contour(values, x, y, level) {
    const ends = new Map(), key = (a, b) => `${a} ${b}`;
    const between = (a, b, at, to) => at + ((level - a) / (b - a)) * (to - at);
    const points = new Map();
    const join = (a, b) => {
      for (const [from, to] of [[a, b], [b, a]]) ends.set(from, [...(ends.get(from) || []), to]);
    };
    for (let row = 0; row + 1 < y.length; row++) {
      for (let column = 0; column + 1 < x.length; column++) {
        const [a, b] = [values[row][column], values[row][column + 1]];
        const [d, c] = [values[row + 1][column], values[row + 1][column + 1]];
        const cuts = [];
        const cut = (p, q, name, point) => {
          if (p < level === q < level) return;
          points.set(name, point(between.bind(null, p, q)));
          cuts.push(name);
        };
        cut(a, b, key("h", row * x.length + column), f => [f(x[column], x[column + 1]), y[row]]);
        cut(b, c, key("v", row * x.length + column + 1), f => [x[column + 1], f(y[row], y[row + 1])]);
        cut(d, c, key("h", (row + 1) * x.length + column), f => [f(x[column], x[column + 1]), y[row + 1]]);
        cut(a, d, key("v", row * x.length + column), f => [x[column], f(y[row], y[row + 1])]);
        if (cuts.length === 2) join(cuts[0], cuts[1]);
        if (cuts.length === 4) { // a saddle: its middle decides which corners belong together
          const inside = (a + b + c + d) / 4 < level === a < level;
          join(cuts[0], cuts[inside ? 1 : 3]);
          join(cuts[2], cuts[inside ? 3 : 1]);
        }
      }
    }
    const lines = [];
    // Lines that end at the frame first, then closed ones.
    const starts = [...ends.keys()].sort((p, q) => ends.get(p).length - ends.get(q).length);
    for (const start of starts) {
      let at = start;
      const line = [];
      while (at !== undefined) {
        line.push(points.get(at));
        const next = (ends.get(at) || []).shift();
        if (next !== undefined) {
          const back = ends.get(next);
          back.splice(back.indexOf(at), 1);
        }
        at = next;
      }
      if (line.length > 1) lines.push(line);
    }
    return lines;
  }

  return { frame, path, contour, ticks };
})();
if (typeof module !== "undefined") module.exports = PLOT;
