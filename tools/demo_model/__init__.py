"""Builds the training corpus of the demo model and trains it; see tools/train_demo.py."""
