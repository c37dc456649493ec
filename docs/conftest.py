"""What pytest leaves alone here: the site's code, which needs Sphinx, and pages that tests/docs run block by block."""

collect_ignore = ["conf.py", "tutorial.md"]
collect_ignore_glob = ["_ext/*", "howto/*"]
