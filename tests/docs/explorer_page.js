// Reads settings as JSON, writes what docs/_static/explorer/chi2.js makes of them.
const [folder] = process.argv.slice(2);
const CHI2 = require(`${folder}/chi2.js`), ROWS = require(`${folder}/rows.js`);
const tasks = JSON.parse(require("fs").readFileSync(0, "utf8"));
const answers = tasks.map(({ detector, names, confidence, setting, points }) => {
  const found = ROWS.detectors.find(each => each.name === detector);
  const indices = names.map(name => ROWS.couplings.indexOf(name));
  const products = CHI2.gram(found, { nominalExposure: ROWS.exposure, ...setting }, indices);
  return {
    pieces: names.length === 1 ? CHI2.pieces(products, CHI2.level(confidence, 1)) : [],
    chi2: points.map(point => CHI2.chi2(products, point)),
    grid: names.length === 2 ? CHI2.grid(products, points[0], points[1]) : [],
    level: CHI2.level(confidence, names.length),
  };
});
process.stdout.write(JSON.stringify(answers));
