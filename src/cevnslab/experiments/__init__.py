"""Real data sets: loaders and expectations that end in the same response and likelihood as the projections."""
