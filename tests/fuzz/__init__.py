"""Random and mutated stanzas thrown at a running engine."""
