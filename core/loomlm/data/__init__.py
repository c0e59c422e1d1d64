"""From a source's examples to batches: cleaned and kept, split, encoded, planned."""
