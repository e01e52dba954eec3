"""The product as production runs it, on one machine: a process group a function, events and tasks side by side, and faults."""
