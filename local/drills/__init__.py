"""`make drills`: each cause that an operator may meet, provoked for real in the whole product, timed and mended."""
