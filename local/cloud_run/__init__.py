"""Stands in for the front end that Cloud Run puts before every service: the IAM check, the removed signature, its own answers."""
