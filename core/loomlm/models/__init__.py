"""Models without a framework: layouts, initial weights, and the files they are kept in."""
