"""The command `doctor`: checks that a deployment is complete and works, and says what to do about each fault. docs/doctor.md lists every check."""
