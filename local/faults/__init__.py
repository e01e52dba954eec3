"""`make faults`: the promises under faults, held against the simulated network's own record."""
