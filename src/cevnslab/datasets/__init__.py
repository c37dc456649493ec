"""Real data, one folder each: model, files, detector preset, words, published numbers and citations of a data set."""
