"""Functions on arrays: nearest neighbours, k-center, clustering. FAISS underneath."""
