"""`doctor`: checks that a deployment is complete and works, and says what to do where it is not. docs/doctor.md has every check."""
