"""Long work cut into blocks that are kept: in this process, in several, or on a cluster, with the same bytes."""
