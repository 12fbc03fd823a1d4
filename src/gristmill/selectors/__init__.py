"""Selectors: some of the rows, weights, or an order."""
