"""Answer what is released, to whom, and what was released before."""
