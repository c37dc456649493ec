"""A study under one's fingers: sliders for its keys, and what they do to spectra, curves and limits.

`exploration` holds the state and computes, `figures` and `page` show it, `server` serves it; only the last three need
the extra `explore`, which is imported when a page is opened.
"""
