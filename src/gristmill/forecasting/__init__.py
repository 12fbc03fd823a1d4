"""What a recipe will cost and give, from a sample of its seeds. Reads runs, changes no row."""
