// Limits without a server: least squares with two normalisations in closed form, as the package's likelihood/closed_form.py.
// Counts are rows per monomial of the couplings, in units of their scales; everything that a slider moves scales rows:
//   f = (M/M0)(t/t0)(eff/eff0)(d0/d)^2 the signal, g = (M/M0)(t/t0) b/b0 the background.
"use strict";
const CHI2 = (() => {
  // Signal s, change of the signal per monomial, background B and expected counts N of a detector at a setting.
  function counts(detector, setting) {
    const size = (setting.mass / detector.mass) * (setting.exposure / setting.nominalExposure);
    const f = size * (setting.efficiency / detector.efficiency) * (detector.distance / setting.distance) ** 2;
    const g = size * (setting.background / detector.background);
    const rows = detector.rows.map(row => row.map(value => f * value));
    const background = detector.counts.map(value => g * value);
    return { rows, background, expected: rows[0].map((value, i) => value + background[i]) };
  }

  // <u, v> = sum uv/N - (sum uB/N)(sum vB/N)/(sum B^2/N + 1/sigma_b^2): the background profiled out.
  function metric({ background, expected }, sigma) {
    const plain = (u, v) => u.reduce((sum, value, i) => sum + (expected[i] > 0 ? (value * v[i]) / expected[i] : 0), 0);
    const own = plain(background, background) + 1 / sigma ** 2;
    return (u, v) => plain(u, v) - (sigma > 0 ? (plain(u, background) * plain(v, background)) / own : 0);
  }

  // Products of all monomials that move while the couplings `names` do, and 1/K with K = <s, s> + 1/sigma_a^2.
  function gram(detector, setting, names) {
    const folded = counts(detector, setting), product = metric(folded, setting.backgroundWidth);
    const moving = detector.monomials.map((monomial, row) => ({ monomial, row }))
      .filter(({ monomial }) => monomial.length && monomial.every(at => names.includes(at)));
    const orders = moving.map(({ monomial }) => names.map(name => monomial.filter(at => at === name).length));
    const rows = moving.map(({ row }) => folded.rows[row]), signal = folded.rows[0];
    const width = setting.signalWidth;
    return {
      orders,
      pairs: rows.map(u => rows.map(v => product(u, v))),
      along: rows.map(u => product(signal, u)),
      inverse: width > 0 ? 1 / (product(signal, signal) + 1 / width ** 2) : 0,
    };
  }

  // chi^2 = (<e,e> - <s,e>^2/K)/(1 + (2 <s,e> + <e,e>)/K), e = sum of rows times monomials.
  function chi2({ orders, pairs, along, inverse }, values) {
    const monomials = orders.map(order => order.reduce((power, n, at) => power * values[at] ** n, 1));
    let ee = 0, se = 0;
    monomials.forEach((a, i) => {
      se += a * along[i];
      monomials.forEach((b, j) => { ee += a * b * pairs[i][j]; });
    });
    return (ee - se ** 2 * inverse) / (1 + (2 * se + ee) * inverse);
  }

  // Numerator and denominator as polynomials of one or two couplings: [m][n] goes with y^m x^n.
  function polynomials({ orders, pairs, along, inverse }) {
    const empty = () => Array.from({ length: 5 }, () => [0, 0, 0, 0, 0]);
    const ee = empty(), square = empty(), denominator = empty(), place = ([n, m = 0]) => [n, m];
    denominator[0][0] = 1;
    orders.forEach((first, i) => {
      const [n, m] = place(first);
      denominator[m][n] += 2 * inverse * along[i];
      orders.forEach((second, j) => {
        const [k, l] = place(second);
        ee[m + l][n + k] += pairs[i][j];
        square[m + l][n + k] += along[i] * along[j];
      });
    });
    const both = (a, b, factor) => a.map((row, m) => row.map((value, n) => value + factor * b[m][n]));
    return { numerator: both(ee, square, -inverse), denominator: both(denominator, ee, inverse) };
  }

  // chi^2 of two couplings on the product of two axes: [row][column].
  function grid(products, x, y) {
    const { numerator, denominator } = polynomials(products);
    const along = (rows, v) => rows[0].map((_, n) => at(rows.map(row => row[n]), v));
    return y.map(v => {
      const above = along(numerator, v), below = along(denominator, v);
      return x.map(u => at(above, u) / at(below, u));
    });
  }

  function at(polynomial, x) {
    let sum = 0;
    for (let n = polynomial.length - 1; n >= 0; n--) sum = sum * x + polynomial[n];
    return sum;
  }

  // All real roots: between two roots of the derivative a polynomial has one at the most.
  function roots(polynomial) {
    const used = polynomial.slice();
    while (used.length && used[used.length - 1] === 0) used.pop();
    if (used.length < 2) return [];
    const last = used[used.length - 1];
    const bound = 1 + Math.max(...used.slice(0, -1).map(value => Math.abs(value / last)));
    const turns = roots(used.slice(1).map((value, n) => value * (n + 1)));
    const borders = [-bound, ...turns, bound], found = [];
    for (let i = 0; i + 1 < borders.length; i++) {
      let [low, high] = [borders[i], borders[i + 1]];
      const sign = Math.sign(at(used, low));
      if (sign * at(used, high) > 0) continue;
      for (let middle = (low + high) / 2; middle !== low && middle !== high; middle = (low + high) / 2) {
        if (Math.sign(at(used, middle)) === sign) low = middle; else high = middle;
      }
      found.push((low + high) / 2);
    }
    return found;
  }

  // Pieces of the interval of one coupling: where numerator - level * denominator is negative.
  function pieces(products, level) {
    const { numerator: [above], denominator: [under] } = polynomials(products);
    const below = above.map((value, n) => value - level * under[n]);
    const ends = [-Infinity, ...roots(below), Infinity], found = [];
    for (let i = 0; i + 1 < ends.length; i++) {
      const [low, high] = [ends[i], ends[i + 1]];
      const inside = low === -Infinity ? high - 1 : high === Infinity ? low + 1 : (low + high) / 2;
      if (at(below, Number.isFinite(inside) ? inside : 0) < 0) found.push([low, high]);
    }
    return found;
  }

  // erfc by its series for small arguments and by a continued fraction beyond.
  function erfc(x) {
    if (x < 2) {
      let term = (2 / Math.sqrt(Math.PI)) * x, sum = term;
      for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
        term *= -(x * x) / n;
        sum += term / (2 * n + 1);
      }
      return 1 - sum;
    }
    let tail = 0;
    for (let n = 120; n > 0; n--) tail = n / 2 / (x + tail);
    return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + tail);
  }

  // Delta chi^2 at a confidence level for one or two couplings.
  function level(confidence, couplings) {
    if (couplings === 2) return -2 * Math.log(1 - confidence);
    let x = 1; // erfc(x) = 1 - confidence, by Halley's method
    for (let step = 1, n = 0; Math.abs(step) > 1e-16 * x && n < 50; n++) {
      const excess = erfc(x) - (1 - confidence), slope = (-2 / Math.sqrt(Math.PI)) * Math.exp(-x * x);
      step = excess / (slope + x * excess);
      x -= step;
    }
    return 2 * x * x;
  }

  return { gram, chi2, grid, pieces, level };
})();
if (typeof module !== "undefined") module.exports = CHI2;
