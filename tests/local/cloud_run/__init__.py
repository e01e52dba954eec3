"""Tests of the stand-in for Cloud Run's front end."""
