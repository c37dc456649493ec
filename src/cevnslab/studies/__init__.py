"""What to compute (the study file, presets), the runner, and what came out (results)."""
