"""The functions' workflows: load, ask the core, commit everything together, and retry when another was faster."""
