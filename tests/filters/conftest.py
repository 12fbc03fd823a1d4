import json

import pytest

KNOWN = [
    {"id": "old-1", "instruction": "one two three four five six seven eight nine ten eleven"},
    {"id": "old-2", "instruction": "Name a tree."},
]


@pytest.fixture
def published(tmp_path):
    """Another dataset, of two rows."""
    path = tmp_path / "published.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in KNOWN))
    return path
