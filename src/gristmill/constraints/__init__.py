"""Constraints: the catalogue of instructions that a program can check."""
