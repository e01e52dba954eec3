"""Checks of what is set up in the Google Cloud project, read with `gcloud` and held against the data in `deploy/`."""
