"""From physics to counts: what a detector does to recoils, and the response that folds it all."""
