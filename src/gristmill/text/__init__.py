"""Pure functions on text: parsing replies, n-grams, detectors, comparison of answers."""
