"""Other people's formats: seeds come in through `readers`, datasets go out through `exports`.

- `readers`: a recipe's `seeds` become rows of known types; malformed lines are kept aside.
- `files`, `parts`, `shapes`, `columns`: from a path to bytes, to rows, to our columns, to types.
- `python_functions`: documented functions of Python source as rows.
"""
