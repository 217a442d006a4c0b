"""Find the best full-domain generalisation in the lattice of levels."""
