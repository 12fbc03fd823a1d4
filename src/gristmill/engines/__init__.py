"""Engines: requests in, answers out, through the answer store. Nothing here knows what a row is.

A recipe names an engine by its module: `use: vllm`. One module defines one `Engine`.
"""
