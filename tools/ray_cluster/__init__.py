"""A real Ray cluster on this machine, each node a tree of processes with an address of its own."""
