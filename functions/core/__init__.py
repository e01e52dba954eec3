"""The product's decisions as plain values: no I/O, standard library only, shared by the functions and the connector."""
