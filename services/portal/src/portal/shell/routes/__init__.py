"""The guard of the pages, how they are rendered, and the pages that belong to no task."""
