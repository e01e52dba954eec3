"""Deploys Threadline to a Google Cloud project: what it needs there, as data, and the steps that make it so (`python -m deploy`)."""
